"""What the log says of the policy for images: the highest number is in force, and two people can always go on."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.audit import lane
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.image_signatures import applied
from appliance.image_signatures.applied import keep_logged, load_applied, proposed, sign
from appliance.image_signatures.logged import Logged, logged_digest, read_logged
from appliance.intake.signature_policy import require_signed
from bundles.errors import RefusedError
from bundles.signing.pinning import locked
from tests.image_signatures.test_policy import asking, both_sign, people, rule
from tests.intake.inside import Inside

DAY = 86_400 * 10**6
FIRST, SECOND = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "bravo", approvals_needed=1) as station:
        yield station


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on events are in another lane, as another process writes them."""
    monkeypatch.setattr(lane, "_open", weakref.WeakValueDictionary())


def say(inside: Inside, number: Any, digest: str, act: Act = Act.IMAGE_POLICY_APPLY) -> None:
    inside.station.audit.record(AuditEvent(act, "x(0)", digest, "done", {} if number is None else {"number": number}))


def number_in_force(inside: Inside) -> int:
    now = load_applied(inside.station.paths)
    return 0 if now is None else now.policy.number


def test_an_older_policy_of_a_clock_that_was_ahead_is_not_in_force(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, file = people(inside, "Anna", "Boris"), inside.station.paths.image_policy / "policy.json"
    inside.station.audit.record(AuditEvent(Act.INTAKE_LEFT, "x", "y", "done", {}))
    real = clock.micros
    with monkeypatch.context() as ahead:
        ahead.setattr(clock, "micros", lambda: real() + DAY)
        both_sign(inside, [rule("team/**", mode="warn")], keys)
    weak = file.read_bytes()
    another_process(monkeypatch)
    strict = both_sign(inside, [rule("team/**", people=2)], keys)
    events = inside.events("image-policy.apply")
    assert len({event["lane"] for event in events}) == 2
    assert (logged_digest(inside.station.paths), number_in_force(inside)) == (strict, 2)
    file.write_bytes(weak)
    with pytest.raises(RefusedError, match="not the one that was applied"):
        load_applied(inside.station.paths)


def test_a_number_with_two_documents_names_both_and_the_next_policy_ends_it(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, paths = people(inside, "Anna", "Boris"), inside.station.paths
    say(inside, 3, FIRST)
    another_process(monkeypatch)
    inside.station.audit.record(AuditEvent(Act.INTAKE_LEFT, "x", "y", "done", {}))
    say(inside, 3, SECOND)
    logged = read_logged(paths)
    assert logged is not None
    assert logged.number == 3
    assert FIRST in logged.fault
    assert SECOND in logged.fault
    for ask in (logged_digest, load_applied):
        with pytest.raises(RefusedError, match=f"{FIRST} and to {SECOND}"):
            ask(paths)
    with pytest.raises(RefusedError, match="does not say"):
        require_signed(inside.station, [], [])
    with pytest.raises(RefusedError, match="does not say"):
        keep_logged(inside.root)
    both_sign(inside, [rule("team/**")], keys)
    assert number_in_force(inside) == 4


def test_a_lower_number_behind_a_higher_one_is_an_error(inside: Inside) -> None:
    keys, paths = people(inside, "Anna", "Boris"), inside.station.paths
    say(inside, 5, FIRST)
    say(inside, 2, SECOND)
    with pytest.raises(RefusedError, match=f"2, {SECOND}, behind 5, {FIRST}"):
        load_applied(paths)
    both_sign(inside, [], keys)
    assert number_in_force(inside) == 6


@pytest.mark.parametrize("number", [None, "7", True, -1, 2.5])
def test_what_is_no_number_takes_no_policys_place(inside: Inside, number: Any) -> None:
    say(inside, 2, FIRST)
    say(inside, number, SECOND, Act.IMAGE_POLICY_KEPT)
    assert read_logged(inside.station.paths) == Logged(2, FIRST)


def test_a_prune_says_the_number_again(inside: Inside) -> None:
    keys = people(inside, "Anna", "Boris")
    both_sign(inside, [rule("team/**")], keys)
    digest = both_sign(inside, [rule("**")], keys)
    keep_logged(inside.root)
    (event,) = inside.events("image-policy.kept")
    assert (event["thing"], event["detail"]["number"]) == (digest, 2)
    assert number_in_force(inside) == 2


def test_a_policy_that_is_applied_while_the_log_is_pruned_stays_in_force(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, real = people(inside, "Anna", "Boris"), logged_digest
    both_sign(inside, [rule("a/**")], keys)

    def slow(paths: Any) -> str | None:
        said = real(paths)
        monkeypatch.setattr(applied, "logged_digest", real)
        both_sign(inside, [rule("b/**")], keys)
        return said

    monkeypatch.setattr(applied, "logged_digest", slow)
    keep_logged(inside.root)
    assert inside.events("image-policy.kept") == []
    assert number_in_force(inside) == 2


def test_a_prune_writes_its_word_under_the_lock(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    both_sign(inside, [rule()], people(inside, "Anna", "Boris"))
    held: list[bool] = []
    real = locked

    class Watched:
        def __init__(self, path: Path) -> None:
            self.inner = real(path)

        def __enter__(self) -> None:
            self.inner.__enter__()
            held.append(not inside.events("image-policy.kept"))

        def __exit__(self, *error: Any) -> None:
            held.append(bool(inside.events("image-policy.kept")))
            self.inner.__exit__(*error)

    monkeypatch.setattr(applied, "locked", Watched)
    keep_logged(inside.root)
    assert held == [True, True]


@pytest.mark.parametrize("how", ["gone", "older", "made up", "no JSON", "a link", "a folder proposed", "both gone"])
def test_two_people_apply_the_next_policy_over_one_that_is_lost_or_wrong(inside: Inside, how: str) -> None:
    keys, folder = people(inside, "Anna", "Boris"), inside.station.paths.image_policy
    file = folder / "policy.json"
    both_sign(inside, [rule("team/**")], keys)
    older = file.read_bytes()
    both_sign(inside, [rule("team/**", people=2)], keys)
    if how == "older":
        file.write_bytes(older)
    elif how == "made up":
        file.write_bytes(older.replace(b'"enforce"', b'"warn"'))
    elif how == "no JSON":
        file.write_bytes(b"\xff{")
    else:
        file.unlink()
    if how == "a link":
        file.symlink_to("/etc/hostname")
    elif how == "a folder proposed":
        (folder / "proposed.json").symlink_to("/etc")
    elif how == "both gone":
        for one in folder.iterdir():
            one.unlink()
        folder.rmdir()
    with pytest.raises(RefusedError):
        load_applied(inside.station.paths)
    with pytest.raises(RefusedError):
        require_signed(inside.station, [], [])
    first = sign(inside.root, asking(rule("**")), keys[0])
    assert (first.applied, first.policy.number) == (False, 3)
    assert first.over
    with pytest.raises(RefusedError):  # one person alone ends nothing
        require_signed(inside.station, [], [])
    second = sign(inside.root, asking(rule("**")), keys[1])
    assert (second.applied, number_in_force(inside)) == (True, 3)
    assert proposed(inside.station.paths) is None
    event = next(one for one in inside.events("image-policy.apply") if one["detail"]["number"] == 3)
    assert event["detail"]["over"] == second.over != ""
    third = both_sign(inside, [], keys)
    assert logged_digest(inside.station.paths) == third
    last = next(one for one in inside.events("image-policy.apply") if one["detail"]["number"] == 4)
    assert "over" not in last["detail"]
