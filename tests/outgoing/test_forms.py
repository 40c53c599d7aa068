"""What people have is taken as it is: layouts with and without names, archives of docker and podman, pinned tags."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from appliance.limits import archives as archives_limits
from appliance.outgoing import build
from appliance.outgoing.collect import job
from appliance.outgoing.collect.tar_files import TarFiles
from bundles.errors import LockgateError, MalformedError, NotFoundError, RefusedError, UsageError
from bundles.format.manifest_codec import decode
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout, run

CONTAINERD = "io.containerd.image.name"
NAME = "org.opencontainers.image.ref.name"


def source(path: Path, kind: str = "layout", tag: str | None = None, as_: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "path": str(path), "tag": tag, "as": as_}


def index_of(layout: Layout, *entries: tuple[dict[str, Any], dict[str, str]]) -> None:
    """index.json of images with the given annotations."""
    listed = [
        {key: one[key] for key in ("mediaType", "digest", "size")} | ({"annotations": notes} if notes else {})
        for one, notes in entries
    ]
    (layout.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))


def test_a_layout_without_a_name_is_taken_with_as(outside: Outside, layout: Layout) -> None:
    image = layout.image({"a": b"a"}, "amd64")
    index_of(layout, (image, {}))
    with pytest.raises(UsageError) as asked:
        outside.collect(source(layout.folder))
    assert "--as" in asked.value.remedy
    assert outside.collect(source(layout.folder, as_="team/app:1")) == ["team/app:1"]
    assert str(outside.shows("team/app:1")) == image["digest"]


def test_of_several_without_a_name_one_is_chosen_by_its_digest(outside: Outside, layout: Layout) -> None:
    one, two = (layout.image({name: name.encode()}, "amd64") for name in "ab")
    index_of(layout, (one, {}), (two, {}))
    with pytest.raises(UsageError) as asked:
        outside.collect(source(layout.folder, as_="team/app:1"))
    assert f"oci:{layout.folder}@{one['digest']}" in asked.value.remedy
    outside.collect(source(layout.folder, tag=f"@{two['digest']}", as_="team/app:1"))
    assert str(outside.shows("team/app:1")) == two["digest"]


def test_what_refers_to_a_nameless_image_comes_along_and_is_no_second_image(outside: Outside, layout: Layout) -> None:
    image = layout.image({"a": b"a"}, "amd64")
    fields = json.loads((layout.folder / "blobs" / image["digest"].replace(":", "/")).read_text())
    fields |= {"artifactType": "application/x.sbom", "subject": {k: image[k] for k in ("mediaType", "digest", "size")}}
    sbom = layout.blob(json.dumps(fields).encode(), fields["mediaType"])
    index_of(layout, (image, {}), (sbom, {}))
    outside.collect(source(layout.folder, as_="team/app:1"))
    assert [str(one) for one in outside.referrers("team/app", Digest.parse(image["digest"]))] == [sbom["digest"]]


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        ("docker.io/library/app:1", "app:1"),
        ("docker.io/team/app:1", "team/app:1"),
        ("localhost/app:1", "app:1"),
        ("registry.example:5000/team/app:1", "team/app:1"),
    ],
)
def test_a_layout_of_docker_save_gives_the_names_that_docker_gives(
    outside: Outside, layout: Layout, whole: str, expected: str
) -> None:
    image, other = (layout.image({name: name.encode()}, "amd64") for name in "ab")
    index_of(layout, (image, {CONTAINERD: whole, NAME: "1"}), (other, {CONTAINERD: "docker.io/x/other:1", NAME: "1"}))
    assert sorted(outside.collect(source(layout.folder))) == sorted([expected, "x/other:1"])
    assert str(outside.shows(expected)) == image["digest"]
    for wanted in (whole, expected):
        assert outside.collect(source(layout.folder, tag=wanted, as_="as/given:2")) == ["as/given:2"]
    assert str(outside.shows("as/given:2")) == image["digest"]


@pytest.mark.parametrize("folder", ["My Layout", "läyout_", "app"])
def test_what_is_said_to_be_collected_is_there(outside: Outside, tmp_path: Path, folder: str) -> None:
    layout = Layout(tmp_path / folder)
    layout.tag("1.0", layout.image({"a": b"a"}, "amd64"))
    (reference,) = outside.collect(source(layout.folder))
    assert str(outside.shows(reference)) == layout.digest("1.0")


def test_a_digest_decides_and_the_tag_beside_it_is_kept_and_compared(outside: Outside, layout: Layout) -> None:
    old, new = (layout.image({name: name.encode()}, "amd64") for name in "ab")
    index_of(layout, (old, {}), (new, {NAME: "team/app:1"}))
    context = outside.context("collect", {"sources": [source(layout.folder, tag=f"team/app:1@{old['digest']}")]})
    result = outside.run(context, job.run)
    assert result["references"] == ["team/app:1"]
    assert str(outside.shows("team/app:1")) == old["digest"]
    (note,) = result["notes"]
    assert new["digest"] in note
    again = {"sources": [source(layout.folder, tag=f"team/app:1@{new['digest']}")]}
    (moved,) = outside.run(outside.context("collect", again), job.run)["notes"]
    assert "team/app:1" in moved  # a tag that moves is said, with where it stood
    assert old["digest"] in moved
    assert outside.run(outside.context("collect", again), job.run)["notes"] == []


def test_a_bundle_carries_the_digest_under_the_tag_that_was_named_with_it(
    outside: Outside, layout: Layout, medium: Path
) -> None:
    old, new = (layout.artifact({name: name.encode()}) for name in "ab")
    layout.tag("team/app:1", old)
    outside.collect(source(layout.folder))
    (layout.folder / "index.json").unlink()
    index_of(layout, (new, {NAME: "team/app:1"}))
    outside.collect(source(layout.folder))
    told: list[Any] = []
    pinned = f"team/app:1@{old['digest']}"
    context = outside.building(medium, pinned)
    context.on_sign = told.append
    result = outside.run(context, build.run)
    (artifact,) = decode((Path(result["path"]) / "manifest.json").read_bytes()).artifacts
    assert (artifact.digest, artifact.tags) == (old["digest"], ["1"])
    assert result["notes"] == told[0]["notes"]
    assert new["digest"] in result["notes"][0]
    with pytest.raises(UsageError, match="one tag is named at two digests"):
        outside.build(medium, pinned, "team/app:1")
    with pytest.raises(NotFoundError, match="no such artifact"):
        outside.build(medium, f"team/app:1@sha256:{'0' * 64}")


def saved(layout: Layout, name: str, tmp_path: Path, tag: str) -> Path:
    """An archive as `docker save` of before Docker 25 and `podman save` write it, made by a stock tool."""
    archive = tmp_path / "saved.tar"
    run("skopeo", "copy", "--quiet", f"oci:{layout.folder}:{name}", f"docker-archive:{archive}:{tag}")
    return archive


@pytest.mark.peer
def test_an_archive_of_docker_save_is_an_image_here(outside: Outside, layout: Layout, tmp_path: Path) -> None:
    layout.tag("1", layout.image({"etc/motd": b"hello", "etc/name": b"x"}, "amd64"))
    archive = saved(layout, "1", tmp_path, "docker.io/library/app:1.0")
    assert outside.collect(source(archive, "docker-archive")) == ["app:1.0"]
    digest = outside.shows("app:1.0")
    assert digest is not None
    with outside.station.blobs.open_blob(digest) as file:
        manifest = parse_manifest(file.read())
    config = json.loads(outside.station.blobs.open_blob(manifest.config.digest).read())  # type: ignore[union-attr]
    assert config["rootfs"]["diff_ids"] == [str(layer.digest) for layer in manifest.layers]
    assert outside.collect(source(archive, "docker-archive", as_="team/app:2")) == ["team/app:2"]
    assert outside.shows("team/app:2") == digest
    pinned = source(archive, "docker-archive", tag=f"app:1.0@{digest}")
    assert outside.collect(pinned) == ["app:1.0"]
    with pytest.raises(RefusedError, match="not the one that was named"):
        outside.collect(source(archive, "docker-archive", tag=f"app:1.0@sha256:{'0' * 64}"))
    with pytest.raises(UsageError) as told:
        outside.collect(source(made(tmp_path / "not.tar", other=b""), "docker-archive"))
    assert "oci-archive:" in told.value.remedy


def made(path: Path, **files: bytes) -> Path:
    """A tar archive of files."""
    return tar_of(path, *(entry(name, data) for name, data in files.items()))


@pytest.mark.peer
def test_an_oci_archive_keeps_its_digests(outside: Outside, layout: Layout, tmp_path: Path) -> None:
    image = layout.image({"etc/motd": b"hello"}, "amd64")
    layout.tag("1", image)
    archive = tmp_path / "saved.tar"
    run("skopeo", "copy", "--quiet", f"oci:{layout.folder}:1", f"oci-archive:{archive}:team/app:1")
    assert outside.collect(source(archive, "oci-archive")) == ["team/app:1"]
    assert str(outside.shows("team/app:1")) == image["digest"]
    run("skopeo", "copy", "--quiet", f"oci:{layout.folder}:1", f"oci-archive:{tmp_path / 'nameless.tar'}")
    with pytest.raises(UsageError, match="no name"):
        outside.collect(source(tmp_path / "nameless.tar", "oci-archive"))
    outside.collect(source(tmp_path / "nameless.tar", "oci-archive", as_="team/app:2"))
    assert str(outside.shows("team/app:2")) == image["digest"]
    with pytest.raises(UsageError) as told:
        outside.collect(source(made(tmp_path / "other.tar", **{"manifest.json": b"[]"}), "oci-archive"))
    assert "docker-archive:" in told.value.remedy


def docker_archive(path: Path, layer: bytes, diff: Any, *, config_name: str = "", name: str = "app:1") -> Path:
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [diff]}}).encode()
    config_name = config_name or f"{Digest.of(config).hex}.json"
    listed = [{"Config": config_name, "RepoTags": [name], "Layers": ["one/layer.tar"]}]
    return made(path, **{config_name: config, "one/layer.tar": layer, "manifest.json": json.dumps(listed).encode()})


def test_a_layer_that_is_not_the_configurations_is_refused(outside: Outside, tmp_path: Path) -> None:
    wrong = docker_archive(tmp_path / "a.tar", b"layer", str(Digest.of(b"other")))
    with pytest.raises(RefusedError, match="not the one that its configuration names"):
        outside.collect(source(wrong, "docker-archive"))
    renamed = docker_archive(tmp_path / "b.tar", b"layer", str(Digest.of(b"layer")), config_name="0" * 64 + ".json")
    with pytest.raises(RefusedError, match="not what its name says"):
        outside.collect(source(renamed, "docker-archive"))
    assert outside.station.metadata.repository_names(10) == []


@pytest.mark.parametrize("diff", [{}, None, 1, "", "x", "sha256:", "md5:" + "0" * 32, "sha512:" + "0" * 128])
def test_a_configuration_that_names_a_layer_by_no_digest_of_it_is_refused(
    outside: Outside, tmp_path: Path, diff: Any
) -> None:
    with pytest.raises(RefusedError, match="configuration"):
        outside.collect(source(docker_archive(tmp_path / "a.tar", b"layer", diff), "docker-archive"))
    right = docker_archive(tmp_path / "b.tar", b"layer", str(Digest.of(b"layer", "sha512")))
    assert outside.collect(source(right, "docker-archive")) == ["app:1"]


def test_a_compressed_layer_is_taken_as_what_it_is(outside: Outside, tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", gzip.compress(b"layer"), str(Digest.of(b"layer")))
    outside.collect(source(archive, "docker-archive"))
    digest = outside.shows("app:1")
    assert digest is not None
    with outside.station.blobs.open_blob(digest) as file:
        (layer,) = parse_manifest(file.read()).layers
    assert layer.media_type.endswith(".tar+gzip")


PACKED = {
    "gzip": gzip.compress(b"layer"),
    "two gzip members": gzip.compress(b"la") + gzip.compress(b"yer"),
    "zstd": zstd.compress(b"layer"),
    "two zstd frames": zstd.compress(b"la") + zstd.compress(b"yer"),
}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("packing", PACKED)
def test_a_compressed_layer_is_held_against_the_configuration_unpacked(
    outside: Outside, tmp_path: Path, packing: str, algorithm: str
) -> None:
    for name, wrong in (("a", Digest.of(b"other", algorithm)), ("b", Digest.of(PACKED[packing], algorithm))):
        archive = docker_archive(tmp_path / f"{name}.tar", PACKED[packing], str(wrong))
        with pytest.raises(RefusedError, match="not the one that its configuration names"):
            outside.collect(source(archive, "docker-archive"))
    right = docker_archive(tmp_path / "c.tar", PACKED[packing], str(Digest.of(b"layer", algorithm)))
    assert outside.collect(source(right, "docker-archive")) == ["app:1"]


@pytest.mark.parametrize(
    "layer", [gzip.compress(b"layer")[:-3], gzip.compress(b"layer") + b"more", gzip.compress(bytes(3_000_000))],
    ids=["cut off", "bytes behind", "a bomb"],
)  # fmt: skip
def test_a_layer_that_cannot_be_unpacked_is_refused(
    outside: Outside, tmp_path: Path, layer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives_limits, "LAYER_FLOOR", 100_000)
    archive = docker_archive(tmp_path / "a.tar", layer, str(Digest.of(b"layer")))
    with pytest.raises(RefusedError, match="cannot be held against its configuration"):
        outside.collect(source(archive, "docker-archive"))


def entry(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in fields.items():
        setattr(member, key, value)
    return member, data


def tar_of(path: Path, *entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for member, data in entries:
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_files_of_an_archive_are_read_where_they_stand(tmp_path: Path, form: int) -> None:
    long = "a" * 180 + "/layer.tar"
    path = tar_of(
        tmp_path / "a.tar",
        entry("./first", b"1" * 700),
        entry("folder", type=tarfile.DIRTYPE),
        entry(long, b"layer"),
        entry("two/layer.tar", type=tarfile.SYMTYPE, linkname=f"../{long}"),
        entry("hard", type=tarfile.LNKTYPE, linkname="first"),
        form=form,
    )
    files = TarFiles(path)
    for name, data in (("first", b"1" * 700), (long, b"layer"), ("two/layer.tar", b"layer"), ("hard", b"1" * 700)):
        opened = files.open(name)
        assert opened is not None
        assert opened.read() == data
    assert files.open("/etc/passwd") is None
    files.close()


@pytest.mark.parametrize(
    "entries",
    [
        [entry("a", b"1"), entry("a", b"2")],
        [entry("a", b"1"), entry("./a", b"2")],
        [entry("a", b"1"), entry("b/../a", b"2")],
        [entry("a", b"1", pax_headers={"GNU.sparse.major": "1"})],
    ],
)
def test_what_readers_of_tar_take_differently_is_refused(tmp_path: Path, entries: list[Any]) -> None:
    with pytest.raises(RefusedError, match="differently"):
        TarFiles(tar_of(tmp_path / "a.tar", *entries))


def raw(kind: bytes, name: str, data: bytes = b"") -> bytes:
    """An entry as its bytes, of any kind."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, len(data)
    return member.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def pax(**records: str) -> bytes:
    """A pax header with records that are written as they are."""
    data = b""
    for key, value in records.items():
        rest = f" {key}={value}\n".encode()
        length = next(n for n in range(len(rest) + 1, len(rest) + 9) if len(f"{n}") + len(rest) == n)
        data += f"{length}".encode() + rest
    return raw(b"x", "pax", data)


def long_name(name: str, kind: bytes = b"L") -> bytes:
    """A GNU header that names the entry behind it."""
    return raw(kind, "././@LongLink", name.encode() + b"\0")


def prefixed(magic: bytes) -> bytes:
    """An entry with a prefix and a magic that only some readers know."""
    block = bytearray(raw(b"0", "a"))
    block[257:265], block[345:346], block[148:156] = magic, b"p", b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


A = raw(b"0", "a", b"1")
HELD = "readers of tar take the archive differently: {path}: "


@pytest.mark.parametrize(
    ("entries", "entry_named"),
    [
        (pax(path="manifest.json") + long_name("junk") + A, "manifest.json"),
        (long_name("manifest.json") + pax(path="junk") + A, "junk"),
        (pax(linkpath="x") + long_name("y", b"K") + raw(b"2", "a"), "a"),
        (pax(path="") + A, "a"),
        (pax(path="one") + pax(path="two") + A, ""),
        (long_name("one") + long_name("two") + A, ""),
        (pax(path="one") + raw(b"g", "pax", b"13 comment=x\n") + A, ""),
        (prefixed(b"ustar  \0"), "a"),
        (prefixed(b"ustar\x0001"), "a"),
        *((pax(size=size) + A, "a") for size in (
            "0", "2", "+1", " 1", "1 ", "0_1", "-1", "٢", "²", "1" * 19, "9" * 5000, "", "0x1", "1.0", "8589934591",
        )),
    ],
    ids=lambda part: part if isinstance(part, str) else f"{len(part)} bytes",
)  # fmt: skip
def test_headers_that_contradict_one_another_are_refused_by_file_and_entry(
    tmp_path: Path, entries: bytes, entry_named: str
) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(entries + bytes(1024))
    with pytest.raises(RefusedError) as refused:
        TarFiles(path)
    assert str(refused.value).startswith(HELD.format(path=path))
    assert repr(entry_named) in str(refused.value) or not entry_named
    assert len(str(refused.value).splitlines()) == 1


def test_headers_that_agree_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(
        pax(path="one", size="1") + long_name("one") + A + pax(size="01") + raw(b"0", "two", b"2") + bytes(1024)
    )
    files = TarFiles(path)
    assert (files.read_small("one", 9), files.read_small("two", 9)) == (b"1", b"2")
    files.close()


def test_a_size_that_no_header_can_hold_is_the_pax_headers(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    size = 8**11
    with path.open("wb") as file:
        file.write(pax(size=str(size)) + raw(b"0", "layer"))
        file.seek(size, 1)
        file.write(raw(b"0", "last", b"2") + bytes(1024))
    files = TarFiles(path)
    assert files.read_small("last", 9) == b"2"
    files.close()


def test_a_damaged_header_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(raw(b"x", "pax", b"99 path=a\n") + A)
    with pytest.raises(MalformedError, match=str(path)):
        TarFiles(path)


def test_a_link_leads_nowhere_but_inside_the_archive(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "a.tar",
        entry("out", type=tarfile.SYMTYPE, linkname="../../../../etc/passwd"),
        entry("one", type=tarfile.SYMTYPE, linkname="two"),
        entry("two", type=tarfile.SYMTYPE, linkname="one"),
    )
    files = TarFiles(path)
    assert files.open("out") is None
    with pytest.raises(RefusedError, match="circle"):
        files.open("one")


@pytest.mark.parametrize("cut", [0, 100, 512, 700, 1100])
def test_an_archive_that_is_cut_off_is_said_to_be(tmp_path: Path, cut: int) -> None:
    path = tar_of(tmp_path / "a.tar", entry("a", b"1" * 600), entry("b", b"2"))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UsageError, match=r"cut off|not a tar archive"):
        TarFiles(path)


def test_a_compressed_archive_says_how_to_unpack_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar_of(tmp_path / "a.tar", entry("a", b"1")).read_bytes()))
    with pytest.raises(UsageError, match="compressed"):
        TarFiles(path)


def test_any_byte_changed_in_a_header_ends_in_a_sentence(tmp_path: Path) -> None:
    good = tar_of(tmp_path / "a.tar", entry("a", b"1" * 600), entry("b", b"2")).read_bytes()
    for position in range(0, 512, 7):
        for value in (0, 0x30, 0x37, 0x80, 0xFF):
            data = bytearray(good)
            data[position] = value
            (tmp_path / "b.tar").write_bytes(data)
            with contextlib.suppress(LockgateError):
                TarFiles(tmp_path / "b.tar").close()
