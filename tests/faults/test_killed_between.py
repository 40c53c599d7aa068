"""kill -9 before each change to files of an act of several steps: nothing is half done, what is said is true, and the
same command ends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.release_check.unexplained import unexplained
from appliance.rotations import accepting
from appliance.rotations.folder import ACCEPTED, CAME, ids
from appliance.standby.checking import check_state
from appliance.standby.documents import PRIMARY, PROMOTING
from appliance.standby.promoting import promote
from appliance.standby.role import find_role
from appliance.standby.taking import Taker, held_paths, held_state
from appliance.store.presence import settle
from bundles.errors import ROLLBACK, RefusedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.signing.keys import create_private
from bundles.signing.trust import TrustFolder
from tests.bundles.small import SmallBundle
from tests.faults.killed_at import killed_at
from tests.intake.inside import Inside, name_of, small_bundle
from tests.intake.test_key_rotations import made
from tests.outgoing.outside import Outside
from tests.outgoing.test_adopting import Store, adopt
from tests.peers.stock import Layout
from tests.standby.pair import Pair
from tests.standby.test_follow import refused
from tests.standby.test_promote import code_of, startable


def every_kill(
    template: Path, place: Path, act: Callable[[Path], object], look: Callable[[Path], None], by: int
) -> int:
    """Kill `act` in a copy of a folder before each `by`-th change, and look at each; how many were killed."""
    for killed, step in enumerate(range(by, 5_000, by)):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(template, place, symlinks=True)
        settle(StationPaths(place), named=False)  # the copy's folders are others
        if not killed_at(step, partial(act, place)):
            look(place)
            return killed
        look(place)
    raise AssertionError("it never came to its end")


def pinned(root: Path) -> dict[str, tuple[object, ...]]:
    """Keys by id: until when they count."""
    return {one.keyid: (one.owner, one.purposes, one.sites, one.not_after) for one in
            TrustFolder.load(StationPaths(root).trust).records}  # fmt: skip


def steps(quick: int) -> pytest.MarkDecorator:
    """Before each change, in the long suite; in the other one before each `quick`-th."""
    return pytest.mark.parametrize("by", [quick, pytest.param(1, marks=pytest.mark.long)])


@steps(29)
def test_a_key_rotation_is_accepted_or_waits_and_is_accepted_by_the_same_word(tmp_path: Path, by: int) -> None:
    new, root = create_private(), tmp_path / "bravo"
    with Outside(tmp_path / "alpha") as outside, Inside(root) as inside:
        inside.trust(outside.key.public, owner="Anna")
        name = accepting.take(root, made(outside, outside.key, new)).id
        anna, boris = inside.officer("Rita"), inside.officer("Boris")
        accepting.accept(root, name, anna)
    before, place = pinned(root), tmp_path / "copy"
    seen = set()

    def look(at: Path) -> None:
        paths, now = StationPaths(at), pinned(at)
        done = name in ids(paths, ACCEPTED)
        seen.add(done)
        if done:
            assert new.public.keyid in now
        assert [one.kept.id for one in accepting.waiting(paths)] == ([] if done else [name])
        if name in ids(paths, CAME) and done:
            assert refused(lambda: accepting.accept(at, name, boris)) == ROLLBACK
        elif not done:
            assert accepting.accept(at, name, boris).applied
        assert (ids(paths, ACCEPTED), ids(paths, CAME)) == ([name], [])
        assert set(pinned(at)) == {*before, new.public.keyid}

    assert every_kill(root, place, lambda at: accepting.accept(at, name, boris), look, by) > 1
    assert seen == {True, False}


def test_a_rotation_whose_move_was_cut_off_waits_no_more_and_is_cleared_by_its_next_acceptance(tmp_path: Path) -> None:
    new, root = create_private(), tmp_path / "bravo"
    with Outside(tmp_path / "alpha") as outside, Inside(root) as inside:
        inside.trust(outside.key.public, owner="Anna")
        name = accepting.take(root, made(outside, outside.key, new)).id
        came = root / "rotations" / CAME
        kept = {one.name: one.read_bytes() for one in came.iterdir()}
        for owner in ("Rita", "Boris"):
            accepting.accept(root, name, officer := inside.officer(owner))
    for file, data in kept.items():
        (came / file).write_bytes(data)
    assert accepting.waiting(StationPaths(root)) == []
    assert refused(lambda: accepting.accept(root, name, officer)) == ROLLBACK
    assert list(came.iterdir()) == []


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made_pair = Pair(tmp_path)
    yield made_pair
    made_pair.stop()


@pytest.fixture
def bundle(tmp_path: Path, pair: Pair) -> SmallBundle:
    carried = small_bundle(tmp_path / "carried")
    pair.inside.trust(carried.key.public)
    return carried


def beside(pair: Pair) -> Path:
    """Where copies of the stand-by stand, so that its links hold."""
    return pair.copy.with_name("copied")


@steps(23)
def test_a_stand_by_holds_the_state_before_or_the_new_one_whole(pair: Pair, bundle: SmallBundle, by: int) -> None:
    pair.make_standby()
    first = pair.take()
    pair.inside.bring(bundle.folder)
    for officer in pair.officers:
        pair.inside.decide(name_of(), officer)
    pair.inside.release(name_of())
    newest = pair.send()
    numbers = set()

    def look(at: Path) -> None:
        paths = StationPaths(at)
        role = find_role(paths, "bravo")
        assert role is not None
        state = held_state(paths, role)
        assert state is not None
        assert (state.number, state.head) == (role.number, role.head)
        numbers.add(role.number)
        check_state(held_paths(paths), state, role.head)
        assert code_of(lambda: startable(at)) == "standby-role"
        whole(paths)
        again = Taker(at, pair.exchange).take()[0]
        assert (again.number, again.fault) == (newest.number, "")
        assert len([one for one in paths.standby.glob("state-*") if one.is_dir()]) <= 2  # an old one goes with the next
        whole(paths)

    assert every_kill(pair.copy, beside(pair), lambda at: Taker(at, pair.exchange).take(), look, by) > 1
    assert numbers <= {first.number, newest.number}
    assert newest.number in numbers


def whole(paths: StationPaths) -> None:
    """Every file in the store is what its name says."""
    for path in paths.blobs.glob("*/*"):
        if path.is_file():
            assert Digest.of(path.read_bytes(), path.parent.name).hex == path.name


@steps(41)
def test_a_promotion_starts_nothing_until_it_is_done_and_its_own_command_ends_it(
    pair: Pair, bundle: SmallBundle, by: int
) -> None:
    pair.make_standby()
    pair.inside.bring(bundle.folder)
    for officer in pair.officers:
        pair.inside.decide(name_of(), officer)
    pair.inside.release(name_of())
    shown = pair.inside.visible()
    pair.send()
    pair.take()
    pair.silence()
    shutil.move(pair.exchange, pair.exchange.with_name("away"))
    promote(pair.copy, pair.officers[0])
    roles = set()

    def look(at: Path) -> None:
        role = find_role(StationPaths(at), "bravo")
        assert role is not None
        roles.add(role.role)
        if role.role != PRIMARY:
            assert code_of(lambda: startable(at)) == ("standby-promoting" if role.role == PROMOTING else "standby-role")
            done = promote(at, None if role.role == PROMOTING else pair.officers[1])
            assert (done.role.role, done.role.term, done.shut) == (PRIMARY, 2, True)
            assert sorted(done.owners) == ["Anna", "Boris"]
        startable(at)
        with Inside(at) as promoted:
            assert promoted.visible() == shown
            assert unexplained(promoted.station) == []
            with pytest.raises(RefusedError, match="imports are shut"):
                promoted.bring(bundle.folder, job_id="promoted")

    assert every_kill(pair.copy, beside(pair), lambda at: promote(at, pair.officers[1]), look, by) > 1
    assert PRIMARY in roles


@steps(17)
def test_an_adopted_registry_is_taken_tag_by_tag_and_by_the_same_command(tmp_path: Path, by: int) -> None:
    layout = Layout(tmp_path / "layout")
    registry = Store(tmp_path / "registry", layout)
    for tag in ("1", "2"):
        registry.tag("team/app", tag, layout.image({f"f{tag}": tag.encode() * 4000}, "amd64"))
    root = tmp_path / "alpha"
    Outside(root).__exit__()

    def act(at: Path) -> None:
        with Outside.opened(at) as outside:
            adopt(outside, registry.folder)

    def look(at: Path) -> None:
        paths = StationPaths(at)
        with Outside.opened(at) as outside:
            whole(paths)
            for tag in outside.station.metadata.tag_names("team/app", 10):
                facts = outside.station.metadata.tagged_manifest("team/app", tag)
                assert facts is not None
                for blob in parse_manifest(outside.station.blobs.open_blob(facts.digest).read()).blobs:
                    assert outside.station.metadata.linked_blob("team/app", blob.digest) is not None
                    assert outside.station.blobs.has_blob(blob.digest)
            result = adopt(outside, registry.folder)
            assert result["failed"] == []
            assert len(result["references"]) == 2
            whole(paths)

    assert every_kill(root, tmp_path / "copy", act, look, by) > 1
