"""Tables of contents in layers (zstd:chunked, eStargz): what they list must be what the archive holds."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import struct
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from backports import zstd

from appliance.archives.contents import look
from appliance.archives.table_document import Document
from appliance.intake.content import Checked, check_content
from appliance.intake.inspectors import layers
from appliance.intake.inspectors.layer_cache import Notebook
from appliance.limits import archives as limits
from bundles.documents.signed import Section
from bundles.format.manifest import Artifact
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_MANIFEST, parse_manifest
from tests.intake.test_layers import Blobs, tar
from tests.peers.stock import run

CHUNKED = "io.github.containers.zstd-chunked."
STARGZ = "containerd.io/snapshot/stargz/toc.digest"
CAPABILITY = {"pax_headers": {"SCHILY.xattr.security.capability": "\x01\0\0\2"}}
MEMBERS: list[tuple[str, dict[str, Any]]] = [
    ("./", {"type": tarfile.DIRTYPE, "mode": 0o755}),
    ("./hello", {"data": b"hello\n" * 2000, "mode": 0o644, "uid": 5, "gid": 6}),
    ("./empty", {"mode": 0o600}),
    ("./link", {"type": tarfile.SYMTYPE, "linkname": "hello", "mode": 0o777}),
    ("./hard", {"type": tarfile.LNKTYPE, "linkname": "./hello"}),
    ("./ping", {"data": b"ping", **CAPABILITY}),
]
KINDS = {b"0": "reg", b"1": "hardlink", b"2": "symlink", b"3": "char", b"4": "block", b"5": "dir", b"6": "fifo"}


def archive(*more: tuple[str, dict[str, Any]]) -> bytes:
    return tar(*[(name, dict(fields)) for name, fields in (*MEMBERS, *more)])


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def listing(data: bytes) -> dict[str, Any]:
    """The table that a tool writes for an archive; files above 8,000 bytes are in two chunks."""
    entries = []
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        for member in found:
            slash = "/" if member.isdir() else ""
            entry: dict[str, Any] = {
                "type": KINDS[member.type], "name": member.name + slash, "linkName": member.linkname,
                "mode": member.mode, "uid": member.uid, "gid": member.gid, "modtime": "2026-01-01T00:00:00Z",
            }  # fmt: skip
            entry["xattrs"] = {
                key.removeprefix("SCHILY.xattr."): base64.b64encode(value.encode()).decode()
                for key, value in member.pax_headers.items()
            }
            entries.append(entry)
            if not member.isreg() or not member.size:
                continue
            held = found.extractfile(member)
            assert held is not None
            content = held.read()
            entry |= {"size": len(content), "digest": digest(content), "offset": 7}
            if len(content) > 8000:
                entry |= {"chunkSize": 8000, "chunkDigest": digest(content[:8000])}
                entries.append({"type": "chunk", "name": member.name, "chunkOffset": 8000,
                                "chunkSize": len(content) - 8000, "chunkDigest": digest(content[8000:])})  # fmt: skip
    return {"version": 1, "entries": entries}


def skippable(content: bytes) -> bytes:
    return b"\x50\x2a\x4d\x18" + struct.pack("<I", len(content)) + content


def split_of(data: bytes) -> bytes:
    """tar-split of an archive: everything but the data of its files."""
    lines, at = [], 0
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        for member in found:
            if member.isreg() and member.size:
                lines.append({"type": 2, "payload": base64.b64encode(data[at : member.offset_data]).decode()})
                at = member.offset_data + member.size
            lines.append({"type": 1, "name": member.name, "size": member.size, "payload": "AAAAAAAAAAA="})
    lines.append({"type": 2, "payload": base64.b64encode(data[at:]).decode()})
    return b"".join(json.dumps(line | {"position": n}).encode() + b"\n" for n, line in enumerate(lines))


def chunked(
    data: bytes, table: object, split: bytes | None = None, footer: bytes | None = None
) -> tuple[bytes, dict[str, str]]:
    """A layer of zstd:chunked, and its annotations."""
    body = zstd.compress(data)
    raw = table if isinstance(table, bytes) else json.dumps(table).encode()
    packed = zstd.compress(raw)
    at = len(body) + 8
    notes = {
        f"{CHUNKED}manifest-checksum": digest(packed),
        f"{CHUNKED}manifest-position": f"{at}:{len(packed)}:{len(raw)}:1",
    }
    words = [at, len(packed), len(raw), 1, 0, 0, 0]
    layer = body + skippable(packed)
    if split is not None:
        packed_split = zstd.compress(split)
        words[4:] = len(layer) + 8, len(packed_split), len(split)
        notes[f"{CHUNKED}tarsplit-position"] = ":".join(map(str, words[4:]))
        layer += skippable(packed_split)
    return layer + skippable(footer or struct.pack("<7Q", *words) + b"GNUlInUx"), notes


def with_split(data: bytes, split: bytes) -> tuple[bytes, dict[str, str]]:
    return chunked(data, listing(data) | {"tarSplitDigest": digest(zstd.compress(split))}, split)


def stargz(data: bytes, table: object, offset: int | None = None) -> tuple[bytes, dict[str, str]]:
    """A layer of eStargz, and its annotation."""
    raw = table if isinstance(table, bytes) else json.dumps(table, indent="\t").encode()
    body = gzip.compress(data[: -2 * 512].rstrip(b"\0") + bytes(-len(data[: -2 * 512].rstrip(b"\0")) % 512))
    index = gzip.compress(tar(("stargz.index.json", {"data": raw})))
    where = b"%016xSTARGZ" % (len(body) if offset is None else offset)
    extra = b"SG" + struct.pack("<H", len(where)) + where
    footer = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", len(extra)) + extra
    footer += b"\x01\0\0\xff\xff" + bytes(8)
    assert len(footer) == 51
    return body + index + footer, {STARGZ: digest(raw)}


def inspected(layer: bytes, notes: dict[str, str] | None = None) -> Section:
    config = b"{}"
    named = {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": digest(layer), "size": len(layer)}
    document = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest(config), "size": len(config)},
        "layers": [named | ({"annotations": notes} if notes else {})],
    }  # fmt: skip
    raw = json.dumps(document).encode()
    artifact = Artifact(
        repository="team/app", digest=digest(raw), mediaType=OCI_MANIFEST, kind="image", size=len(raw), tags=["1"]
    )
    subject = SimpleNamespace(
        checked=[Checked(artifact, parse_manifest(raw, OCI_MANIFEST))],
        blobs=Blobs({digest(layer): layer, digest(config): config}), notebook=Notebook(),
    )  # fmt: skip
    return layers.inspect(subject)  # type: ignore[arg-type]


FORMS: dict[str, Callable[[bytes, object], tuple[bytes, dict[str, str]]]] = {"zstd:chunked": chunked, "eStargz": stargz}


def entry(table: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in table["entries"] if one["name"] == name)


@pytest.mark.parametrize("annotated", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_a_table_that_lists_the_archive_is_no_finding(form: str, annotated: bool) -> None:
    data = archive()
    layer, notes = FORMS[form](data, listing(data))
    section = inspected(layer, notes if annotated else None)
    assert (section.outcome, section.details["mislisted"], section.details["unread"]) == ("note", [], [])
    assert len(section.details["capabilities"]) == 1


def test_tar_split_that_holds_the_archives_headers_is_no_finding() -> None:
    data = archive()
    section = inspected(*with_split(data, split_of(data)))
    assert (section.details["mislisted"], section.details["unread"]) == ([], [])


@pytest.mark.peer
def test_what_skopeo_writes_is_no_finding(tmp_path: Path) -> None:
    layout = _layout(tmp_path / "in", archive(("big", {"data": bytes(300_000) + b"x" * 100_000})))
    run("skopeo", "copy", "--quiet", "--dest-compress", "--dest-compress-format", "zstd:chunked",
        f"oci:{layout}:1", f"dir:{tmp_path / 'out'}")  # fmt: skip
    named = json.loads((tmp_path / "out/manifest.json").read_text())["layers"][0]
    assert any("zstd-chunked" in key for key in named["annotations"])
    layer = (tmp_path / "out" / named["digest"].removeprefix("sha256:")).read_bytes()
    section = inspected(layer, named["annotations"])
    assert (section.details["mislisted"], section.details["unread"]) == ([], [])
    forged = {key: value.replace("sha256:", "sha256:0")[:71] for key, value in named["annotations"].items()}
    assert len(inspected(layer, forged).details["unread"]) == 1


def _layout(folder: Path, data: bytes) -> Path:
    (folder / "blobs/sha256").mkdir(parents=True)

    def put(blob: bytes, media_type: str, **more: object) -> dict[str, Any]:
        (folder / "blobs/sha256" / digest(blob).removeprefix("sha256:")).write_bytes(blob)
        return {"mediaType": media_type, "digest": digest(blob), "size": len(blob), **more}

    layer = put(data, "application/vnd.oci.image.layer.v1.tar")
    config = {"architecture": "amd64", "os": "linux", "config": {}}
    config["rootfs"] = {"type": "layers", "diff_ids": [layer["digest"]]}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [layer]}
    document["config"] = put(json.dumps(config).encode(), OCI_CONFIG)
    name = {"org.opencontainers.image.ref.name": "1"}
    manifest = put(json.dumps(document).encode(), OCI_MANIFEST, annotations=name)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


SETUID = {"type": "reg", "name": "usr/bin/su", "mode": 0o4755, "size": 4, "digest": digest(b"ping")}
OTHERWISE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a file more": lambda table: table["entries"].append(SETUID),
    "a file more, first": lambda table: table["entries"].insert(0, SETUID),
    "a file more, with bits of its type": lambda table: table["entries"].append(SETUID | {"mode": 0o104755}),
    "twenty files more": lambda table: table["entries"].__setitem__(slice(1, 1), [SETUID] * 20),
    "a file less": lambda table: table["entries"].remove(entry(table, "./empty")),
    "a file twice": lambda table: table["entries"].append(entry(table, "./empty")),
    "another order": lambda table: table["entries"].append(table["entries"].pop(0)),
    "mode": lambda table: entry(table, "./empty").update(mode=0o4600),
    "type": lambda table: entry(table, "./empty").update(type="char"),
    "an unknown type": lambda table: entry(table, "./empty").update(type="sparse"),
    "target of a symbolic link": lambda table: entry(table, "./link").update(linkName="../../etc/shadow"),
    "target of a hard link": lambda table: entry(table, "./hard").update(linkName="./ping"),
    "user": lambda table: entry(table, "./hello").update(uid=0),
    "group": lambda table: entry(table, "./hello").update(gid=0),
    "size": lambda table: entry(table, "./ping").update(size=3),
    "digest": lambda table: entry(table, "./ping").update(digest=digest(b"pong")),
    "no digest": lambda table: entry(table, "./ping").pop("digest"),
    "digest of an empty file": lambda table: entry(table, "./empty").update(digest=digest(b"pong")),
    "digest of a chunk": lambda table: table["entries"][2].update(chunkDigest=digest(b"pong")),
    "no digest of a chunk": lambda table: table["entries"][2].pop("chunkDigest"),
    "zeros": lambda table: table["entries"][2].update(chunkType="zeros"),
    "a chunk less": lambda table: table["entries"].pop(2),
    "a chunk that overlaps": lambda table: table["entries"][2].update(chunkOffset=7000),
    "a chunk without an end": lambda table: table["entries"][1].update(chunkSize=0),
    "a chunk before its beginning": lambda table: table["entries"][1].update(chunkSize=-1),
    "an attribute more": lambda table: entry(table, "./empty").update(xattrs={"security.capability": "AQAAAg=="}),
    "an attribute less": lambda table: entry(table, "./ping").update(xattrs={}),
    "an attribute's value": lambda table: entry(table, "./ping").update(xattrs={"security.capability": "AQAAAw=="}),
    "a name that leads out": lambda table: entry(table, "./empty").update(name="../empty"),
    "a name that goes through a link": lambda table: entry(table, "./empty").update(name="link/../empty"),
    "a name that is no Unicode": lambda table: entry(table, "./empty").update(name="\ud800"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", OTHERWISE)
def test_a_table_that_lists_anything_else_fails(what: str, form: str) -> None:
    data = archive()
    table = listing(data)
    OTHERWISE[what](table)
    section = inspected(*FORMS[form](data, table))
    assert (section.outcome, section.details["unread"]) == ("fail", [])
    assert section.details["mislisted"]
    json.dumps(section.details).encode()


@pytest.mark.parametrize("form", FORMS)
def test_what_gives_power_in_the_table_alone_is_found_with_its_path(form: str) -> None:
    data = archive()
    table = listing(data)
    table["entries"].append(SETUID)
    entry(table, "./empty").update(xattrs={"security.capability": "AQAAAg=="})
    details = inspected(*FORMS[form](data, table)).details
    assert [(one["path"], one["mode"]) for one in details["setuid"]] == [("usr/bin/su", "4755")]
    assert sorted(one["path"] for one in details["capabilities"]) == ["./empty", "./ping"]


def test_a_table_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FINDINGS", 50)
    read = 0

    def counted(self: Document) -> Any:
        nonlocal read
        read += 1
        return value(self)

    value = Document.value
    monkeypatch.setattr(Document, "value", counted)
    section = inspected(*chunked(archive(), {"version": 1, "entries": [SETUID] * 20_000}))
    assert (section.outcome, len(section.details["unread"])) == ("fail", 1)
    assert section.details["setuid"]
    assert read < 200


def test_a_table_of_an_empty_archive_that_lists_files_fails() -> None:
    section = inspected(*chunked(b"", {"version": 1, "entries": [SETUID]}))
    assert (len(section.details["mislisted"]), len(section.details["setuid"])) == (1, 1)


def test_a_table_that_nothing_points_to_is_compared_all_the_same() -> None:
    data, table = archive(), listing(archive())
    table["entries"].append(SETUID)
    raw = json.dumps(table).encode()
    in_a_frame = zstd.compress(data) + skippable(zstd.compress(raw))
    in_an_entry = gzip.compress(archive(("stargz.index.json", {"data": raw})))
    for layer in (in_a_frame, in_an_entry, archive(("./stargz.index.json", {"data": raw}))):
        section = inspected(layer)
        assert (section.outcome, len(section.details["mislisted"])) == ("fail", 1), section


MALFORMED = {
    "no JSON": b"table",
    "cut": b'{"version": 1, "entries": [',
    "a field twice": b'{"version": 1, "entries": [], "entries": []}',
    "a field of an entry twice": b'{"version": 1, "entries": [{"name": "a", "type": "dir", "name": "b"}]}',
    "a field in other letters": b'{"version": 1, "entries": [{"Name": "a", "type": "dir"}]}',
    "a field without a name": b'{"version": 1, "entries": [{"": 1, "name": "a", "type": "dir"}]}',
    "entries in other letters": b'{"version": 1, "Entries": []}',
    "another version": b'{"version": 2, "entries": []}',
    "no version": b'{"entries": []}',
    "a version that is no number": b'{"version": true, "entries": []}',
    "entries that are no list": b'{"version": 1, "entries": {"name": "a"}}',
    "something behind the end": b'{"version": 1, "entries": []} {}',
    "a chunk of nothing": b'{"version": 1, "entries": [{"type": "chunk", "name": "a"}]}',
    "a mode that is no number": b'{"version": 1, "entries": [{"type": "dir", "name": "a", "mode": "4755"}]}',
    "a mode that is a fraction": b'{"version": 1, "entries": [{"type": "dir", "name": "a", "mode": 1.5}]}',
    "a number without end": b'{"version": 1, "entries": [{"type": "dir", "name": "a", "mode": 1%s}]}' % (b"0" * 5000),
    "an attribute that is no base64": b'{"version": 1, "entries": [{"type": "dir", "xattrs": {"a": "*"}}]}',
    "nested without end": b'{"version": 1, "entries": [' + b"[" * 100_000,
    "an entry without end": b'{"version": 1, "entries": [{"name": "' + b"a" * (limits.LAYER_TABLE_ENTRY + 100_000),
    "no UTF-8": b'{"version": 1, "entries": [{"name": "\xff", "type": "dir"}]}',
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", MALFORMED)
def test_a_table_that_is_not_understood_leaves_the_layer_unread(what: str, form: str) -> None:
    section = inspected(*FORMS[form](archive(), MALFORMED[what]))
    assert (section.outcome, len(section.details["unread"])) == ("fail", 1)


def _nested(inner: bytes) -> bytes:
    return gzip.compress(zstd.compress(archive()) + skippable(inner))


HIDDEN: dict[str, bytes] = {
    "an archive in a frame": zstd.compress(archive()) + skippable(tar(("su", {"mode": 0o4755}))),
    "an archive in a frame before it": skippable(tar(("su", {"mode": 0o4755}))) + zstd.compress(archive()),
    "an archive that is compressed, in a frame": zstd.compress(archive()) + skippable(zstd.compress(archive())),
    "an archive in gzip, in a frame": zstd.compress(archive()) + skippable(gzip.compress(archive())),
    "bytes in a frame": zstd.compress(archive()) + skippable(b"12345678"),
    "bytes behind zeros in a frame": zstd.compress(archive()) + skippable(bytes(200_000) + b"x"),
    "a frame in another compression": _nested(tar(("su", {"mode": 0o4755}))),
    "a frame in the frame of a table": zstd.compress(archive())
    + skippable(skippable(bytes(9)) + zstd.compress(json.dumps(listing(archive())).encode())),
    "frames without end": zstd.compress(archive()) + skippable(bytes(8)) * 1000,
    "tables without end": zstd.compress(archive())
    + skippable(zstd.compress(json.dumps(listing(archive())).encode())) * (limits.LAYER_TABLES + 1),
    "a frame that is cut": zstd.compress(archive()) + skippable(bytes(100))[:50],
    "bytes behind gzip": gzip.compress(archive()) + tar(("su", {"mode": 0o4755})),
    "zeros behind gzip": gzip.compress(archive()) + bytes(512),
    "tar-split alone": zstd.compress(archive()) + skippable(zstd.compress(split_of(archive()))),
}


@pytest.mark.parametrize("what", HIDDEN)
def test_what_a_decompressor_skips_and_nobody_understands_leaves_the_layer_unread(what: str) -> None:
    section = inspected(HIDDEN[what])
    assert (section.outcome, len(section.details["unread"])) == ("fail", 1), section


def test_frames_that_hold_nothing_are_no_finding() -> None:
    data = archive()
    for layer in (
        skippable(b"size") + zstd.compress(data[:700]) + skippable(b"size") + zstd.compress(data[700:]),
        zstd.compress(data) + skippable(bytes(100_000)), gzip.compress(data) + gzip.compress(b""),
    ):  # fmt: skip
        assert inspected(layer).outcome == "note"


@pytest.mark.parametrize(
    "change",
    [
        {f"{CHUNKED}manifest-checksum": digest(b"another")}, {f"{CHUNKED}manifest-position": "0:9:9:1"},
        {f"{CHUNKED}manifest-position": None}, {f"{CHUNKED}tarsplit-position": "0:9:9"}, {STARGZ: digest(b"another")},
        {"io.containers.zstd-chunked.manifest-checksum": digest(b"another")},
    ],
    ids=str,
)  # fmt: skip
def test_an_annotation_that_leads_to_another_table_leaves_the_layer_unread(change: dict[str, str | None]) -> None:
    data = archive()
    layer, notes = chunked(data, listing(data))
    changed = {key: value for key, value in {**notes, **change}.items() if value is not None}
    assert len(inspected(layer, changed).details["unread"]) == 1
    assert len(inspected(gzip.compress(data), changed).details["unread"]) == 1


def test_a_table_hidden_in_a_files_data_is_not_the_one_that_an_annotation_may_name() -> None:
    hidden = zstd.compress(json.dumps({"version": 1, "entries": [SETUID]}).encode())
    data = archive(("data", {"data": hidden}))
    layer = zstd.compress(data, 1)
    at = layer.find(hidden)
    assert at > 0
    notes = {f"{CHUNKED}manifest-checksum": digest(hidden), f"{CHUNKED}manifest-position": f"{at}:{len(hidden)}:99:1"}
    assert len(inspected(layer, notes).details["unread"]) == 1
    inner = tar(("stargz.index.json", {"data": json.dumps({"version": 1, "entries": [SETUID]}).encode()}))
    packed = gzip.compress(inner)
    stored = gzip.compress(archive(("data", {"data": packed})), 0)
    where = b"%016xSTARGZ" % stored.find(packed)
    extra = b"SG" + struct.pack("<H", len(where)) + where
    footer = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", len(extra)) + extra
    footer += b"\x01\0\0\xff\xff" + bytes(8)
    assert len(inspected(stored + footer).details["mislisted"]) == 1


def test_a_footer_leads_to_a_table_that_was_compared() -> None:
    data = archive()
    table = listing(data)
    elsewhere = struct.pack("<7Q", 8, 9, 9, 1, 0, 0, 0) + b"GNUlInUx"
    of_split = struct.pack("<7Q", 8, 9, 9, 1, 3, 3, 3) + b"GNUlInUx"
    old = struct.pack("<4Q", 8, 9, 9, 1) + b"GnUlInUx"
    no_frame = zstd.compress(data) + skippable(zstd.compress(json.dumps(table).encode()))
    for layer in (
        chunked(data, table, footer=elsewhere)[0], chunked(data, table, footer=of_split)[0],
        chunked(data, table, footer=old)[0], stargz(data, table, offset=0)[0], stargz(data, table, offset=1 << 60)[0],
    ):  # fmt: skip
        assert len(inspected(layer).details["mislisted"]) == 1
    section = inspected(no_frame + skippable(b"0123" + elsewhere))
    assert section.outcome == "fail"


def test_tar_split_that_holds_other_headers_fails() -> None:
    data = archive()
    other = archive(("su", {"mode": 0o4755}))
    assert len(inspected(*with_split(data, split_of(other))).details["mislisted"]) == 1
    unnamed = chunked(data, listing(data) | {"tarSplitDigest": digest(b"another")}, split_of(data))
    assert len(inspected(*unnamed).details["mislisted"]) == 1


def test_what_was_found_of_tables_is_kept_for_the_next_inspection() -> None:
    data = archive()
    layer, _ = chunked(data, listing(data))
    book = Notebook(key=b"k" * 32)
    book.keep("sha256:1", look(io.BytesIO(layer), len(layer), time.monotonic() + 60))
    kept = json.loads(book.rows[0].found)
    assert [one["form"] for one in kept["tables"]] == ["table"]


def test_annotations_of_tables_outlive_the_reading_of_a_bundle() -> None:
    notes = {f"{CHUNKED}manifest-checksum": digest(b"t"), "org.example.other": "x"}
    layer = {"mediaType": "application/x", "digest": digest(b"layer"), "size": 5, "annotations": notes}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [layer, layer | {"annotations": {}}]}
    document["config"] = {"mediaType": OCI_CONFIG, "digest": digest(b"{}"), "size": 2}
    raw = json.dumps(document).encode()
    artifact = Artifact(
        repository="team/app", digest=digest(raw), mediaType=OCI_MANIFEST, kind="image", size=len(raw), tags=[]
    )
    sizes = [SimpleNamespace(digest=digest(b), size=len(b)) for b in (b"layer", b"{}")]
    manifest = SimpleNamespace(blobs=sizes, requires=[], artifacts=[artifact])
    (checked,) = check_content(Blobs({str(Digest.of(raw)): raw}), manifest)  # type: ignore[arg-type]
    assert [dict(one.annotations) for one in checked.manifest.layers] == [
        {f"{CHUNKED}manifest-checksum": digest(b"t")}, {},
    ]  # fmt: skip
