"""Damaged rows are put right by what proves them; a collection goes round what nothing proves."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from appliance.lifecycle import gc, scrub
from appliance.lifecycle.doubtful import DoubtfulRows
from appliance.registry.services import RegistryServices
from appliance.store.blobs import BlobStore
from appliance.store.integrity import last_check
from appliance.store.raw_rows import RawLink, RawRow, RawTag, unflipped
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService
from bundles.errors import FailedError, RefusedError
from bundles.oci.digest import Digest
from tests.conformance.shapes import OCI_MANIFEST, image
from tests.intake.inside import Inside
from tests.lifecycle.conftest import Kept
from tests.registry_server import Server

DIGEST = Digest.of(b"manifest")
NAMES = {1: b"team/app", 2: b"team/apq", 3: b"team/old"}
AT = b"2026-01-02T03:04:05Z"
TAG = RawTag(1, b"team/app", b"", b"", b"", 0).with_fields(1, b"team/app", (b"v1", str(DIGEST).encode(), AT))
LINK = RawLink(1, b"team/app", b"", b"", b"", 0).with_fields(1, b"team/app", (str(DIGEST).encode(), b"manifest", AT))


def flipped(row: RawRow, place: int) -> RawRow:
    """A row with one other bit: of its fields, then of its checksum."""
    fields = [bytearray(field) for field in row.fields]
    bits = [(field, at, bit) for field in fields for at in range(len(field)) for bit in range(8)]
    if place >= len(bits):
        return type(row)(row.repository, row.name, *row.fields, (row.checksum or 0) ^ (1 << (place - len(bits))))
    field, at, bit = bits[place]
    field[at] ^= 1 << bit
    return type(row)(row.repository, row.name, *map(bytes, fields), row.checksum)


@pytest.mark.parametrize("row", [TAG, LINK])
def test_each_flipped_bit_of_a_row_is_found_and_two_are_never_taken_for_one(row: RawRow) -> None:
    bits = 8 * sum(map(len, row.fields)) + 32
    for place in range(0, bits, 3):
        assert unflipped(flipped(row, place), NAMES) == row, place
    for one, other in itertools.pairwise(range(0, bits, 97)):
        assert unflipped(flipped(flipped(row, one), other), NAMES) is None, (one, other)
    moved = type(row)(3, NAMES[3], *row.fields, row.checksum)
    assert unflipped(moved, NAMES) == row, "its repository's number"


def test_what_a_damaged_row_may_stand_for_is_left_alone(kept: Kept) -> None:
    """Its checksum tells, where one field of it is another one; where more may be, everything."""
    image().push(kept.server, "team/app", "v1")
    reader, other = kept.inside.station.reader, Digest.of(b"other")
    hurt = RawLink(1, b"team/app", str(other).encode(), b"manifest", AT, LINK.checksum)
    doubtful = DoubtfulRows(reader, [], [hurt])
    assert (doubtful.may_mean(str(DIGEST)), doubtful.may_mean(str(Digest.of(b"third")))) == (True, False)
    unclear = RawLink(1, b"team/app", str(other).encode(), b"manifest", b"2026-01-0", LINK.checksum)
    assert DoubtfulRows(reader, [], [unclear]).may_mean(str(Digest.of(b"third")))
    assert not DoubtfulRows(reader, [], []).may_mean(str(DIGEST))


def _shown(station: Any, digests: list[str]) -> dict[Any, Any]:
    """What the metadata gives; None where it refuses."""
    found: dict[Any, Any] = {}
    with contextlib.closing(Metadata(station.paths.database)) as metadata:
        for tag in ("v1", "v2"):
            found[tag] = None
            with contextlib.suppress(FailedError, sqlite3.Error):
                found[tag] = metadata.tagged_manifest("team/app", tag) or "not there"
        for digest in digests:
            found[digest] = None
            with contextlib.suppress(FailedError, sqlite3.Error):
                found[digest] = (
                    metadata.linked_manifest("team/app", Digest.parse(digest))
                    or metadata.linked_blob("team/app", Digest.parse(digest))
                    or "not there"
                )
    return found


def test_a_bit_that_flips_in_the_file_is_put_right_or_named_and_nothing_is_lost(kept: Kept, tmp_path: Path) -> None:
    """Tags, links, manifests with annotations and referrers, blobs, repositories and jobs, in tables and in indexes:
    then a collection, a scrub and what is shown."""
    subject = image()
    one = subject.push(kept.server, "team/app", "v1")
    refers = {"mediaType": OCI_MANIFEST, "digest": str(one), "size": len(subject.manifest)}
    two = image(subject=refers).push(kept.server, "team/app", "v2")
    root = tmp_path / "again"
    shutil.copytree(kept.paths.root, root, ignore=shutil.ignore_patterns("run", "*.sqlite*"))
    (root / "run").mkdir()
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        digests = [digest for (digest,) in database.execute("SELECT digest FROM blobs")]
    content, right = kept.paths.database.read_bytes(), _shown(kept.inside.station, digests)
    assert {right["v1"].digest, right["v2"].digest} == {one, two}
    places = [
        found.start() for found in re.finditer(rb"v[12](?=sha256:)|team/app|sha256:[0-9a-f]{8}|20[0-9]{2}-", content)
    ]
    healed = 0
    for number, place in enumerate(places[:: max(1, len(places) // 20)]):
        for left in root.glob("metadata.sqlite*"):
            left.unlink()
        hurt = bytearray(content)
        hurt[place + number % 2] ^= 1 << (number % 8)
        (root / "metadata.sqlite").write_bytes(hurt)
        with Inside(root) as inside:
            station, refused = inside.station, ""
            try:
                gc.run(inside.context(now=True))
            except (FailedError, RefusedError) as error:
                refused = error.what
            said = scrub.run(inside.context(restart=True))
            assert said["damaged"] == [], place
            assert all(station.blobs.has_blob(Digest.parse(digest)) for digest in digests), (place, "lost")
            shown = _shown(station, digests)
            if said["metadata"]["state"] == "ok":
                assert (shown, refused) == (right, ""), place
                healed += 1
            else:
                assert refused, (place, "a word")
                assert last_check(station.reader).found, place
                assert all(each in (None, right[name]) for name, each in shown.items()), (place, "another word")
    assert healed > 12


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tags SET digest = '{two}', checksum = checksum + 5 WHERE tag = 'v1'",
        "UPDATE tags SET tag = 'wrong' WHERE tag = 'v1'",
        "UPDATE tags SET updated = 'never'",
        "UPDATE links SET checksum = 7, created = '' WHERE digest = '{one}'",
        "UPDATE links SET digest = '{garbage}' WHERE digest = '{one}' AND repository_id = 1",
        "UPDATE links SET kind = 'blob' WHERE digest = '{one}'",
    ],
)
def test_the_audit_log_proves_what_no_checksum_does(kept: Kept, change: str) -> None:
    blobs = BlobStore(kept.paths)
    services = RegistryServices(
        blobs=blobs, metadata=Metadata(kept.paths.database), writer=AsyncWriterService(kept.inside.writer),
        uploads=UploadSessions(blobs), audit=kept.inside.station.audit,
    )  # fmt: skip
    images = image(), image(), image()
    with Server(services=services) as server:
        one, two = (each.push(server, "team/app", tag) for each, tag in zip(images, ("v1", "v2"), strict=False))
        garbage = images[2].push(server, "team/app", "v3")
        assert server.ask("DELETE", f"/v2/team/app/manifests/{garbage}").status == 202
        with contextlib.closing(sqlite3.connect(kept.paths.database)) as database:
            assert database.execute(change.format(one=one, two=two, garbage=garbage)).rowcount > 0
            database.commit()
        assert kept.scrub()["metadata"]["state"] == "ok"
        for tag, each in zip(("v1", "v2"), images, strict=False):
            assert server.ask("GET", f"/v2/team/app/manifests/{tag}").body == each.manifest
        assert server.ask("GET", f"/v2/team/app/manifests/{garbage}").status == 404
        assert server.ask("GET", "/v2/team/app/tags/list").json["tags"] == ["v1", "v2"]
    assert {event["detail"]["by"] for event in kept.inside.events("metadata.repair")} == {"log"}
    assert kept.gc(now=True)["doubtful"]["rows"] == []
