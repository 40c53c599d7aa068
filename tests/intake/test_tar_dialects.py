"""Every dialect of tar is seen as the runtimes see it, and where readers differ the strictest reading counts."""

from __future__ import annotations

import gzip
import io
import json
import stat
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from tests.intake.test_layers import inspected, tar
from tests.peer_tools import require
from tests.peers.stock import Layout

OK = ("etc/ok", {"data": b"ok"})


def header(name: bytes, *, mode: bytes = b"0000644\0", size: bytes = b"00000000000\0", kind: bytes = b"0",
           magic: bytes = b"ustar\x0000", rest: dict[int, bytes] | None = None, link: bytes = b"",
           ) -> bytes:  # fmt: skip
    """A header of these very fields, with its checksum."""
    block = bytearray(512)
    for place, data in {0: name, 100: mode, 108: b"0000000\0", 116: b"0000000\0", 124: size, 136: b"00000000000\0",
                        156: kind, 157: link, 257: magic, **(rest or {})}.items():  # fmt: skip
        block[place : place + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def octal(size: int) -> bytes:
    return b"%011o\0" % size


def pax(records: dict[str, str], kind: bytes = b"x") -> bytes:
    data = b""
    for key, value in records.items():
        body = f" {key}={value}\n".encode()
        length = len(body) + 1
        while length != len(str(length)) + len(body):
            length = len(str(length)) + len(body)
        data += str(length).encode() + body
    return header(b"PaxHeader", size=octal(len(data)), kind=kind) + padded(data)


def long(name: bytes, kind: bytes = b"L") -> bytes:
    return header(b"././@LongLink", size=octal(len(name) + 1), kind=kind, magic=b"ustar  \0") + padded(name + b"\0")


END = bytes(1024)
SU = header(b"usr/bin/su", mode=b"0004755\0")
FILE = header(b"etc/ok", size=octal(2)) + padded(b"ok")
SPARSE_EXTENDED = {482: b"\1", 386: octal(0), 398: octal(0)}

SETUID: dict[str, bytes] = {
    "GNU sparse": header(b"usr/bin/su", mode=b"0004755\0", kind=b"S", magic=b"ustar  \0"),
    "GNU sparse with extension headers": header(
        b"x", kind=b"S", magic=b"ustar  \0", size=octal(512), rest=SPARSE_EXTENDED
    ) + bytes(504) + b"\1" + bytes(7) + bytes(512) + bytes(512) + SU,
    "contiguous": header(b"usr/bin/su", mode=b"0004755\0", kind=b"7"),
    "old, without magic": header(b"usr/bin/su", mode=b"0004755\0", kind=b"\0", magic=b""),
    "a hard link sets its target's mode": header(b"usr/bin/su", mode=b"0004755\0", kind=b"1", link=b"etc/ok"),
    "a mode in base-256": header(b"usr/bin/su", mode=b"\x80\0\0\0\0\0\x09\xed"),
    "a mode that begins with spaces": header(b"usr/bin/su", mode=b"   4755\0"),
    "a mode with a file's type": header(b"usr/bin/su", mode=b"0104755\0"),
    "a mode without an end": header(b"usr/bin/su", mode=b"00004755"),
    "a type that nobody knows": header(b"usr/bin/su", mode=b"0004755\0", kind=b"Z"),
    "behind a lone zero block": bytes(512) + SU,
    "behind the end": END + SU,
    "in an archive behind an archive": END + bytes(8192) + FILE + SU,
    "named by a pax header": pax({"path": "usr/bin/su"}) + header(b"x", mode=b"0004755\0"),
    "named by a GNU header": long(b"usr/bin/su") + header(b"x", mode=b"0004755\0", magic=b"ustar  \0"),
    "a sparse file by pax": pax(
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "usr/bin/su", "GNU.sparse.realsize": "0"}
    ) + header(b"GNUSparseFile.1/su", mode=b"0004755\0"),
    "behind a file whose size stands in base-256": header(b"x", size=b"\x80" + bytes(9) + b"\x02\x00")
    + bytes(512) + SU,
    "behind a file whose size stands in a pax header": pax({"size": "512"}) + header(b"x", size=octal(512))
    + bytes(512) + SU,
}  # fmt: skip


def signed_sum(block: bytes) -> bytes:
    """The same header with the checksum that old writers made: of signed bytes."""
    others = block[:148] + b" " * 8 + block[156:]
    said = sum(others) - 256 * sum(byte >= 0x80 for byte in others)
    return block[:148] + b"%06o\0 " % said + block[156:]


SETUID["with a signed checksum"] = signed_sum(header("usr/bin/\xfcsu".encode("latin-1"), mode=b"0004755\0"))


@pytest.mark.parametrize("shape", SETUID)
def test_a_setuid_entry_is_seen_in_every_dialect(shape: str) -> None:
    section = inspected(gzip.compress(FILE + SETUID[shape] + END))
    assert len(section.details["setuid"]) == 1, section
    assert section.outcome in ("note", "fail")


MADE_BY_UMOCI = {
    "old, without magic", "a mode in base-256", "a mode that begins with spaces", "a mode with a file's type",
    "a mode without an end", "named by a pax header", "named by a GNU header",
    "behind a file whose size stands in base-256", "behind a file whose size stands in a pax header",
    "with a signed checksum",
}  # fmt: skip
"""What umoci makes a setuid file of; it refuses the others, or passes over them."""

CAPABILITY = "\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    "key",
    ["SCHILY.xattr.security.capability", "LIBARCHIVE.xattr.security.capability",
     "LIBARCHIVE.xattr.security%2Ecapability", "SCHILY.xattr.user.containers.override_stat",
     "SCHILY.xattr.trusted.overlay.redirect"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [b"x", b"g"])
def test_attributes_that_give_power_are_seen(key: str, kind: bytes) -> None:
    section = inspected(gzip.compress(FILE + pax({key: CAPABILITY}, kind) + header(b"usr/bin/ping") + END))
    assert len(section.details["capabilities"]) == 1
    assert section.outcome == ("note" if kind == b"x" else "fail")


ESCAPING = {
    "a pax path": pax({"path": "../etc/x"}) + header(b"etc/x"),
    "a pax link": pax({"linkpath": "../../x"}) + header(b"l", kind=b"2", link=b"x"),
    "a pax hard link": pax({"linkpath": "../x"}) + header(b"l", kind=b"1", link=b"x"),
    "a GNU name": long(b"../etc/x") + header(b"etc/x", magic=b"ustar  \0"),
    "a GNU link": long(b"../../x", b"K") + header(b"l", kind=b"2", link=b"x", magic=b"ustar  \0"),
    "a sparse name": pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "../x"}) + header(b"x"),
    "the first of two pax headers": pax({"path": "../x"}) + pax({"path": "x"}) + header(b"x"),
    "the last of two pax headers": pax({"path": "x"}) + pax({"path": "../x"}) + header(b"x"),
    "the first of two GNU names": long(b"../x") + long(b"x") + header(b"x", magic=b"ustar  \0"),
    "a GNU name beside a pax path": long(b"../x") + pax({"path": "x"}) + header(b"x"),
    "a pax path beside a GNU name": pax({"path": "../x"}) + long(b"x") + header(b"x"),
    "a global path": pax({"path": "../x"}, b"g") + header(b"x"),
    "a global link": pax({"linkpath": "../x"}, b"g") + header(b"l", kind=b"2", link=b"x"),
    "a header of Solaris": pax({"path": "../x"}, b"X") + header(b"x"),
    "a prefix": header(b"x", rest={345: b".."}),
    "a prefix where old readers have none": header(b"x", magic=b"", rest={345: b".."}),
    "a prefix in a GNU header": header(b"x", magic=b"ustar  \0", rest={345: b".."}),
    "a prefix of star": header(b"x", rest={345: b"../" + b"a/" * 64, 508: b"tar\0"}),
}


@pytest.mark.parametrize("shape", ESCAPING)
def test_a_name_that_leads_out_is_seen_in_every_reading(shape: str) -> None:
    section = inspected(gzip.compress(FILE + ESCAPING[shape] + END))
    assert section.outcome == "fail"
    assert section.details["escaping"], section


AMBIGUOUS = {
    "a lone zero block": bytes(512) + FILE,
    "entries behind the end": END + FILE,
    "bytes behind the end": END + b"something else" * 40,
    "an archive behind zero blocks": END + FILE,
    "an archive behind other bytes": b"other bytes" * 300 + bytes(3 * 512 - 3300 % 512) + FILE,
    "two pax headers": pax({"path": "a"}) + pax({"path": "b"}) + header(b"x"),
    "two GNU names": long(b"a") + long(b"b") + header(b"x", magic=b"ustar  \0"),
    "a global path": pax({"path": "etc/x"}, b"g") + header(b"x"),
    "a global size": pax({"size": "512"}, b"g") + header(b"x") + padded(b"x"),
    "a pax size that is not the header's": pax({"size": "512"}) + header(b"x", size=octal(0)) + SU,
    "a pax size of nothing": pax({"size": "0"}) + header(b"x", size=octal(512)) + SU,
    "a link with a size": header(b"l", kind=b"1", link=b"etc/ok", size=octal(512)) + SU,
    "a folder with a size": header(b"d/", kind=b"5", size=octal(512)) + SU,
    "an old folder with a size": header(b"d/", kind=b"\0", magic=b"", size=octal(512)) + SU,
    "an unknown type": header(b"x", kind=b"Z"),
    "a sparse name without a sparse file": pax({"GNU.sparse.name": "y"}) + header(b"x"),
    "a path that is taken away": pax({"path": ""}) + header(b"x"),
    "an extended header at the end": pax({"path": "a"}),
    "a sparse file without GNU's magic": header(b"x", kind=b"S"),
}


@pytest.mark.parametrize("shape", AMBIGUOUS)
def test_what_readers_take_differently_fails(shape: str) -> None:
    first = b"" if shape.startswith("an archive behind") else FILE
    section = inspected(gzip.compress(first + AMBIGUOUS[shape] + END))
    assert section.outcome == "fail"
    assert section.details["ambiguous"], section


UNREAD = {
    "a mode behind a NUL": header(b"x", mode=b"\x004755\0\0\0"),
    "a mode with a sign": header(b"x", mode=b"+004755\0"),
    "a mode with an underscore": header(b"x", mode=b"4_755\0\0\0"),
    "a size below zero": header(b"x", size=b"\xff" * 12),
    "a size in base-256 that only some read": header(b"x", size=b"\x81" + bytes(11)),
    "a NUL in a pax path": pax({"path": "a\0../x"}) + header(b"x"),
    "a NUL in a pax key": pax({"SCHILY.xattr.security.capability\0": "x"}) + header(b"x"),
    "a pax record without its end": header(b"P", size=octal(12), kind=b"x") + padded(b"12 path=abcd") + header(b"x"),
    "bytes behind the pax records": header(b"P", size=octal(24), kind=b"x")
    + padded(b"11 path=ab\n" + b"\0" * 13) + header(b"x"),
    "sizes in two pax headers": pax({"size": "1"}) + pax({"size": "2"}) + header(b"x"),
    "extended headers without end": pax({"path": "a"}) * 100 + header(b"x"),
    "a checksum that does not hold": header(b"x")[:-1] + b"\1",
}  # fmt: skip


@pytest.mark.parametrize("shape", UNREAD)
def test_what_no_two_readers_agree_on_is_unread(shape: str) -> None:
    section = inspected(gzip.compress(FILE + UNREAD[shape] + END))
    assert section.outcome == "fail"
    assert len(section.details["unread"]) == 1, section


HARMLESS = {
    "a commit's name by git": pax({"comment": "0" * 40}, b"g") + FILE,
    "a long name by pax": pax({"path": "a/" * 120 + "x", "mtime": "1.5"}) + header(b"a/a/x"),
    "a deep link by pax": pax({"path": "a/" * 60 + "l"})
    + header(b"a/l", kind=b"2", link=b"../" * 50 + b"x"),
    "a large file's size": pax({"size": str(8**11 + 5)}) + header(b"x"),
    "times of GNU": header(b"x", magic=b"ustar  \0", rest={345: b"14000000000\x0014000000000\0"}),
    "a folder with setgid": header(b"var/mail/", mode=b"0002775\0", kind=b"5"),
    "an attribute without power": pax({"SCHILY.xattr.user.note": "x"}) + header(b"x"),
}  # fmt: skip


@pytest.mark.parametrize("shape", [name for name in HARMLESS if not name.startswith("a large")])
def test_what_honest_archives_hold_is_no_finding(shape: str) -> None:
    section = inspected(gzip.compress(HARMLESS[shape] + FILE + END + bytes(8192)))
    assert section.outcome == "ok", section


def by_python(data: bytes) -> dict[str, tuple[int, str]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: (member.mode & 0o7777, member.linkname) for member in archive.getmembers()}


def ours(data: bytes) -> dict[str, tuple[int, str]]:
    from appliance.archives.tar_stream import Member, members
    from appliance.archives.unpacking import Stream

    source = io.BytesIO(data)
    found = members(Stream(lambda: source.read(4096), 1 << 40, float("inf")))
    return {
        one.names[0].rstrip("/"): (one.mode & 0o7777, one.targets[0] if one.kind in "12" else "")
        for one in found
        if isinstance(one, Member)
    }


def tree(root: Path) -> None:
    """Files with every kind of name, mode and link, and one with holes."""
    (root / ("deep/" * 30)).mkdir(parents=True)
    (root / ("deep/" * 30) / ("n" * 120)).write_bytes(b"deep")
    (root / "su").write_bytes(b"x" * 700)
    (root / "su").chmod(0o4755)
    (root / "wall").write_bytes(b"")
    (root / "wall").chmod(0o2755)
    (root / "link").symlink_to("t" * 150)
    (root / "hard").hardlink_to(root / "su")
    (root / "grün").write_text("ü")
    with (root / "sparse").open("wb") as file:
        for place in range(40):
            file.seek(place * 1_000_000)
            file.write(b"data")
    (root / "sparse").chmod(0o4711)


@pytest.mark.parametrize(
    "options",
    [["--format=gnu"], ["--format=gnu", "--sparse"], ["--format=posix"], ["--format=posix", "--sparse"],
     ["--format=posix", "--sparse", "--sparse-version=0.1"], ["--format=posix", "--sparse", "--sparse-version=0.0"],
     ["--format=oldgnu"]],
    ids=" ".join,
)  # fmt: skip
def test_what_gnu_tar_writes_is_read_as_python_and_gnu_tar_read_it(tmp_path: Path, options: list[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    tree(root)
    made = subprocess.run(["tar", *options, "-C", root, "-c", "."], check=True, capture_output=True).stdout
    assert ours(made) == by_python(made)
    listed = subprocess.run(["tar", "-t"], input=made, check=True, capture_output=True).stdout.decode("unicode_escape")
    names = {line.encode("latin-1").decode().rstrip("/") for line in listed.splitlines()}
    assert set(ours(made)) == names
    setuid = {name for name, (mode, _) in ours(made).items() if mode & 0o6000}
    assert setuid >= {"./su", "./wall"}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_writes_is_read_as_python_reads_it(form: int) -> None:
    members: list[tuple[str, dict[str, Any]]] = [
        ("a/" * 40 + "x", {"mode": 0o4755, "data": b"x" * 1000}),
        ("d", {"type": tarfile.DIRTYPE, "mode": 0o755}),
        ("l", {"type": tarfile.SYMTYPE, "linkname": "t" * 90}),
        ("h", {"type": tarfile.LNKTYPE, "linkname": "d/x"}),
    ]
    made = tar(*members, form=form)
    assert ours(made) == by_python(made)


@pytest.mark.peer
@pytest.mark.parametrize("shape", SETUID)
def test_what_umoci_unpacks_as_setuid_is_found(tmp_path: Path, shape: str) -> None:
    """umoci reads layers with Go's archive/tar, as containerd and containers/storage do. The inspection finds each of
    these (above), whether umoci does or not."""
    require("umoci")
    layout = Layout(tmp_path / "image")
    archive = FILE + SETUID[shape] + END
    config = {"os": "linux", "architecture": "amd64",
              "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(archive))]}}  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": layout.blob(json.dumps(config).encode(), OCI_CONFIG),
        "layers": [layout.blob(gzip.compress(archive), "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    layout.tag("1", layout.blob(json.dumps(manifest).encode(), OCI_MANIFEST))
    out = tmp_path / "out"
    done = subprocess.run(
        ["umoci", "unpack", "--rootless", "--image", f"{layout.folder}:1", out], check=False, capture_output=True
    )
    made = [path for path in out.rglob("*") if path.is_file() and path.stat().st_mode & stat.S_ISUID]
    assert bool(made) == (shape in MADE_BY_UMOCI), done.stderr


def test_the_window_of_a_zstd_frame_is_read_from_its_header() -> None:
    from appliance.archives.unpacking import _window_of

    assert _window_of(b"\x28\xb5\x2f\xfd\x00\x88" + bytes(12)) == 1 << 27
    assert _window_of(b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 1 << 30) + bytes(9)) == 1 << 30
