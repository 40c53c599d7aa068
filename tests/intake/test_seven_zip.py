"""7z archives are looked through: what they hold is found as in any other archive, and nothing is written."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import py7zr
import pytest

from appliance.archives.contents import look
from appliance.archives.findings import Looked
from appliance.limits import archives as limits
from appliance.store.reads.intake import report_text
from tests.bundles.packed_header import packed_header
from tests.intake.inside import Inside
from tests.outgoing.outside import Outside
from tests.peer_tools import require


def looked(data: bytes, seconds: float = 60.0) -> Looked:
    return look(io.BytesIO(data), len(data), time.monotonic() + seconds)


def packed(**entries: bytes) -> bytes:
    return packed_as({}, entries)


def packed_as(options: dict[str, Any], entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", **options) as archive:
        for name, data in entries.items():
            archive.writestr(data, name)
    return out.getvalue()


def tar(name: str = "tool", mode: int = 0o4755) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.mode = mode
        archive.addfile(member)
    return out.getvalue()


def rules(found: Looked) -> dict[str, list[str]]:
    return {rule: [str(one.get("path")) for one in kept.listed] for rule, kept in found.found.items()}


def test_a_plain_archive_is_listed_and_nothing_is_found() -> None:
    found = looked(packed(**{"readme.txt": b"hello", "data.bin": os.urandom(4096), "empty": b""}))
    assert (found.content, found.entries, found.failed, rules(found)) == ("7z", 3, "", {})
    assert sorted(found.names) == ["data.bin", "empty", "readme.txt"]


def test_what_is_in_archives_inside_is_found() -> None:
    inner = packed(**{"deep.tar.gz": gzip.compress(tar("power"))})
    found = looked(packed(**{"a.tar": tar("su"), "b.tar": tar("../out", 0o644), "c.7z": inner}))
    assert rules(found) == {"setuid": ["a.tar!su", "c.7z!deep.tar.gz!power"], "escaping": ["b.tar!../out"]}


def test_modes_and_links_of_stock_7z_are_found(tmp_path: Path) -> None:
    require("7z")
    (tmp_path / "su").write_bytes(b"x")
    (tmp_path / "su").chmod(0o4755)
    (tmp_path / "away").symlink_to("../../etc/passwd")
    (tmp_path / "inside").symlink_to("su")
    subprocess.run(["7z", "a", "-snl", "out.7z", "su", "away", "inside"], cwd=tmp_path, check=True, capture_output=True)
    found = looked((tmp_path / "out.7z").read_bytes())
    assert (found.failed, found.entries) == ("", 3)
    assert rules(found) == {"setuid": ["su"], "escaping": ["away"]}


@pytest.mark.parametrize(
    "method", ["-m0=Copy", "-m0=LZMA", "-m0=LZMA2", "-m0=BZip2", "-m0=Deflate", "-m0=BCJ", "-mx=9"]
)
def test_the_methods_of_stock_7z_are_read(tmp_path: Path, method: str) -> None:
    require("7z")
    (tmp_path / "a.tar").write_bytes(tar("su"))
    extra = ["-m1=LZMA2"] if method == "-m0=BCJ" else []
    subprocess.run(["7z", "a", method, *extra, "out.7z", "a.tar"], cwd=tmp_path, check=True, capture_output=True)
    assert rules(looked((tmp_path / "out.7z").read_bytes())) == {"setuid": ["a.tar!su"]}


@pytest.mark.parametrize("option", ["-m0=PPMd", "-psecret", "-mx=9 -md=256m"])
def test_what_is_not_read_says_why(tmp_path: Path, option: str) -> None:
    require("7z")
    (tmp_path / "a").write_bytes(b"hello" * 1000)
    subprocess.run(["7z", "a", *option.split(), "out.7z", "a"], cwd=tmp_path, check=True, capture_output=True)
    data = bytearray((tmp_path / "out.7z").read_bytes())
    found = looked(bytes(data))
    assert found.failed or "md" in option  # 7z makes the window no larger than the content
    assert found.content == ("" if found.failed else "7z")


def test_an_archive_that_is_too_large_to_hold_is_said_to_be_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEVEN_ZIP_HELD", 2048)
    found = looked(packed(**{"big.tar": tar(), "big.txt": b"a" * 5000, "small.tar.gz": gzip.compress(tar("su"))}))
    assert rules(found) == {"unread": ["big.tar"], "setuid": ["small.tar.gz!su"]}


UNIX = 0x8000
LINK = 0o120777 << 16 | UNIX | 0x20


def attributed(*entries: tuple[str, bytes, int]) -> bytes:
    """An archive of entries as name, content and attributes, spelled as they are."""
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        for number, (name, data, attributes) in enumerate(entries):
            archive.writestr(data, f"x{number}")
            archive.header.files_info.files[-1].update(filename=name, attributes=attributes)
    return out.getvalue()


@pytest.mark.parametrize("attributes", [0x10, 0x410, 0x400, 0x20, 0x30])
@pytest.mark.parametrize("kind", [0o100000, 0o140000, 0o040000, 0o010000, 0o060000, 0])
def test_an_entry_with_content_is_a_file_whatever_its_attributes_say(attributes: int, kind: int) -> None:
    mark = (kind | 0o4755) << 16 | UNIX | attributes
    found = rules(looked(attributed(("tool", b"#!", mark), ("a.tar", tar("su"), mark))))
    assert {"tool", "a.tar", "a.tar!su"} <= set(found["setuid"])


def test_a_mode_without_the_extension_bit_and_one_of_a_link_are_found() -> None:
    bare, link = 0o104755 << 16 | 0x20, 0o124755 << 16 | UNIX
    assert rules(looked(attributed(("a", b"x", bare), ("b", b"a", link)))) == {"setuid": ["a", "b"]}


@pytest.mark.parametrize("name", ["lnk", "./lnk", "lnk/", "lnk/.", ".//lnk", "a//../lnk", "a/../lnk/"])
def test_a_link_is_one_however_its_name_is_spelled(name: str) -> None:
    found = looked(attributed((name, b"../away", LINK), ("plain", b"../away", 0x20)))
    climbs = {"ambiguous": [name]} if ".." in name else {}
    assert (found.failed, rules(found)) == ("", {"escaping": [name]} | climbs)


def test_two_spellings_of_one_name_are_ambiguous() -> None:
    assert rules(looked(attributed(("a/b", b"x", 0x20), ("a//b", b"y", 0x20)))) == {"ambiguous": ["a//b"]}


def test_a_link_behind_an_empty_entry_of_a_later_folder_is_one() -> None:
    out = io.BytesIO(packed(first=b"x"))
    with py7zr.SevenZipFile(out, "a") as archive:
        for name, data in (("second", b"y"), ("empty", b""), ("lnk", b"../away"), ("a.tar", tar("su"))):
            archive.writestr(data, name)
        listed = archive.header.files_info.files
        listed[2]["emptystream"] = True
        listed[3]["attributes"] = LINK
        streams = archive.header.main_streams.substreamsinfo
        streams.unpacksizes = [1, 1, 7, len(tar("su"))]
        del streams.digests[2], streams.digestsdefined[2]
        streams.num_unpackstreams_folders[-1] -= 1
    found = looked(out.getvalue())
    assert (found.failed, found.entries) == ("", 6)
    assert rules(found) == {"escaping": ["lnk"], "setuid": ["a.tar!su"]}


def test_an_entry_that_is_not_delivered_leaves_the_archive_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(a=b"x", b=b"y")
    extract = py7zr.SevenZipFile.extract
    monkeypatch.setattr(
        py7zr.SevenZipFile, "extract", lambda archive, **options: extract(archive, targets=["0"], **options)
    )
    assert "not read: b" in looked(data).failed


@pytest.mark.parametrize(
    "lead",
    [bytes(512), bytes(1024), b"x" * 512, bytes(512) + b"x" * 1024, bytes(8192)],
    ids=["a zero block", "two zero blocks", "another block", "both", "more zeros than are held"],
)
def test_a_large_archive_behind_other_blocks_is_said_to_be_unread(monkeypatch: pytest.MonkeyPatch, lead: bytes) -> None:
    monkeypatch.setattr(limits, "SEVEN_ZIP_HELD", 4096)
    found = looked(packed(**{"layer.tar": lead + tar() + bytes(9000), "big.txt": b"a" * 9000}))
    assert rules(found) == {"unread": ["layer.tar"]}


def test_a_header_that_unpacks_to_too_much_is_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEVEN_ZIP_HEADER_UNPACKED", 1 << 20)
    assert "header that is too large" in looked(packed_header((1 << 20) + 64)).failed


def test_archives_inside_archives_end(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(**{"x": b"x"})
    for _ in range(limits.SEVEN_ZIP_DEPTH + 1):
        data = packed(**{"inner.7z": data})
    assert "unread" in rules(looked(data))


def test_growth_and_time_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed(**{"zeros": bytes(4 * 1024 * 1024)})
    assert "takes too long" in looked(bomb, seconds=-1).failed
    monkeypatch.setattr(limits, "LAYER_FLOOR", 1024)
    monkeypatch.setattr(limits, "LAYER_RATIO", 2)
    assert "grows too large" in looked(bomb).failed


def test_a_7z_archive_inside_another_compression_is_said_to_be_unread() -> None:
    assert rules(looked(gzip.compress(packed(**{"su.tar": tar()})))) == {"unread": [""]}


def test_a_tar_that_begins_as_a_7z_archive_is_still_an_archive() -> None:
    data = packed(**{"x": b"x"})
    both = data + bytes(-len(data) % 512) + tar("su")
    found = looked(both)
    assert found.failed or "setuid" in rules(found)
    assert found.content in ("", "archive")


def test_any_changed_byte_ends_in_a_sentence() -> None:
    good = packed(**{"a.tar": tar("su"), "b": b"hello" * 50})
    for position in range(0, len(good), 3):
        data = bytearray(good)
        data[position] ^= 0xFF
        found = looked(bytes(data))
        assert found.failed or found.content in ("7z", "binary")


@pytest.mark.parametrize("cut", [6, 20, 31, 32, 40, -10, -1])
def test_a_cut_archive_is_unread(cut: int) -> None:
    assert looked(packed(**{"a": b"hello" * 50})[:cut]).failed


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    looked(packed(**{"a": b"1", "folder/b": b"2"}))
    assert list(tmp_path.iterdir()) == []


def test_a_report_lists_what_is_in_one_and_finds_it_in_a_collected_file(tmp_path: Path) -> None:
    with Outside(tmp_path / "alpha") as outside, Inside(tmp_path / "bravo") as inside:
        inside.trust(outside.key.public)
        (tmp_path / "tools.7z").write_bytes(packed(**{"a.tar": tar("su"), "readme": b"hello"}))
        for number in range(2):  # the second time the findings are recalled
            medium = tmp_path / f"medium{number}"
            medium.mkdir()
            outside.collect({"kind": "file", "path": str(tmp_path / "tools.7z"), "as": f"files/tools:{number}"})
            result = outside.build(medium, f"files/tools:{number}")
            inside.bring(Path(result["path"]))
            sections = json.loads(report_text(inside.station.reader, result["digest"]) or "")["sections"]
            details = next(one for one in sections if one["inspector"] == "layers")["details"]
            assert [one["path"] for one in details["setuid"]] == ["a.tar!su"]
            assert (details["opaque"], details["unread"]) == ([], [])
            assert sorted(details["seven_zip"][0]["names"]) == ["a.tar", "readme"]
