"""SHA256SUMS has one form: what sha256sum would also read is not enough."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import limits
from bundles.errors import MalformedError
from bundles.format import sums
from bundles.format.sums import SumLine
from tests.peer_tools import require

LINES = [SumLine("a" * 64, "manifest.json"), SumLine("b" * 64, "README.txt"), SumLine("c" * 64, "volumes/0001.7z")]
GOOD = sums.render(LINES)


def test_the_manifest_comes_first_whatever_the_order_they_were_given_in() -> None:
    assert sums.render(LINES[::-1]) == GOOD
    assert GOOD.splitlines()[0].endswith(b"  manifest.json")


@given(st.sets(st.integers(1, 9_999), max_size=20), st.binary(min_size=32, max_size=32))
def test_what_is_written_reads_back(indexes: set[int], digest: bytes) -> None:
    volumes = [SumLine(digest.hex(), f"volumes/{index:04d}.7z") for index in indexes]
    lines = sums.parse(sums.render([*LINES[:2], *volumes]))
    assert lines[0].path == sums.MANIFEST
    assert set(lines[2:]) == set(volumes)
    assert [line.path for line in lines[1:]] == sorted(line.path for line in lines[1:])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not end with a newline"),
        (b"\n", "line 1 is malformed"),
        (GOOD[:-1], "does not end with a newline"),
        (GOOD + b"\n", "line 4 is malformed"),
        (GOOD + b"\0", "does not end with a newline"),
        (GOOD.replace(b"\n", b"\r\n"), "line 1 is malformed"),
        (GOOD.replace(b"  ", b" *"), "line 1 is malformed"),
        (GOOD.replace(b"  ", b"\t"), "line 1 is malformed"),
        (GOOD.replace(b"  ", b" "), "line 1 is malformed"),
        (GOOD.upper(), "line 1 is malformed"),
        (b"\\" + GOOD, "line 1 is malformed"),
        (b" " + GOOD, "line 1 is malformed"),
        (b"# a comment\n" + GOOD, "line 1 is malformed"),
        (b"\xef\xbb\xbf" + GOOD, "line 1 is malformed"),
        (GOOD.replace(b"c" * 64, b"c" * 63), "line 3 is malformed"),
        (GOOD.replace(b"c" * 64, b"c" * 128), "line 3 is malformed"),
        (GOOD.replace(b"volumes/0001.7z", b"volumes/1.7z"), "line 3 is malformed"),
        (GOOD.replace(b"volumes/0001.7z", b"volumes/../x"), "line 3 is malformed"),
        (GOOD.replace(b"volumes/0001.7z", b"/etc/passwd"), "line 3 is malformed"),
        (GOOD.replace(b"volumes/0001.7z", b"./README.txt"), "line 3 is malformed"),
        (GOOD.replace(b"volumes/0001.7z", b"volumes/000\xd9\xa1.7z"), "line 3 is malformed"),
        (GOOD.replace(b"volumes/0001.7z", b"README.txt"), "names a file twice"),
        (b"".join(GOOD.splitlines(keepends=True)[::-1]), "is out of order"),
        (b"".join(GOOD.splitlines(keepends=True)[i] for i in (0, 2, 1)), "is out of order"),
        (b"".join(GOOD.splitlines(keepends=True)[1:]), r"does not name manifest\.json"),
        (b"".join(GOOD.splitlines(keepends=True)[i] for i in (0, 2)), r"does not name README\.txt"),
        (GOOD * (limits.SUMS_FILE // len(GOOD) + 1), "too large"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_any_other_form_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        sums.parse(data)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_one_clear_error_or_read_back_the_same(data: bytes) -> None:
    try:
        lines = sums.parse(data)
    except MalformedError:
        return
    assert sums.render(lines) == data


def test_sha256sum_reads_what_we_write(tmp_path: Path) -> None:
    require("sha256sum")
    (tmp_path / "manifest.json").write_bytes(b"{}")
    (tmp_path / "README.txt").write_bytes(b"read me")
    lines = [
        SumLine(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest(), name)
        for name in ("manifest.json", "README.txt")
    ]
    (tmp_path / "SHA256SUMS").write_bytes(sums.render([*lines, SumLine("0" * 64, "volumes/0001.7z")]))
    command = ["sha256sum", "-c", "--strict", "--ignore-missing", "SHA256SUMS"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
