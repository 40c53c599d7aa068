"""Ledger: what came when, and gaps, forks, voids, floors and silence by their names, each with how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.api.bundles import OutgoingBundle
from appliance.api.errors import ErrorDocument
from appliance.api.intake import ClockFloor, LedgerRow, Stream
from appliance.api.jobs import Job
from appliance.api.trust import TrustRule
from tests.bundles.small import MemoryStore, file_artifact
from tests.console.keys import PASSPHRASE
from tests.console.real import live
from tests.intake.inside import carry
from tests.stage import Station
from tui.wording.streams import MEANINGS, standing, standing_out

NOW = "2026-05-04T14:00:00Z"


def row(sequence: int, state: str = "quarantined", why: str = "") -> LedgerRow:
    return LedgerRow(
        entry=sequence, stream="alpha.bravo", sequence=sequence, id=f"alpha.bravo-{sequence:06d}", state=state, why=why,
        created="2026-05-01T09:00:00Z",
    )  # fmt: skip


def stream(last: int, at: str = "2026-05-01T09:00:00Z", way: str = "in") -> Stream:
    return Stream(stream="alpha.bravo", direction=way, last_sequence=last, last_digest="", last_at=at)


def lines(rows: list[LedgerRow], jobs: list[Job] | None = None, rules: list[TrustRule] | None = None) -> list[str]:
    found = standing(stream(rows[-1].sequence), rows, jobs or [], rules or [], ClockFloor(now=NOW))
    return [f"{line.role} {line.text}" for line in found]


def test_a_whole_history_says_only_what_comes_next() -> None:
    assert lines([row(1), row(2)]) == ["ok next 000003, last came 2026-05-01 09:00, no silence alarm"]


def test_a_number_that_was_let_pass_is_a_void_of_the_source() -> None:
    (_, void) = lines([row(1), row(4)])[:2]
    assert void.startswith("wait void 000003: the source cancelled or lost it. Nothing is to be done")
    assert len(lines([row(1), row(4)])) == 3


def test_a_gap_that_the_policy_let_in_is_named_at_the_bundle_that_came_over_it() -> None:
    (_, gap) = lines([row(1), row(4, why="a gap: alpha.bravo-000002, ... did not come; the policy allows it")])
    assert gap.startswith("need gap before 000004: let in by the policy")


def test_a_floor_that_people_set_is_named_with_their_reason_and_hides_what_it_skipped() -> None:
    (_, floor) = lines([row(1), row(5, "reset", "Anna: lost at sea"), row(6)])
    assert floor.startswith("need floor 000005, set 2026-05-01 09:00 (Anna: lost at sea)")


@pytest.mark.parametrize("name", MEANINGS)
def test_a_refusal_by_the_ledger_is_named_with_what_it_means_and_how_to_go_on(name: str) -> None:
    refused = Job(
        id="j1", kind="import", state="refused", finished="2026-05-03T10:00:00Z",
        error=ErrorDocument(code=name, what=f"a {name}: something", thing="alpha.bravo-000002", exit_status=3),
    )  # fmt: skip
    said = lines([row(1), row(2)], [refused, refused])
    assert [line for line in said if name in line.split(" ", 2)[1]] == said[1:]
    assert f"{name} alpha.bravo-000002, refused 2026-05-03 10:00: {MEANINGS[name]}" in said[1]


def test_silence_is_an_alarm_from_the_day_that_the_rule_names() -> None:
    rules = [TrustRule(purpose="bundle", silence_days=3), TrustRule(purpose="bundle", site="alpha", silence_days=4)]
    assert lines([row(1)], rules=rules)[0].endswith("silence alarm 4 d")
    (said,) = lines([row(1)], rules=rules[:1])
    assert said.startswith("bad SILENT for 3 days, alarm after 3: ask alpha whether one was sent")


def test_a_clock_behind_the_floor_is_said_with_what_to_do() -> None:
    behind = ClockFloor(now=NOW, floor="2099-01-01T00:00:00Z", why="alpha.bravo-000001")
    said = standing(stream(1), [row(1)], [], [], behind)[-1]
    assert said.role == "bad"
    assert "clock floor 2099-01-01 00:00 (alpha.bravo-000001): this station's clock stands behind it" in said.text


def test_a_stream_that_is_carried_out_names_its_voids() -> None:
    sent = [OutgoingBundle(id="alpha.bravo-000002", stream="alpha.bravo", sequence=2, state="voided", created=NOW)]
    assert "void: alpha.bravo-000002" in standing_out(stream(3, way="out"), sent)[1].text


async def test_the_screen_names_what_is_out_of_the_ordinary(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await console.press("7")
        rows = console.app.shown.query_one("#standing")
        assert "clock floor 2026-05-04 07:45 (alpha.bravo-000007): earlier is not believed" in rows.as_text()
        assert "fork alpha.bravo-000004, refused" in console.screen()
        await console.press("down")
        assert "SILENT for 49 days" in rows.as_text()
        assert "void 000002" in console.screen()


async def test_tab_walks_through_the_three_lists_and_esc_back_to_the_streams(drive: Any) -> None:
    async with drive() as console:
        await console.press("7")
        for ident in ("entries", "standing", "streams", "entries"):
            await console.press("tab")
            assert console.app.focused.id == ident
        await console.press("escape")
        assert console.app.focused.id == "streams"


async def test_f_sets_a_floor_when_two_people_have_signed_the_same(drive: Any) -> None:
    async with drive() as console:
        for place, ending in ((0, "1 of 2 people said so"), (1, "the floor of alpha.bravo is set")):
            await console.press("7", "f")
            for answer in ("9", "", "", "lost at sea"):
                console.app.focused.value = answer
                await console.press("enter")
            await console.press(*["down"] * place, "enter")
            assert "You say that alpha.bravo continues after number 9." in console.screen()
            await console.press(*PASSPHRASE, "enter")
            await console.shows(ending)


async def test_a_floor_is_a_number_or_a_time_and_not_both(drive: Any) -> None:
    async with drive() as console:
        await console.press("7", "f")
        for answer in ("9", "", NOW, "why"):
            console.app.focused.value = answer
            await console.press("enter")
        assert "a floor is a number or a time" in console.screen()


async def test_only_a_stream_that_comes_in_has_a_floor(drive: Any) -> None:
    async with drive() as console:
        await console.press("7", "end", "f")
        assert "Set floor: only a stream that is carried in has a floor" in console.screen()


async def test_a_real_stations_gap_is_refused_named_and_passed_by_a_floor(tmp_path: Path) -> None:
    store = MemoryStore()
    contents = [file_artifact(store, b"hello\n")]
    first = carry(tmp_path / "one", store, contents)
    third = carry(tmp_path / "three", store, contents, sequence=3, previous="sha256:" + "0" * 64)
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        bravo.run("key", "create", "officer", "--no-passphrase")
        officer = tmp_path / "officer.pem"
        officer.write_text(bravo.run("key", "export", "officer").stdout)
        bravo.run("key", "trust", officer, "--purpose", "release", "--owner", "Officer")
        for made in (first, third):
            pem = tmp_path / f"{made.key.public.keyid}.pem"
            pem.write_bytes(made.key.public.to_pem())
            bravo.run("key", "trust", pem, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
        bravo.run("intake", "import", first.folder)
        bravo.run("intake", "import", third.folder, expect=3)
        async with live(bravo.folder) as console:
            await console.press("7")
            await console.shows("gap alpha.bravo-000003, refused")
            await console.shows("clock floor")
            await console.press("f")
            await console.shows("after number")
            for answer in ("2", "", "", "number 2 was lost"):
                await console.type(answer)
                await console.press("enter")
            await console.shows("the floor of alpha.bravo is set")
            await console.shows("floor 000002")
        bravo.run("intake", "import", third.folder)
