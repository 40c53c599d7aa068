"""Promotion: two people, imports shut until the ledger is proven, one primary, and the way back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from appliance.audit.seals import audit_key
from appliance.cli.main import lockgate
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from appliance.standby import terms
from appliance.standby.documents import FENCED, PRIMARY, PROMOTING, STANDBY
from appliance.standby.exchange import Exchange
from appliance.standby.joining import demote, join
from appliance.standby.process import require_startable
from appliance.standby.promoting import Promoted, look, promote
from appliance.standby.sending import Sender
from bundles.errors import LockgateError, RefusedError
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of
from tests.intake.test_overrides import floor, say
from tests.standby.pair import LONG_AGO, Pair


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(LockgateError) as caught:
        work()
    return caught.value.code


def both(pair: Pair, root: Path | None = None) -> Promoted:
    for officer in pair.officers:
        done = promote(root or pair.copy, officer)
    return done


def age_state(pair: Pair) -> None:
    """The last state in the exchange was made long ago."""
    key = audit_key(StationPaths(pair.root))
    state = Exchange(pair.exchange).state(key.public, "bravo")
    assert state is not None
    Exchange(pair.exchange).write(msgspec.structs.replace(state, created=LONG_AGO), key)
    os.utime(pair.exchange / "state.json", (0, 0))


def startable(root: Path) -> None:
    paths = StationPaths(root)
    require_startable(paths, load_config(paths.config))


def test_a_primary_dies_and_its_stand_by_takes_nothing_in_until_two_people_said_where_it_stood(
    pair: Pair, bundle: SmallBundle
) -> None:
    pair.make_standby()
    pair.inside.bring(bundle.folder)
    for officer in pair.officers:
        pair.inside.decide(name_of(), officer)
    pair.inside.release(name_of())
    shown = pair.inside.visible()
    pair.send()
    pair.take()
    pair.inside.withdraw(name_of())  # after the last state: lost, and the lag says from when on
    assert code_of(lambda: startable(pair.copy)) == "standby-role"
    assert code_of(lambda: promote(pair.copy, pair.officers[0])) == "standby-primary-lives"
    pair.silence()
    pair.send()  # a state that was not taken, of a moment ago
    assert code_of(lambda: promote(pair.copy, pair.officers[0])) == "standby-primary-lives"
    age_state(pair)
    assert look(pair.copy).streams[0]["sequence"] == 1
    first = promote(pair.copy, pair.officers[0])
    assert (first.role.role, first.owners) == (STANDBY, ["Anna"])
    assert promote(pair.copy, pair.officers[0]).role.role == STANDBY  # the same person again is one person
    assert code_of(lambda: promote(pair.copy, create_private())) != ""
    assert pair.role().role == STANDBY
    done = promote(pair.copy, pair.officers[1])
    assert (done.role.role, done.role.term, done.shut) == (PRIMARY, 2, True)
    startable(pair.copy)
    with Inside(pair.copy) as promoted:
        assert promoted.visible() == shown
        with pytest.raises(RefusedError, match="imports are shut"):
            promoted.bring(bundle.folder, job_id="promoted")
        stood = str(Digest.of((bundle.folder / "SHA256SUMS").read_bytes()))
        for officer in pair.officers:
            say(promoted, officer, floor(1, stood))
        with pytest.raises(RefusedError) as replayed:
            promoted.bring(bundle.folder, job_id="promoted")
        assert replayed.value.code == "rollback"
        assert [event["detail"]["term"] for event in promoted.events("standby.promote")] == [2]


def test_the_old_primary_meets_the_later_term_and_writes_and_starts_no_more_until_it_joined(pair: Pair) -> None:
    pair.make_standby()
    pair.take()
    pair.silence()
    both(pair)
    pair.inside.shut()  # it goes on in a partition
    assert pair.send().role == FENCED
    assert code_of(pair.send) == "standby-role"
    assert code_of(lambda: startable(pair.root)) == "standby-fenced"
    assert code_of(lambda: demote(pair.root)) == "standby-role"
    words = ["replica", "demote", "-C", str(pair.root)]  # and nobody is asked first whether to
    assert getattr(CliRunner().invoke(lockgate, words).exception, "code", "") == "standby-role"
    pair.stop()
    Sender(pair.copy, pair.exchange).send()
    role, left = join(pair.root, pair.exchange)
    assert (role.role, left.acts["restore"]) == (STANDBY, 1)
    assert code_of(lambda: startable(pair.root)) == "standby-role"
    # The way back: it follows, the promoted one ends itself, and nothing is shut then.
    pair.copy, pair.root = pair.root, pair.copy
    assert pair.take().term == 2
    assert demote(pair.root).role == STANDBY
    assert pair.take().final
    done = both(pair)
    assert (done.role.term, done.shut) == (3, False)
    assert (pair.copy / "standby" / "replaced-2" / "metadata.sqlite").is_file()
    pair.inside = Inside(pair.copy)
    assert code_of(lambda: startable(pair.root)) == "standby-role"


def test_a_primary_that_starts_looks_for_a_later_term_first(pair: Pair) -> None:
    pair.make_standby()
    pair.take()
    pair.silence()
    both(pair)
    assert code_of(lambda: startable(pair.root)) == "standby-fenced"
    assert pair.role(pair.root).role == FENCED


def test_one_person_machines_and_strangers_raise_no_term(pair: Pair, tmp_path: Path) -> None:
    pair.make_standby()
    pair.take()
    pair.silence()
    promote(pair.copy, pair.officers[0])
    terms.publish(StationPaths(pair.copy).standby / "terms", pair.exchange / "terms")
    assert pair.send().role == PRIMARY
    word = terms.load(pair.exchange / "terms")[0].word
    stranger = create_private()
    name = f"{word.name}.{stranger.public.keyid}.sig"
    (pair.exchange / "terms" / name).write_bytes(stranger.sign(word.raw()))
    assert pair.send().role == PRIMARY
    (pair.exchange / "terms" / "9-0000000000000000.json").write_bytes(b"{}")
    (pair.exchange / "terms" / "junk.json").write_bytes(b"\xff" * 10_000)
    assert pair.send().role == PRIMARY


def test_words_about_another_state_do_not_count_together(pair: Pair) -> None:
    pair.make_standby()
    pair.take()
    pair.silence()
    assert promote(pair.copy, pair.officers[0]).role.role == STANDBY
    pair.send()
    pair.take()
    pair.silence()
    assert promote(pair.copy, pair.officers[1]).role.role == STANDBY
    assert promote(pair.copy, pair.officers[0]).role.role == PRIMARY


def test_a_last_word_opens_imports_and_no_other_state_does(pair: Pair, bundle: SmallBundle, tmp_path: Path) -> None:
    pair.make_standby()
    pair.inside.bring(bundle.folder)
    pair.stop()
    assert demote(pair.root).role == STANDBY
    assert code_of(lambda: startable(pair.root)) == "standby-role"
    assert pair.take().final
    done = both(pair)
    assert (done.role.role, done.shut) == (PRIMARY, False)
    pair.inside = Inside(pair.copy)
    assert pair.inside.state(name_of()) == "quarantined"
    before = pair.inside.everything()
    with pytest.raises(RefusedError) as replayed:
        pair.inside.bring(bundle.folder, job_id="promoted")
    assert replayed.value.code == "replay"
    assert pair.inside.everything() == before
    assert code_of(lambda: Sender(pair.root, pair.exchange).send()) == "standby-role"


def test_a_promotion_that_was_cut_off_goes_on_and_nothing_starts_meanwhile(pair: Pair) -> None:
    pair.make_standby()
    pair.take()
    pair.silence()
    promote(pair.copy, pair.officers[0])
    blocker = pair.copy / "standby" / "replaced-1"
    blocker.write_bytes(b"")
    with pytest.raises(LockgateError):
        promote(pair.copy, pair.officers[1])
    assert pair.role().role == PROMOTING
    assert code_of(lambda: startable(pair.copy)) == "standby-promoting"
    assert code_of(pair.take) == "standby-role"
    blocker.unlink()
    assert promote(pair.copy, None).role.role == PRIMARY
    with Inside(pair.copy) as promoted:
        assert len(promoted.events("restore")) == 1


def test_a_second_stand_by_is_not_promoted_beside_the_first(pair: Pair, tmp_path: Path) -> None:
    pair.make_standby()
    pair.take()
    first, pair.copy = pair.copy, tmp_path / "second"
    shutil.copytree(first, pair.copy, ignore=shutil.ignore_patterns("*.sock"), symlinks=True)
    join(pair.copy, pair.exchange)
    pair.take()
    pair.silence()
    second, pair.copy = pair.copy, first
    pair.silence()
    same = tmp_path / "same"
    shutil.copytree(first, same, ignore=shutil.ignore_patterns("*.sock"), symlinks=True)
    both(pair)
    assert code_of(lambda: promote(second, pair.officers[0])) == "standby-two-primaries"
    assert code_of(lambda: promote(same, pair.officers[0])) == "standby-two-primaries"


def test_a_role_that_somebody_wrote_is_none(pair: Pair) -> None:
    pair.make_standby()
    path = StationPaths(pair.copy).standby_role
    path.write_bytes(path.read_bytes().replace(b'"role":"standby"', b'"role":"primary"'))
    assert code_of(lambda: startable(pair.copy)) == "standby-signature"
