"""What a delta may stand on: content that is served here, or that an earlier bundle of its stream brought."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.intake import import_job, release
from appliance.release_check.unexplained import unexplained
from appliance.store.reads.intake import find_entry
from bundles.documents.signed import WantList, decode
from bundles.errors import FailedError
from bundles.format.manifest import Required
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Carried, Inside, carry

BASE = b"the base " * 500
DIGEST = str(Digest.of(BASE))


class Yard:
    """A station that trusts sites alpha and gamma, and bundles of either."""

    def __init__(self, root: Path, inside: Inside) -> None:
        self.root, self.inside = root, inside
        self.officer: PrivateKey = inside.officer()
        self._made = 0
        self._last: dict[str, Carried] = {}

    def made(self, stream: str, sequence: int, *, delta: bool = False) -> Path:
        """A bundle with an artifact of BASE; a delta requires it."""
        self._made += 1
        store = MemoryStore()
        site = stream.partition(".")[0]
        artifact = file_artifact(store, BASE, f"{site}/one")
        requires = []
        if delta:
            del store.blobs[Digest.of(BASE)]
            requires = [Required(digest=DIGEST, size=len(BASE))]
        last = self._last.get(stream)
        made = carry(
            self.root / f"medium{self._made}", store, [artifact], stream=stream, sequence=sequence,
            requires=requires, previous=None if sequence == 1 or last is None else last.digest,
        )  # fmt: skip
        self._last[stream] = made
        trust_key(self.inside.station.paths.trust, made.key.public, purpose="bundle", owner=f"{site} {self._made}",
                  sites=[site])  # fmt: skip
        return made.folder

    def bring(self, stream: str, sequence: int, *, delta: bool = False) -> str:
        return str(self.inside.bring(self.made(stream, sequence, delta=delta))["id"])

    def let_out(self, name: str) -> None:
        self.inside.decide(name, self.officer)
        self.inside.release(name)

    def reject(self, name: str) -> None:
        self.inside.decide(name, self.officer, "reject", "not wanted")


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        yield Yard(tmp_path, inside)


def test_what_only_another_sources_rejected_bundle_brought_does_not_count(yard: Yard) -> None:
    yard.reject(yard.bring("gamma.bravo", 1))
    assert yard.inside.station.blobs.has_blob(Digest.of(BASE))
    before = yard.inside.everything()
    with pytest.raises(FailedError) as caught:
        yard.bring("alpha.bravo", 1, delta=True)
    assert DIGEST in caught.value.thing
    assert "gamma.bravo-000001" in caught.value.remedy
    assert yard.inside.everything() == before
    wants = yard.inside.station.paths.wants / "alpha.bravo-000001.wants"
    assert [blob.digest for blob in decode(wants.read_bytes(), WantList).blobs] == [DIGEST]


def test_what_another_sources_bundle_brought_counts_once_it_is_released(yard: Yard) -> None:
    theirs = yard.bring("gamma.bravo", 1)
    folder = yard.made("alpha.bravo", 1, delta=True)
    with pytest.raises(FailedError, match=f"release {theirs} first"):
        yard.inside.bring(folder)
    yard.let_out(theirs)
    yard.let_out(str(yard.inside.bring(folder)["id"]))


def test_a_rejected_bundle_of_the_same_stream_does_not_count(yard: Yard) -> None:
    yard.reject(yard.bring("alpha.bravo", 1))
    with pytest.raises(FailedError, match=r"alpha\.bravo-000001, which was rejected"):
        yard.bring("alpha.bravo", 2, delta=True)


def test_a_delta_of_a_rejected_base_lends_nothing_to_a_later_one(yard: Yard) -> None:
    base, _ = yard.bring("alpha.bravo", 1), yard.bring("alpha.bravo", 2, delta=True)
    yard.reject(base)
    with pytest.raises(FailedError, match=r"alpha\.bravo-000001, which was rejected"):
        yard.bring("alpha.bravo", 3, delta=True)


def test_a_delta_is_not_released_before_the_bundle_that_it_stands_on(yard: Yard) -> None:
    base, delta = yard.bring("alpha.bravo", 1), yard.bring("alpha.bravo", 2, delta=True)
    before = yard.inside.visible()
    with pytest.raises(FailedError, match=f"release {base} first") as caught:
        yard.let_out(delta)
    assert DIGEST in caught.value.thing
    assert yard.inside.visible() == before
    yard.let_out(base)
    yard.inside.release(delta)


def test_a_delta_whose_base_is_rejected_after_its_import_is_not_released(yard: Yard) -> None:
    base, delta = yard.bring("alpha.bravo", 1), yard.bring("alpha.bravo", 2, delta=True)
    yard.reject(base)
    with pytest.raises(FailedError, match="carry a receipt to alpha") as caught:
        yard.let_out(delta)
    assert base in caught.value.remedy
    assert yard.inside.visible()["links"] == []


def test_a_base_that_is_withdrawn_while_the_release_is_prepared_stops_its_transaction(yard: Yard) -> None:
    base, delta = yard.bring("alpha.bravo", 1), yard.bring("alpha.bravo", 2, delta=True)
    yard.let_out(base)
    yard.inside.decide(delta, yard.officer)
    prepared = release.prepare(yard.inside.station, find_entry(yard.inside.station.reader, delta), "tester(0)")
    yard.inside.withdraw(base)
    with pytest.raises(FailedError, match="not released here any more"):
        yard.inside.writer.submit(prepared.write)
    assert yard.inside.visible()["links"] == []
    with pytest.raises(FailedError, match=f"release {base} first: it is withdrawn"):
        yard.inside.release(delta)


def by_hand(yard: Yard, *statements: str) -> None:
    """Somebody with sqlite3 at the database, for a moment."""
    with sqlite3.connect(yard.inside.station.paths.database) as intruder:
        for statement in statements:
            intruder.execute(statement.format(digest=DIGEST))
    intruder.close()


SHOWN = (
    "INSERT OR IGNORE INTO repositories (name, created) VALUES ('stolen', '2026-01-01T00:00:00Z')",
    "INSERT INTO links (repository_id, digest, kind, created) SELECT id, '{digest}', 'blob', '2026-01-01T00:00:00Z'"
    " FROM repositories WHERE name = 'stolen'",
)
HIDDEN = ("DELETE FROM links WHERE digest = '{digest}'", "DELETE FROM repositories WHERE name = 'stolen'")


def test_a_link_made_by_hand_lets_no_rejected_bytes_in_by_an_import(yard: Yard) -> None:
    yard.reject(yard.bring("gamma.bravo", 1))
    folder = yard.made("alpha.bravo", 1, delta=True)
    by_hand(yard, *SHOWN)
    with pytest.raises(FailedError, match=r"gamma\.bravo-000001, which was rejected"):
        yard.inside.bring(folder)


def test_a_link_made_by_hand_lets_no_rejected_bytes_out_by_a_release(yard: Yard) -> None:
    base, delta = yard.bring("alpha.bravo", 1), yard.bring("alpha.bravo", 2, delta=True)
    yard.reject(base)
    by_hand(yard, *SHOWN)
    with pytest.raises(FailedError, match=f"{base}, which brought it, was rejected"):
        yard.let_out(delta)
    by_hand(yard, *HIDDEN)
    assert yard.inside.visible()["links"] == []
    assert unexplained(yard.inside.station) == []


@pytest.mark.parametrize("state", ["quarantined", "withdrawn"])
def test_a_rejection_that_the_database_forgot_still_ends_what_a_bundle_lends(yard: Yard, state: str) -> None:
    base = yard.bring("alpha.bravo", 1)
    yard.reject(base)
    by_hand(
        yard, "DROP TRIGGER IF EXISTS intake_steps", f"UPDATE intake SET state = '{state}'",
        "INSERT INTO pins (bundle, digest) SELECT digest, '{digest}' FROM intake",
    )  # fmt: skip
    with pytest.raises(FailedError, match="stands on blobs that are not here"):
        yard.bring("alpha.bravo", 2, delta=True)


def test_what_a_client_pushed_counts_until_it_is_deleted(yard: Yard) -> None:
    yard.reject(yard.bring("gamma.bravo", 1))
    say = yard.inside.station.audit.record
    say(AuditEvent(Act.PUSH_BLOB, "robot", f"stolen@{DIGEST}", "done", {}))
    by_hand(yard, *SHOWN)
    name = yard.bring("alpha.bravo", 1, delta=True)
    yard.let_out(name)
    yard.inside.withdraw(name)
    say(AuditEvent(Act.DELETE_BLOB, "robot", f"stolen@{DIGEST}", "done", {}))
    with pytest.raises(FailedError, match="not released here"):
        yard.let_out(name)


def test_a_volume_that_did_not_come_brought_nothing(tmp_path: Path) -> None:
    large, other = os.urandom(400_000), os.urandom(400_000)
    with Inside(tmp_path / "bravo", approvals_needed=1, partial_imports=["alpha.*"]) as inside:
        yard, store = Yard(tmp_path, inside), MemoryStore()
        artifacts = [file_artifact(store, other, "alpha/other"), file_artifact(store, large, "alpha/large")]
        first = carry(tmp_path / "first", store, artifacts, volume=500_000)
        store = MemoryStore()
        theirs = carry(tmp_path / "theirs", store, [file_artifact(store, large, "gamma/large")], stream="gamma.bravo")
        store = MemoryStore()
        artifact = file_artifact(store, large, "alpha/large")
        del store.blobs[Digest.of(large)]
        requires = [Required(digest=str(Digest.of(large)), size=len(large))]
        delta = carry(
            tmp_path / "delta", store, [artifact], sequence=2, previous=first.digest, requires=requires
        )  # fmt: skip
        for made, site in ((first, "alpha"), (theirs, "gamma"), (delta, "alpha")):
            key = made.key.public
            trust_key(inside.station.paths.trust, key, purpose="bundle", owner=key.keyid, sites=[site])
        lost = max((first.folder / "volumes").iterdir())
        lost.unlink()
        import_job.run(inside.context(paths=[str(first.folder)], partial=True))  # type: ignore[arg-type]
        yard.reject(str(inside.bring(theirs.folder)["id"]))
        assert inside.station.blobs.has_blob(Digest.of(large))
        with pytest.raises(FailedError) as caught:
            inside.bring(delta.folder)
        assert str(Digest.of(large)) in caught.value.thing
