"""Layers are streamed through: what gives power or leads out is found, and no layer can hold the station up."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, BinaryIO

import msgspec
import pytest
from backports import zstd

from appliance.intake.content import Checked
from appliance.intake.inspectors import layers
from appliance.intake.inspectors.layer_cache import Notebook
from appliance.limits import archives as limits
from bundles.documents.signed import Section
from bundles.format.manifest import Artifact
from bundles.oci.digest import Digest
from bundles.oci.kinds import CHART_TYPE, FILE_TYPE
from bundles.oci.manifest import OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST, parse_manifest


def tar(*members: tuple[str, dict[str, Any]], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, fields in members:
            info = tarfile.TarInfo(name)
            data = fields.pop("data", b"")
            for field, value in fields.items():
                setattr(info, field, value)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Blobs:
    held: dict[str, bytes]

    def open_blob(self, digest: Digest) -> BinaryIO:
        return io.BytesIO(self.held[str(digest)])


def inspected(*blobs: bytes, media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip") -> Section:
    """The section about one image of these layers."""
    return inspected_as(OCI_CONFIG, blobs, media_type)


def inspected_as(
    config_type: str,
    blobs: Sequence[bytes],
    media_type: str = "application/octet-stream",
    artifact_type: str = "",
    config: bytes = b"{}",
    media: str = OCI_MANIFEST,
) -> Section:
    """The section about one artifact of these types."""
    held = {str(Digest.of(blob)): blob for blob in (*blobs, config)}
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media,
        "config": {"mediaType": config_type, "digest": str(Digest.of(config)), "size": len(config)},
        "layers": [{"mediaType": media_type, "digest": str(Digest.of(blob)), "size": len(blob)} for blob in blobs],
    }
    if artifact_type:
        document["artifactType"] = artifact_type
    raw = json.dumps(document).encode()
    artifact = Artifact(
        repository="team/app", digest=str(Digest.of(raw)), mediaType=media, kind="image", size=len(raw), tags=["1"]
    )
    subject = SimpleNamespace(
        checked=[Checked(artifact, parse_manifest(raw, media))], blobs=Blobs(held), notebook=Notebook()
    )
    return layers.inspect(subject)  # type: ignore[arg-type]


PACKINGS = {
    "gzip": gzip.compress,
    "two gzip members": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    "zstd": zstd.compress,
    "two zstd frames": lambda data: zstd.compress(data[:700]) + zstd.compress(data[700:]),
}
FOUND = [
    ("setuid", ("usr/bin/su", {"mode": 0o4755, "data": b"x" * 700})),
    ("setuid", ("usr/bin/wall", {"mode": 0o2755})),
    ("devices", ("dev/sda", {"type": tarfile.BLKTYPE})),
    ("devices", ("dev/mem", {"type": tarfile.CHRTYPE})),
    ("absolute", ("/etc/passwd", {})),
    ("escaping", ("../etc/cron.d/x", {})),
    ("escaping", ("a/b/l", {"type": tarfile.SYMTYPE, "linkname": "../../../etc"})),
    ("escaping", ("h", {"type": tarfile.LNKTYPE, "linkname": "../../shadow"})),
    ("escaping", ("a" * 150 + "/../../x", {})),
    ("escaping", ("l", {"type": tarfile.SYMTYPE, "linkname": "b/../../" + "c" * 200})),
]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize(
    ("name", "member"), FOUND, ids=lambda value: value[0][:20] if isinstance(value, tuple) else value
)
def test_what_gives_power_or_leads_out_is_found(name: str, member: tuple[str, dict[str, Any]], form: int) -> None:
    harmless = ("usr/lib/x", {"type": tarfile.SYMTYPE, "linkname": "../share/y"})
    section = inspected(
        gzip.compress(tar(harmless, (member[0], dict(member[1])), ("etc/ok", {"data": b"ok"}), form=form))
    )
    assert [entry["path"] for entry in section.details[name]] == [member[0]]
    assert section.details["entries"] == 3
    assert section.outcome == ("fail" if name == "escaping" else "note")


def link(name: str, target: str) -> tuple[str, dict[str, Any]]:
    return name, {"type": tarfile.SYMTYPE, "linkname": target}


def test_an_absolute_symbolic_link_alone_is_no_finding() -> None:
    plain = tar(link("etc/localtime", "/usr/share/zoneinfo/UTC"), link("bin", "/usr/bin"), ("binary", {"data": b"x"}))
    section = inspected(gzip.compress(plain))
    assert (section.outcome, section.details["absolute"]) == ("ok", [])


LED_AWAY = {
    "a link to such a link": [link("out", "/etc"), link("in", "out")],
    "a link to such a link, before it": [link("in", "out"), link("out", "/etc")],
    "a chain of links, in no order": [link("b", "c"), link("in", "./b"), link("out", "/etc"), link("c", "out/.")],
    "a link beneath such a link": [link("out", "/etc"), link("in", "out/cron.d")],
    "a link in a folder": [link("usr/out", "/etc"), link("usr/lib/l", "../out"), link("in", "usr/lib/l")],
    "a hard link to such a link": [link("out", "/etc"), ("in", {"type": tarfile.LNKTYPE, "linkname": "out"})],
    "a hard link to such a link, before it": [("in", {"type": tarfile.LNKTYPE, "linkname": "out"}),
                                              link("out", "/etc")],
    "a target that climbs behind a link": [link("a/b/s", "../.."), link("in", "a/b/s/../x")],
}  # fmt: skip


@pytest.mark.parametrize("shape", LED_AWAY)
def test_what_is_laid_beneath_a_link_that_is_led_away_is_found(shape: str) -> None:
    section = inspected(gzip.compress(tar(*LED_AWAY[shape], ("in/x", {"data": b"x"}))))
    assert [entry["path"] for entry in section.details["absolute"]] == ["in/x"]
    alone = inspected(gzip.compress(tar(*LED_AWAY[shape], ("other/x", {"data": b"x"}))))
    assert (alone.outcome, alone.details["absolute"]) == ("ok", [])


@pytest.mark.parametrize("name", ["a/../b", "a/b/../x", "./a/.."])
def test_a_name_that_climbs_is_taken_differently_behind_a_link(name: str) -> None:
    section = inspected(gzip.compress(tar(("a/ok", {}), (name, {}))))
    assert section.outcome == "fail"
    assert [entry["path"] for entry in section.details["ambiguous"]] == [name]


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "a/.wh...", "a/b/.wh.", "./.wh.../"])
def test_a_whiteout_of_a_folder_itself_or_of_the_one_above_leads_out(name: str) -> None:
    section = inspected(gzip.compress(tar(("a/ok", {}), (name, {}))))
    assert section.outcome == "fail"
    assert [entry["kind"] for entry in section.details["escaping"]] == ["whiteout"]


@pytest.mark.parametrize("name", [".wh..wh..opq", "a/.wh.x", ".wh....", "a.wh..", ".wh..wh.plnk/x"])
def test_a_whiteout_of_something_else_is_no_finding(name: str) -> None:
    assert inspected(gzip.compress(tar(("a/ok", {}), (name, {})))).outcome == "ok"


def test_links_that_take_too_much_to_be_remembered_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.limits.archives.LINK_TEXT", 100)
    section = inspected(tar(link("a" * 120, "/etc"), link("b", "/etc"), ("b/x", {"data": b"x"})))
    assert [entry["path"] for entry in section.details["absolute"]] == ["b"]


@pytest.mark.parametrize("name", ["out/cron.d/x", "./out/x", "/out/x"])
def test_what_is_laid_beneath_an_absolute_symbolic_link_is_found(name: str) -> None:
    section = inspected(gzip.compress(tar(link("out", "/etc"), (name, {"data": b"x"}))))
    assert section.outcome == "note"
    assert [entry["path"] for entry in section.details["absolute"]] == [name] * (1 + name.startswith("/"))
    assert section.details["absolute"][-1]["kind"] == "beneath a symbolic link"


def test_links_beyond_those_that_can_be_remembered_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.limits.archives.ABSOLUTE_LINKS", 1)
    section = inspected(tar(link("a", "/etc"), link("b", "/etc"), ("b/x", {"data": b"x"})))
    assert [entry["path"] for entry in section.details["absolute"]] == ["b"]


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_packing_is_looked_through(packing: str) -> None:
    packed = PACKINGS[packing](tar(("usr/bin/su", {"mode": 0o4755, "data": b"x" * 1000}), ("etc/ok", {})))
    assert (inspected(packed).details["entries"], len(inspected(packed).details["setuid"])) == (2, 1)


def test_a_plain_layer_without_findings_is_ok() -> None:
    plain = tar(("etc", {"type": tarfile.DIRTYPE, "mode": 0o755}), ("etc/ok", {"data": b"ok"}))
    assert inspected(plain, media_type="application/vnd.oci.image.layer.v1.tar").outcome == "ok"


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_bomb_is_not_followed(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAYER_FLOOR", 1_000_000)
    section = inspected(pack(tar(("zeros", {"data": bytes(30_000_000)}))))
    assert section.outcome == "fail"
    assert "grows too large" in section.details["unread"][0]["reason"]


def test_too_many_entries_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAYER_ENTRIES", 10)
    section = inspected(gzip.compress(tar(*((f"f{number}", {}) for number in range(11)))))
    assert "too many entries" in section.details["unread"][0]["reason"]


@pytest.mark.parametrize("where", ["name", "symbolic link", "hard link"])
def test_a_path_longer_than_any_system_takes_is_found_and_not_taken_apart(where: str) -> None:
    """Part by part, one entry behind an absolute link would take minutes."""
    long = "a/" * 400_000 + "b"
    deep: dict[str, tuple[str, dict[str, Any]]] = {
        "name": (long, {}),
        "symbolic link": ("deep", {"type": tarfile.SYMTYPE, "linkname": long}),
        "hard link": ("deep", {"type": tarfile.LNKTYPE, "linkname": long}),
    }
    blob = tar(("link", {"type": tarfile.SYMTYPE, "linkname": "/etc"}), deep[where])
    began = time.process_time()
    section = inspected(blob)
    assert time.process_time() - began < 2.0
    assert section.outcome == "fail"
    assert "longer than any system takes" in json.dumps(msgspec.to_builtins(section))


def test_a_layer_that_takes_too_long_is_said_to_be_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAYERS_TIME", -1.0)
    assert "too long" in inspected(gzip.compress(tar(("f", {})))).details["unread"][0]["reason"]


def test_a_name_of_gigabytes_is_not_held() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    section = inspected(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    assert "too long" in section.details["unread"][0]["reason"]


@pytest.mark.parametrize(
    "blob",
    [b"\x1f\x8bnot gzip at all", gzip.compress(tar(("f", {"data": b"x" * 9000})))[:-40], zstd.compress(b"x" * 600)[:-3],
     gzip.compress(b"x" * 600), gzip.compress(tar(("f", {"data": b"x" * 900}))[:700]), b"plain text, no archive" * 40],
    ids=["not gzip", "cut gzip", "cut zstd", "no tar", "cut tar", "no packing"],
)  # fmt: skip
def test_a_layer_that_cannot_be_read_is_said_to_be_unread(blob: bytes) -> None:
    section = inspected(blob)
    assert (section.outcome, len(section.details["unread"])) == ("fail", 1)


SU = ("usr/bin/su", {"mode": 0o4755, "data": b"x" * 700})


def setuid() -> bytes:
    return tar((SU[0], dict(SU[1])))


def _v7(data: bytes) -> bytes:
    block = bytearray(data[:512])
    block[257:512] = bytes(255)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data[512:]


def skippable(data: bytes) -> bytes:
    return (0x184D2A53).to_bytes(4, "little") + (9).to_bytes(4, "little") + b"x" * 9 + zstd.compress(data)


WRAPPERS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd behind a skippable frame": skippable,
    "zstd before a skippable frame": lambda data: zstd.compress(data) + skippable(b""),
    "two bzip2 streams": lambda data: bz2.compress(data[:700]) + bz2.compress(data[700:]),
    "gzip in zstd": lambda data: zstd.compress(gzip.compress(data)),
    "zstd in gzip": lambda data: gzip.compress(zstd.compress(data)),
    "gzip in gzip in gzip": lambda data: gzip.compress(gzip.compress(gzip.compress(data))),
    "old tar without magic": _v7,
}


@pytest.mark.parametrize("media_type", ["application/octet-stream", "application/vnd.oci.image.layer.v1+gzip",
                                        "application/json", "application/vnd.cyclonedx+json"])  # fmt: skip
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_content_decides_whatever_the_type_of_a_layer_says(wrapper: str, media_type: str) -> None:
    section = inspected(WRAPPERS[wrapper](setuid()), media_type=media_type)
    assert [entry["path"] for entry in section.details["setuid"]] == ["usr/bin/su"]


@pytest.mark.parametrize("config_type", [OCI_CONFIG, OCI_EMPTY, CHART_TYPE, "application/x"])
@pytest.mark.parametrize("artifact_type", ["", FILE_TYPE, CHART_TYPE, "application/spdx+json", "application/x"])
def test_every_kind_of_artifact_is_looked_through(config_type: str, artifact_type: str) -> None:
    section = inspected_as(config_type, [gzip.compress(setuid())], artifact_type=artifact_type)
    assert [entry["path"] for entry in section.details["setuid"]] == ["usr/bin/su"]


def test_a_configuration_that_is_an_archive_is_looked_through_and_fails() -> None:
    section = inspected_as(OCI_CONFIG, [], config=setuid())
    assert [entry["path"] for entry in section.details["setuid"]] == ["usr/bin/su"]
    assert (section.outcome, len(section.details["misnamed"])) == ("fail", 1)


@pytest.mark.parametrize("config_type", [OCI_CONFIG, OCI_EMPTY])
def test_evidence_that_is_an_archive_fails(config_type: str) -> None:
    layer = "application/vnd.in-toto+json"
    section = inspected_as(config_type, [gzip.compress(tar(("f", {})))], layer)
    assert (section.outcome, len(section.details["misnamed"])) == ("fail", 1)


def test_evidence_that_is_a_document_is_ok() -> None:
    section = inspected_as(OCI_CONFIG, [b'{"statement": "\xc3\xbc"}'], "application/vnd.in-toto+json")
    assert (section.outcome, section.details["opaque"], section.details["unread"]) == ("ok", [], [])


@pytest.mark.parametrize(
    "blob",
    [bytes(40_000) + b"\x01CD001" + bytes(9000), b"GGUF" + bytes(9000), b"a text\n" * 90, gzip.compress(b"GGUF\0")],
    ids=["a disc", "a model", "a text", "a compressed model"],
)
def test_a_file_with_nothing_to_look_into_is_opaque_and_not_unread(blob: bytes) -> None:
    section = inspected_as(OCI_EMPTY, [blob], artifact_type=FILE_TYPE)
    assert (section.outcome, len(section.details["opaque"]), section.details["unread"]) == ("note", 1, [])


@pytest.mark.parametrize("blob", [b"GGUF" + bytes(9000), b"{}"])
def test_an_images_layer_that_is_no_archive_is_unread_and_not_opaque(blob: bytes) -> None:
    section = inspected(b"[]" + blob)
    assert (section.outcome, section.details["opaque"], len(section.details["unread"])) == ("fail", [], 1)


UNREAD = {
    "gzip with bytes behind it": lambda data: gzip.compress(data) + b"more",
    "zstd with bytes behind it": lambda data: zstd.compress(data) + b"more",
    "zstd with a cut skippable frame": lambda data: zstd.compress(data) + skippable(b"")[:12],
    "compressed again and again": lambda data: gzip.compress(gzip.compress(gzip.compress(gzip.compress(data)))),
    "gzip cut behind the archive": lambda data: gzip.compress(data + bytes(2048))[:-6],
    "a magic whose checksum does not hold": lambda data: data[:100] + b"9" + data[101:],
}


@pytest.mark.parametrize("shape", UNREAD)
@pytest.mark.parametrize(("config_type", "artifact_type"), [(OCI_CONFIG, ""), (OCI_EMPTY, FILE_TYPE)])
def test_an_archive_that_cannot_be_looked_through_is_unread_in_every_artifact(
    shape: str, config_type: str, artifact_type: str
) -> None:
    section = inspected_as(config_type, [UNREAD[shape](setuid())], artifact_type=artifact_type)
    assert (section.outcome, len(section.details["unread"])) == ("fail", 1)


def test_a_window_beyond_the_ceiling_is_not_taken() -> None:
    large = {zstd.CompressionParameter.window_log: 29, zstd.CompressionParameter.content_size_flag: 0}
    section = inspected(zstd.compress(setuid(), options={**large, zstd.CompressionParameter.checksum_flag: 1}) + b"")
    assert section.details["setuid"]  # a small frame needs a small window, whatever was asked for
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([19 << 3]) + bytes(20)
    assert "too much memory" in inspected(frame).details["unread"][0]["reason"]


def test_a_blob_is_looked_through_once_and_judged_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    look = layers.look
    monkeypatch.setattr(layers, "look", lambda *arguments: (seen.append(arguments), look(*arguments))[1])
    blob = gzip.compress(setuid())
    section = inspected(blob, blob, blob)
    assert (len(seen), len(section.details["setuid"]), section.details["blobs"]) == (2, 1, 2)
