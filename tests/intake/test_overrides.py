"""Where the ledger or the clock alone would refuse: two people's word, a policy, and what is shut after a restore."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.health import checks
from appliance.intake import overrides
from appliance.intake.overrides import Subject, trusted_now
from appliance.intake.stream_alarms import shut_streams, silent_streams
from appliance.store.reads.record_rows import restore_rows
from appliance.store.writes.ledger import SetClockFloor
from bundles.documents.signed import Override, decode, encode
from bundles.errors import RefusedError, UsageError
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import revoke_key, set_rule, trust_key
from bundles.signing.policy import SignerRule
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of, small_bundle

STREAM = "alpha.bravo"


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Inside]:
    """A station where two people are two people."""
    with Inside(tmp_path / "bravo", open_=False) as station:
        yield station


def bundle(inside: Inside, root: Path, sequence: int = 1, **changes: object) -> SmallBundle:
    made = small_bundle(root, sequence=sequence, **changes)
    inside.trust(made.key.public)
    return made


def floor(sequence: int, digest: str = "") -> Subject:
    return Subject(STREAM, sequence, digest, "")


def say(inside: Inside, key: PrivateKey, subject: Subject, why: str = "the courier lost it", account: str = "") -> int:
    """A person's word, handed in by their own log-in: what it does is recorded first, as the control API does."""
    payload = overrides.draft(inside.station, subject, key.public.keyid, why)
    account = account or f"account-of-{key.public.keyid}"
    write, _ = overrides.say(inside.station, payload, key.public.keyid, key.sign(payload), account)
    if write.sets:
        shut = restore_rows(inside.station.reader)
        detail = {"sequence": subject.sequence, "digest": subject.digest, "floor": subject.floor,
                  "restore": shut[-1].created if shut else ""}  # fmt: skip
        inside.station.audit.record(AuditEvent(Act.STREAM_RESET, account, subject.stream, "done", detail))
    return int(inside.writer.submit(write))


def rows(inside: Inside) -> list[tuple[object, ...]]:
    return inside.station.reader.execute("SELECT sequence, state, why FROM ledger ORDER BY entry").fetchall()


def test_a_floor_takes_two_people_and_keeps_both_reasons(closed: Inside, tmp_path: Path) -> None:
    third = bundle(closed, tmp_path / "third", 3, previous="sha256:" + "7" * 64)
    with pytest.raises(RefusedError, match=r"a gap: alpha.bravo-000001.*stream reset alpha.bravo --sequence 2"):
        closed.bring(third.folder)
    assert say(closed, closed.officer("Anna"), floor(2), "lost at sea") == 1
    assert rows(closed) == []
    with pytest.raises(RefusedError, match="a gap"):
        closed.bring(third.folder)
    assert say(closed, closed.officer("Bo"), floor(2), "seen by me too") == 2
    assert rows(closed) == [(2, "reset", "Bo: seen by me too; Anna: lost at sea")]
    assert closed.bring(third.folder)["state"] == "quarantined"


def test_one_person_with_two_keys_is_one_person(closed: Inside) -> None:
    assert say(closed, closed.officer("Anna"), floor(2)) == 1
    assert say(closed, closed.officer("Anna"), floor(2)) == 1
    assert rows(closed) == []


def test_two_keys_in_the_hands_of_one_log_in_are_one_person(closed: Inside) -> None:
    anna, bo = closed.officer("Anna"), closed.officer("Bo")
    assert say(closed, anna, floor(2), account="bo") == 1
    assert say(closed, bo, floor(2), account="bo") == 1
    assert rows(closed) == []
    assert say(closed, anna, floor(2), account="anna") == 2


def test_people_must_say_the_same(closed: Inside) -> None:
    assert say(closed, closed.officer("Anna"), floor(2)) == 1
    assert say(closed, closed.officer("Bo"), floor(3)) == 1
    assert say(closed, closed.officer("Cy"), floor(2, "sha256:" + "1" * 64)) == 1
    assert rows(closed) == []


def test_a_person_is_told_what_another_said_that_differs(closed: Inside) -> None:
    anna, bo = closed.officer("Anna"), closed.officer("Bo")

    def told(key: PrivateKey, subject: Subject) -> list[tuple[object, ...]]:
        payload = overrides.draft(closed.station, subject, key.public.keyid, "why")
        override, _ = overrides.verify(closed.station, payload, key.public.keyid, key.sign(payload))
        found = overrides.differing(closed.station, override, key.public.keyid)
        return [(one.owner, one.sequence, one.digest, one.floor) for one in found]

    say(closed, anna, floor(2))
    assert told(bo, floor(3)) == [("Anna", 2, "", "")]
    assert told(bo, floor(2, "sha256:" + "1" * 64)) == [("Anna", 2, "", "")]
    assert told(bo, floor(2)) == []
    assert told(anna, floor(3)) == []
    assert told(bo, Subject("alpha2.bravo", 3, "", "")) == []
    assert told(bo, Subject(STREAM, 0, "", "2026-05-04T00:00:00Z")) == []


def test_a_word_is_spent_once(closed: Inside) -> None:
    anna, bo = closed.officer("Anna"), closed.officer("Bo")
    payload = overrides.draft(closed.station, floor(2), anna.public.keyid, "the courier lost it")
    write, _ = overrides.say(closed.station, payload, anna.public.keyid, anna.sign(payload), "tester(0)")
    assert (closed.writer.submit(write), say(closed, bo, floor(2))) == (1, 2)
    assert say(closed, bo, floor(2), "once more") == 1
    assert len(rows(closed)) == 1
    with pytest.raises(RefusedError, match="counts no more: it was spent"):
        closed.writer.submit(write)  # in Bo's hands, who heard Anna say it
    assert len(rows(closed)) == 1


def test_no_word_counts_beyond_a_restore(closed: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, bo = closed.officer("Anna"), closed.officer("Bo")
    payload = overrides.draft(closed.station, floor(2), anna.public.keyid, "before")
    assert say(closed, anna, floor(2), "before, and kept") == 1
    later = clock.after(60)
    monkeypatch.setattr(clock, "now", lambda: later)
    closed.shut(later)
    assert say(closed, bo, floor(2)) == 1
    write, _ = overrides.say(closed.station, payload, anna.public.keyid, anna.sign(payload), "tester(0)")
    with pytest.raises(RefusedError, match="counts no more: a copy was restored"):
        closed.writer.submit(write)
    assert say(closed, anna, floor(2)) == 2


def test_the_word_of_a_key_that_was_revoked_meanwhile_does_not_count(closed: Inside) -> None:
    anna = closed.officer("Anna")
    say(closed, anna, floor(2))
    revoke_key(closed.station.paths.trust, anna.public.keyid, why="lost", at=clock.now())
    assert say(closed, closed.officer("Bo"), floor(2)) == 1


def test_only_release_keys_and_only_the_stations_own_document_count(closed: Inside, tmp_path: Path) -> None:
    made = bundle(closed, tmp_path / "one")
    with pytest.raises(RefusedError, match="not for release"):
        say(closed, made.key, floor(2))
    anna, bo = closed.officer("Anna"), closed.officer("Bo")
    payload = overrides.draft(closed.station, floor(2), anna.public.keyid, "why")
    with pytest.raises(RefusedError, match="another key"):
        overrides.say(closed.station, payload, bo.public.keyid, bo.sign(payload), "x")
    with pytest.raises(RefusedError, match="does not hold"):
        overrides.say(closed.station, payload.replace(b'"sequence":2', b'"sequence":9'), anna.public.keyid,
                      anna.sign(payload), "x")  # fmt: skip


@pytest.mark.parametrize("change", [
    {"site": "charlie", "stream": "alpha.charlie"}, {"created": "2099-01-01T00:00:00Z"},
    {"not_after": "2020-01-01T00:00:00Z"}, {"not_after": "2099-01-01T00:00:00Z"},
])  # fmt: skip
def test_an_override_for_another_site_or_time_does_not_count(closed: Inside, change: dict[str, str]) -> None:
    import msgspec

    anna = closed.officer("Anna")
    good = decode(overrides.draft(closed.station, floor(2), anna.public.keyid, "why"), Override)
    payload = encode(msgspec.structs.replace(good, **change))
    with pytest.raises(RefusedError):
        overrides.say(closed.station, payload, anna.public.keyid, anna.sign(payload), "x")


@pytest.mark.parametrize(("subject", "why"), [
    (Subject("alpha.charlie", 1, "", ""), "why"), (Subject("bravo", 1, "", ""), "why"), (floor(1), " "),
    (floor(-1), "why"), (floor(1_000_000), "why"), (floor(1, "md5:1"), "why"), (floor(1), "x" * 100_000),
    (Subject(STREAM, 1, "", "2026-01-01T00:00:00Z"), "why"), (Subject(STREAM, 0, "", "yesterday"), "why"),
])  # fmt: skip
def test_what_cannot_be_said_is_refused_before_it_is_signed(closed: Inside, subject: Subject, why: str) -> None:
    with pytest.raises(UsageError):
        overrides.draft(closed.station, subject, "0" * 16, why)


def test_a_floor_with_a_digest_is_what_the_next_bundle_must_follow(closed: Inside, tmp_path: Path) -> None:
    first = bundle(closed, tmp_path / "first")
    own = str(Digest.of(first.signed.sums))
    for person in ("Anna", "Bo"):
        say(closed, closed.officer(person), floor(1, own))
    with pytest.raises(RefusedError, match="a fork"):
        closed.bring(bundle(closed, tmp_path / "other", 2, previous="sha256:" + "0" * 64).folder)
    assert closed.bring(bundle(closed, tmp_path / "next", 2, previous=own).folder)["state"] == "quarantined"


def test_after_a_restore_no_stream_takes_a_bundle_until_its_floor_is_entered(closed: Inside, tmp_path: Path) -> None:
    first = bundle(closed, tmp_path / "first")
    closed.bring(first.folder)
    closed.shut()
    own = str(Digest.of(first.signed.sums))
    second = bundle(closed, tmp_path / "second", 2, previous=own)
    before = closed.everything()
    with pytest.raises(RefusedError, match=r"imports are shut since the restore.*--receipt FILE"):
        closed.bring(second.folder)
    assert closed.everything() == before
    assert "imports are shut" in shut_streams(closed.station)[STREAM]
    for person in ("Anna", "Bo"):
        say(closed, closed.officer(person), floor(1, own), "from receipt 4")
    assert shut_streams(closed.station) == {}
    assert closed.bring(second.folder)["state"] == "quarantined"


def test_a_gap_comes_in_where_the_policy_allows_it_and_the_ledger_says_so(closed: Inside, tmp_path: Path) -> None:
    third = bundle(closed, tmp_path / "third", 3, previous="sha256:" + "7" * 64)
    set_rule(closed.station.paths.trust, SignerRule(
        purpose="bundle", site="alpha", signers=1, algorithms=[], gaps=True, silence_days=0,
    ))  # fmt: skip
    assert closed.bring(third.folder)["state"] == "quarantined"
    (row,) = rows(closed)
    assert "a gap: alpha.bravo-000001, alpha.bravo-000002 did not come; the policy allows it" in str(row[2])


@pytest.mark.parametrize("gaps", [True, False])
def test_a_bundle_that_uses_up_its_stream_takes_two_people_whatever_the_policy(
    closed: Inside, tmp_path: Path, gaps: bool
) -> None:
    set_rule(closed.station.paths.trust, SignerRule(
        purpose="bundle", site="alpha", signers=1, algorithms=[], gaps=gaps, silence_days=0,
    ))  # fmt: skip
    last = bundle(closed, tmp_path / "last", 999_999, previous="sha256:" + "7" * 64, voided=[999_998])
    with pytest.raises(RefusedError, match=r"a jump: .*stream reset alpha.bravo --sequence 999998"):
        closed.bring(last.folder)
    assert rows(closed) == []
    for person in ("Anna", "Bo"):
        say(closed, closed.officer(person), floor(999_998))
    assert closed.bring(last.folder)["state"] == "quarantined"


def test_the_clock_never_goes_back_behind_the_last_import(
    closed: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bundle(closed, tmp_path / "first", created="2026-05-01T00:00:00Z", not_after="2026-06-01T00:00:00Z")
    monkeypatch.setattr(clock, "now", lambda: "2026-05-02T00:00:00Z")
    closed.bring(first.folder)
    second = bundle(closed, tmp_path / "second", 2, previous=str(Digest.of(first.signed.sums)),
                    created="2026-05-01T00:00:00Z", not_after="2026-06-01T00:00:00Z")  # fmt: skip
    monkeypatch.setattr(clock, "now", lambda: "2026-04-01T00:00:00Z")
    with pytest.raises(
        RefusedError, match=r"the clock stands before.*alpha.bravo-000001 came in at 2026-05-02.*--clock"
    ):
        closed.bring(second.folder)
    assert [check["ok"] for check in checks(closed.station) if check["name"] == "clock"] == [False]
    monkeypatch.setattr(clock, "now", lambda: "2026-05-01T12:00:00Z")
    assert closed.bring(second.folder)["state"] == "quarantined"


def test_a_source_that_dates_its_bundles_ahead_moves_only_its_own_floor(closed: Inside, tmp_path: Path) -> None:
    """A day's slack is counted from this station's clock, however far ahead the stream's newest bundle was dated."""
    hours = 3600
    good = {"not_after": clock.after(90 * hours)}
    ahead = bundle(closed, tmp_path / "ahead", created=clock.after(23 * hours), **good)
    closed.bring(ahead.folder)
    before = trusted_now(closed.station.reader)
    assert before < clock.after(hours)
    further = bundle(closed, tmp_path / "further", 2, previous=str(Digest.of(ahead.signed.sums)),
                     created=clock.after(46 * hours), **good)  # fmt: skip
    with pytest.raises(RefusedError, match="from the future"):
        closed.bring(further.folder)
    other = small_bundle(tmp_path / "other", stream="echo.bravo")
    trust_key(closed.station.paths.trust, other.key.public, purpose="bundle", owner="Echo", sites=["echo"])
    assert closed.bring(other.folder)["state"] == "quarantined"
    assert trusted_now(closed.station.reader) < clock.after(hours)
    assert closed.decide("echo.bravo-000001", closed.officer("Officer")) in ("quarantined", "approved")
    assert [check["ok"] for check in checks(closed.station) if check["name"] == "clock"] == [True]


def test_a_stream_whose_floor_is_far_ahead_is_refused_alone_until_two_people_set_it_back(
    closed: Inside, tmp_path: Path
) -> None:
    with sqlite3.connect(closed.station.paths.database) as database:
        database.execute(
            "INSERT INTO clock_floors (stream, floor, why, created, actor)"
            " VALUES (?, '2099-01-01T00:00:00Z', 'x', '', '')",
            (STREAM,),
        )
    database.close()
    other = small_bundle(tmp_path / "other", stream="echo.bravo")
    trust_key(closed.station.paths.trust, other.key.public, purpose="bundle", owner="Echo", sites=["echo"])
    assert closed.bring(other.folder)["state"] == "quarantined"
    first = bundle(closed, tmp_path / "first")
    with pytest.raises(RefusedError, match=r"the clock stands before.*stream reset alpha.bravo --clock"):
        closed.bring(first.folder)
    subject = Subject(STREAM, 0, "", clock.now())
    assert say(closed, closed.officer("Anna"), subject) == 1
    assert say(closed, closed.officer("Bo"), subject) == 2
    assert closed.bring(first.folder)["state"] == "quarantined"


def test_two_people_set_the_clocks_floor_back_when_a_clock_said_2099(closed: Inside, tmp_path: Path) -> None:
    closed.writer.submit(SetClockFloor(floor="2099-01-01T00:00:00Z", why=name_of(), actor="x", at=clock.now()))
    first = bundle(closed, tmp_path / "first")
    with pytest.raises(RefusedError, match="the clock stands before"):
        closed.bring(first.folder)
    subject = Subject(STREAM, 0, "", clock.now())
    assert say(closed, closed.officer("Anna"), subject) == 1
    with pytest.raises(RefusedError, match="the clock stands before"):
        closed.bring(first.folder)
    assert say(closed, closed.officer("Bo"), subject) == 2
    assert closed.bring(first.folder)["state"] == "quarantined"


def test_a_stream_that_is_silent_for_too_long_raises_an_alarm(
    closed: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rule(closed.station.paths.trust, SignerRule(
        purpose="bundle", site="alpha", signers=1, algorithms=[], gaps=False, silence_days=7,
    ))  # fmt: skip
    assert "no bundle ever came" in silent_streams(closed.station, closed.station.trust())[0]
    closed.bring(bundle(closed, tmp_path / "first").folder)
    assert silent_streams(closed.station, closed.station.trust()) == []
    later = clock.after(8 * 24 * 3600)
    monkeypatch.setattr(clock, "now", lambda: later)
    (line,) = silent_streams(closed.station, closed.station.trust())
    assert "alpha.bravo: silent for 8 days, alarm after 7" in line
    (check,) = [check for check in checks(closed.station) if check["name"] == "streams"]
    assert (check["ok"], "silent for 8 days" in check["detail"]) == (False, True)
