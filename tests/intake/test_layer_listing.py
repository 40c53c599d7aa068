"""What is in a layer is listed as it is read: by name, within its ceilings, and never unpacked."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance import clock
from appliance.api.content import LayerFile
from appliance.archives.listing import listed
from appliance.control.api import CONTROL
from appliance.limits import archives as limits
from appliance.store.writes.registry import LinkBlob
from appliance.store.writes.write import under_event
from bundles.oci.digest import Digest
from tests.conformance.shapes import LAYER, Content, descriptor, image
from tests.control.test_what_is_shown import OURS, THEIRS, _row, a_desk, put


def archive(*entries: tuple[str, str, str]) -> bytes:
    """A tar of entries `(name, type, link)`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, link in entries:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind.encode(), link, 0o4755
            member.size = 3 if kind == "0" else 0
            tar.addfile(member, io.BytesIO(b"abc") if kind == "0" else None)
    return out.getvalue()


def files(data: bytes, wanted: str = "", **more: float) -> tuple[list[LayerFile], str]:
    lines = list(listed(io.BytesIO(data), len(data), wanted, **more))
    assert [line.end for line in lines] == [False] * (len(lines) - 1) + [True]
    return [file for line in lines for file in line.files], lines[-1].why


def test_every_kind_of_entry_is_named_with_its_mode_size_and_target() -> None:
    long = "d/" * 90 + "end"
    data = archive(
        ("usr/bin/su", "0", ""), ("etc", "5", ""), ("bin", "2", "usr/bin"), ("su", "1", "usr/bin/su"), (long, "0", "")
    )
    found, why = files(gzip.compress(data))
    assert why == ""
    assert [(one.path, one.kind, one.size, one.mode, one.link) for one in found] == [
        ("usr/bin/su", "file", 3, "4755", ""), ("etc/", "folder", 0, "4755", ""), ("bin", "link", 0, "4755", "usr/bin"),
        ("su", "hard link", 0, "4755", "usr/bin/su"), (long, "file", 3, "4755", ""),
    ]  # fmt: skip


def test_a_filter_is_held_against_the_whole_path_whatever_its_case() -> None:
    found, _ = files(archive(("etc/SSL/cert.pem", "0", ""), ("etc/passwd", "0", "")), "ssl/CERT")
    assert [one.path for one in found] == ["etc/SSL/cert.pem"]


def test_more_files_than_are_shown_say_so_and_a_filter_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LISTING_FILES", 5)
    data = archive(*((f"file-{number}", "0", "") for number in range(9)))
    found, why = files(data)
    assert len(found) == 5
    assert "only the first 5 files" in why
    assert [one.path for one in files(data, "file-8")[0]] == ["file-8"]


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"plain text", "no archive"), (b"", "no archive"), (gzip.compress(archive(("a", "0", "")))[:-20], "ends early"),
     (archive(("a", "0", ""))[:700], "middle of a file"), (b"\x1f\x8b" + b"\xff" * 40, "damaged")],
    ids=["text", "nothing", "cut gzip", "cut tar", "damaged gzip"],
)  # fmt: skip
def test_what_is_no_whole_archive_says_why(data: bytes, says: str) -> None:
    assert says in files(data)[1]


def test_a_bomb_ends_at_the_ceiling_and_a_slow_layer_at_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAYER_FLOOR", 1_000_000)
    large = tarfile.TarInfo("zeros")
    large.size = 20_000_000
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(large, io.BytesIO(bytes(large.size)))
    packed = gzip.compress(out.getvalue())
    assert "grows too large" in files(packed)[1]
    assert "there is more" in files(packed, seconds=-1)[1]


async def test_a_layer_is_listed_to_whoever_may_pull_it_and_to_nobody_else(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        layer = gzip.compress(archive(("etc/os-release", "0", ""), ("\x1b[2J", "0", "")))
        content = image()
        document = json.loads(content.manifest) | {"layers": [descriptor(layer, LAYER)]}
        content = Content(json.dumps(document).encode(), [content.blobs[0], layer])
        station = desk.app[CONTROL].station
        row = _row(SimpleNamespace(station=station), layer)  # type: ignore[arg-type]
        with under_event():
            station.writer.submit(LinkBlob(repository=OURS, blob=row, at=clock.now()))
            put(SimpleNamespace(station=station, writer=station.writer), OURS, content, "files")  # type: ignore[arg-type]
        digest = str(Digest.of(layer))
        desk.be("reader team/**")
        ref = {"ref": f"{OURS}:files", "layer": digest}
        async with desk.client.get("/v1/layer/files", params=ref) as answer:
            assert answer.status == 200
            assert answer.content_type == "application/x-ndjson"
            assert b'"path":"etc/os-release"' in await answer.read()
        for query, status in (
            ({"ref": f"{OURS}:1", "layer": digest}, 404), ({"ref": f"{OURS}:none", "layer": digest}, 404),
            ({"ref": f"{THEIRS}:1", "layer": digest}, 403), ({"ref": f"{OURS}:files", "layer": "sha256:1"}, 400),
            ({"ref": f"{OURS}:files"}, 400),
        ):  # fmt: skip
            async with desk.client.get("/v1/layer/files", params=query) as answer:
                assert answer.status == status, query
