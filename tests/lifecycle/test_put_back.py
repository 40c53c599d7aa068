"""After a restore, over a live station with accounts: imports stay shut until two people say where a stream stood."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.event import AuditEvent
from appliance.audit.reading import tail
from appliance.lifecycle.forgotten import look
from appliance.lifecycle.restored_copy import shut_if_forgotten
from appliance.paths import StationPaths
from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter
from appliance.store.writer.service import WriterService
from appliance.store.writes.ledger import EnterReceipt
from appliance.store.writes.outgoing import SignBundle, TakeSequence
from bundles.documents.audit_log import segments
from bundles.errors import RefusedError
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private, save_private
from bundles.signing.pinning import trust_key
from tests.access.test_station import PASSWORD, Live
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of, small_bundle
from tests.stage import lockgate

STREAM = "alpha.bravo"
NAMES = ("ada", "cora", "anna", "bo")


@dataclass
class Site:
    """A closed station, and its people's log-ins: ada administers, cora carries, anna and bo decide."""

    folder: Path
    people: dict[str, Live]
    logged_in: set[str] = field(default_factory=set)
    """Since the station started: a log-in ends with it."""

    @property
    def root(self) -> Path:
        return self.folder / "bravo"

    def start(self) -> None:
        self.people["ada"].start()
        self.logged_in.clear()

    def stop(self) -> None:
        self.people["ada"].stop()

    def run(self, who: str, *words: object, expect: int = 0) -> str:
        if who != "ada" and who not in self.logged_in:
            self.people[who].call("user", "login", who, password=PASSWORD)
            self.logged_in.add(who)
        return self.people[who].call(*words, expect=expect)

    def say(self, who: str, *words: object, expect: int = 0) -> str:
        """One of the two officers' word about the stream."""
        why = f"{who} looked"
        return self.run(who, "intake", "stream", "reset", STREAM, *words, "--why", why, "--key", who, expect=expect)

    def bring(self, made: SmallBundle, expect: int = 0) -> str:
        return self.run("cora", "intake", "import", made.folder, expect=expect)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The station's folder with its accounts, before anything came in."""
    root = tmp_path_factory.mktemp("prepared") / "bravo"
    ada = Live(root, root.parent)
    made = json.loads(ada.call("init", root, "--site", "bravo", "--side", "inside", "--json"))
    ada.call("user", "claim", "ada", code=made["code"], password=PASSWORD)
    ada.start()
    ada.call("user", "login", "ada", password=PASSWORD)
    for name, role in (("cora", "courier"), ("anna", "security-officer"), ("bo", "security-officer")):
        ada.call("user", "create", name, password=PASSWORD)
        ada.call("role", "grant", name, role)
    ada.stop()
    for name in ("anna", "bo"):
        own = create_private()
        save_private(root / f"keys/{name}.pem", own, None)
        trust_key(root / "trust", own.public, purpose="release", owner=name, sites=[])
    return root


@pytest.fixture
def site(prepared: Path, tmp_path: Path) -> Iterator[Site]:
    copy(prepared, tmp_path / "bravo")
    for name in NAMES:
        (tmp_path / name).mkdir()
    site = Site(tmp_path, {name: Live(tmp_path / "bravo", tmp_path / name) for name in NAMES})
    site.start()
    yield site
    site.stop()


def copy(root: Path, to: Path) -> None:
    """A copy of a stopped station's folder."""
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("run"))
    (to / "run").mkdir()


def bundle(site: Site, sequence: int, previous: SmallBundle | None = None, **changes: object) -> SmallBundle:
    follows = None if previous is None else str(Digest.of(previous.signed.sums))
    made = small_bundle(site.folder / f"carried{sequence}", sequence=sequence, previous=follows, **changes)
    trust_key(site.root / "trust", made.key.public, purpose="bundle", owner="Engineering", sites=["alpha"])
    return made


def test_a_station_that_was_put_back_takes_nothing_until_two_people_enter_its_receipts_head(site: Site) -> None:
    first = bundle(site, 1)
    site.bring(first)
    site.stop()
    copy(site.root, site.folder / "copy")
    site.start()
    second = bundle(site, 2, first)
    site.bring(second)
    receipt = site.folder / "receipt.json"
    site.run("cora", "receipt", "export", "--out", receipt)
    trust = shutil.copytree(site.root / "trust", site.folder / "trust-now")
    assert "the station is running already" in site.run("ada", "restore", "--why", "too early", expect=1)

    site.stop()
    shutil.rmtree(site.root)
    copy(site.folder / "copy", site.root)
    shutil.copytree(trust, site.root / "trust", dirs_exist_ok=True)
    told = ("--why", "the disk died; Monday's copy", "--receipt", receipt, "--json")
    said = json.loads(site.run("ada", "restore", *told))
    assert said["people"] == 2
    head = {"stream": STREAM, "sequence": 1, "digest": str(Digest.of(first.signed.sums))}
    assert said["streams"] == [head]

    site.start()
    assert "imports are shut since the restore" in site.bring(second, expect=3)
    status = json.loads(site.run("anna", "status", "--json"))
    assert not status["health"]["ok"]
    assert any("imports are shut" in alert for alert in status["alerts"])
    assert f"[!!] imports are shut since the restore of {clock.now()[:10]}" in site.run(
        "anna", "intake", "stream", "show"
    )
    assert "a reset takes two people" in site.run(
        "anna", "intake", "stream", "reset", STREAM, "--receipt", receipt, "--why", "alone", expect=3
    )
    assert "1 of 2 people" in site.say("anna", "--receipt", receipt)
    assert "1 of 2 people" in site.say("anna", "--receipt", receipt)
    assert "imports are shut" in site.bring(second, expect=3)
    assert "continues after number 2" in site.say("bo", "--receipt", receipt)

    assert "a rollback: the stream is" in site.bring(second, expect=3)
    third = bundle(site, 3, second)
    assert site.bring(third).splitlines()[-1] == name_of(3)
    assert "[!!]" not in site.run("anna", "intake", "stream", "show")
    assert json.loads(site.run("anna", "status", "--json"))["health"]["ok"]
    after = site.folder / "after.json"
    site.run("cora", "receipt", "export", "--out", after)
    number, previous = json.loads(after.read_bytes())["number"], json.loads(after.read_bytes())["previous"]
    assert (number, previous) == (2, str(Digest.of(receipt.read_bytes())))  # the other side takes it for the next one
    acts = [event["act"] for event in tail(site.root / "audit", 200)]
    assert acts.count("restore") == 1
    assert acts.count("stream.reset") >= 1


def test_a_database_that_was_put_back_alone_is_seen_when_the_station_starts(site: Site) -> None:
    first = bundle(site, 1)
    site.bring(first)
    site.stop()
    monday = site.folder / "monday"
    monday.mkdir()
    for path in site.root.glob("metadata.sqlite*"):
        shutil.copy(path, monday)
    site.start()
    second = bundle(site, 2, first)
    site.bring(second)
    site.stop()
    for left in site.root.glob("metadata.sqlite*"):
        left.unlink()
    shutil.copytree(monday, site.root, dirs_exist_ok=True)
    site.start()
    assert "imports are shut since the restore" in site.bring(second, expect=3)
    digest = str(Digest.of(second.signed.sums))
    site.say("anna", "--sequence", 2, "--digest", digest)
    site.say("bo", "--sequence", 2, "--digest", digest)
    site.stop()
    site.start()  # what people know of is not shut again
    assert site.bring(bundle(site, 3, second)).splitlines()[-1] == name_of(3)


def test_two_people_set_a_clock_back_that_a_bundle_of_2099_had_put_forward(site: Site) -> None:
    with sqlite3.connect(site.root / "metadata.sqlite") as db:  # as it stands after a bundle came in by a wrong clock
        db.execute("INSERT INTO clock_floors (floor, why, created, actor) VALUES ('2099-01-01T00:00:00Z', ?, ?, 'x')",
                   (name_of(7), clock.now()))  # fmt: skip
    db.close()
    made = bundle(site, 1)
    assert "the clock stands before what has come in already" in site.bring(made, expect=3)
    now = clock.now()
    assert "1 of 2 people" in site.say("anna", "--clock", now)
    assert "the clock stands before" in site.bring(made, expect=3)
    assert "no bundle so far counts as made after" in site.say("bo", "--clock", now)
    assert site.bring(made).splitlines()[-1] == name_of()


def test_a_restore_is_for_a_stopped_station_and_has_a_reason(site: Site) -> None:
    site.stop()
    assert "needs a reason" in site.run("ada", "restore", "--why", " ", expect=2)
    said = site.run("ada", "restore", "--why", "x", "--head", f"alpha.bravo-000001=sha256:{'0' * 64}", expect=2)
    assert "two people say where" in said
    (site.root / "metadata.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    for left in site.root.glob("metadata.sqlite-*"):
        left.unlink()
    site.run("ada", "restore", "--why", "a bad copy", expect=1)


def test_what_the_log_knows_is_found_behind_later_events_and_a_line_that_was_cut_off(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo", open_=False) as inside:
        made = small_bundle(tmp_path / "carried")
        inside.trust(made.key.public)
        assert shut_if_forgotten(inside.station.paths) == ""  # no log yet
        inside.bring(made.folder)
        for number in range(300):
            inside.station.audit.record(AuditEvent("pull", "x", f'"act":"intake.inspect" {number}'))
        paths = inside.station.paths
    assert shut_if_forgotten(paths) == ""
    for segment in segments(paths.audit):
        with segment.path.open("ab") as file:
            file.write(b'{"act":"intake.inspect","deta')
    with sqlite3.connect(paths.database) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("DELETE FROM ledger")
    db.close()
    assert shut_if_forgotten(paths) == name_of()
    assert shut_if_forgotten(paths) == ""  # people know


DIGESTS = [f"sha256:{number:064x}" for number in range(9)]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """An outside station that signed bundle 1 and took number 2 when the copy was made."""
    root = tmp_path / "alpha"
    lockgate("init", root, "--site", "alpha", "--side", "outside", "--open")
    with closing(open_writer(root / "metadata.sqlite")) as connection:
        writer = LocalWriter(connection)
        writer.submit(TakeSequence(stream=STREAM, job_id="one", at=clock.now()))
        writer.submit(SignBundle(id=name_of(1), digest=DIGESTS[1]))
        writer.submit(TakeSequence(stream=STREAM, job_id="two", at=clock.now()))
    return root


def next_number(root: Path) -> tuple[int, str | None]:
    with closing(open_writer(root / "metadata.sqlite")) as connection:
        taken = LocalWriter(connection).submit(
            TakeSequence(stream=STREAM, job_id="next", at=clock.now(), voids=name_of(2))
        )
    return taken["sequence"], taken["previous"]


def test_a_restored_outside_gives_no_number_out_twice(outside: Path) -> None:
    assert "must know where its streams stood: alpha.bravo" in refused(outside)
    said = lockgate("restore", "--why", "a new disk", "--head", f"{name_of(7)}={DIGESTS[7]}", "-C", outside).stdout
    assert f"alpha.bravo continues after number 7 ({DIGESTS[7]})" in said
    lockgate("restore", "--why", "once more", "--head", f"{name_of(7)}={DIGESTS[7]}", "-C", outside)
    assert next_number(outside) == (8, DIGESTS[7])


def test_an_outside_whose_database_alone_was_put_back_starts_once_people_have_said_so(outside: Path) -> None:
    """A copy from before the last start of the writer, too, of which it knows no mark."""
    database = outside / "metadata.sqlite"
    older = database.read_bytes()
    with WriterService(database):
        pass
    database.write_bytes(older)
    paths = StationPaths(outside)
    assert look(paths) is not None
    lockgate("restore", "--why", "a new disk", "--head", f"{name_of(7)}={DIGESTS[7]}", "-C", outside)
    assert look(paths) is None


def test_where_nothing_was_signed_since_the_copy_its_last_bundle_is_the_head(outside: Path) -> None:
    lockgate("restore", "--why", "a new disk", "--head", f"{name_of(1)}={DIGESTS[1]}", "-C", outside)
    assert next_number(outside) == (3, DIGESTS[1])


@pytest.mark.parametrize(("head", "what", "status"), [
    (f"{name_of(1)}={DIGESTS[5]}", f"this copy knows it as {DIGESTS[1]}", 3),
    ("alpha.bravo-7=" + DIGESTS[7], "not a stream's head", 2),
    ("delta.bravo-000007=" + DIGESTS[7], "not a stream's head", 2),
    (f"{name_of(7)}=sha512:{'0' * 128}", "not a stream's head", 2),
    (f"{name_of(7)}", "not a stream's head", 2),
])  # fmt: skip
def test_a_head_that_cannot_be_is_refused_and_changes_nothing(outside: Path, head: str, what: str, status: int) -> None:
    assert what in refused(outside, "--head", head, expect=status)
    assert "must know where its streams stood" in refused(outside)


def refused(root: Path, *words: str, expect: int = 2) -> str:
    return lockgate("restore", "--why", "a new disk", *words, "-C", root, expect=expect).stderr


@pytest.mark.parametrize(("number", "digest", "what"), [(2, 3, "knows it as"), (1, 1, "a later receipt: 2")])
def test_a_receipt_that_the_copy_knows_otherwise_is_refused(
    tmp_path: Path, number: int, digest: int, what: str
) -> None:
    with closing(open_writer(tmp_path / "metadata.sqlite")) as connection:
        writer = LocalWriter(connection)
        for known in (1, 2):
            writer.submit(EnterReceipt(number=known, digest=DIGESTS[known], document="{}", at=clock.now()))
        with pytest.raises(RefusedError, match=what):
            writer.submit(EnterReceipt(number=number, digest=DIGESTS[digest], document="{}", at=clock.now()))
        writer.submit(EnterReceipt(number=2, digest=DIGESTS[2], document="{}", at=clock.now()))
