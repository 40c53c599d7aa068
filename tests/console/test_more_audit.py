"""Audit: newest first and paged, narrowed by who, what and when; the chain is checked in sight, with its head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.api.audit import Checked
from appliance.api.status import Head
from tests.console.doubles import audit as demo_audit
from tests.console.real import live
from tests.stage import Station
from tui.wording.audit import chain_lines


async def audit(console: Any) -> list[dict[str, Any]]:
    console.app.show_root("audit")
    await console.rest()
    return demo_audit.events(console.inside)


async def test_events_stand_newest_first_and_the_older_follow_page_by_page(drive: Any) -> None:
    async with drive() as console:
        log = await audit(console)
        table = console.app.shown.table
        assert [one.seq for one in table.records] == [one["seq"] for one in log[::-1][: len(table.records)]]
        assert len(table.records) < len(log)
        await console.press("end", "end")
        assert [one.seq for one in table.records] == [one["seq"] for one in log[::-1]]


async def test_an_event_says_who_did_what_to_what_and_where_it_stands_in_the_chain(drive: Any) -> None:
    async with drive() as console:
        log = await audit(console)
        text = console.screen()
        assert f"{log[-1]['act']} {log[-1]['thing']} by {log[-1]['actor']}" in text
        assert f"lane 1, event {log[-1]['seq']}" in text


async def test_f_narrows_by_who_what_and_when_and_esc_takes_it_back(drive: Any) -> None:
    async with drive() as console:
        log = await audit(console)
        await console.press("f")
        for answer in ("intake.", "importer(1001)", "", "refused", "2026-05-01", ""):
            console.app.focused.value = answer
            await console.press("enter")
        table = console.app.shown.table
        assert [(one.act, one.outcome) for one in table.records] == [("intake.import", "refused")]
        assert "act intake., who importer(1001), outcome refused, since 2026-05-01" in table.note
        await console.press("escape")
        assert table.note == ""
        assert len(table.records) > 1
        assert len(log) > 1


async def test_a_wrong_outcome_is_said_in_the_form(drive: Any) -> None:
    async with drive() as console:
        await audit(console)
        await console.press("f", "down", "down", "down", *"well", "enter")
        assert "[!!] outcome: it is done, refused or failed" in console.screen()


async def test_a_filter_finds_a_text_anywhere_in_an_event(drive: Any) -> None:
    async with drive() as console:
        await audit(console)
        await console.press("slash", *"passphrase")
        await console.until(lambda: not console.app.shown.table.records, "nothing holds it")
        for _ in "passphrase":
            await console.press("backspace")
        await console.press(*"password", "enter")
        await console.until(lambda: len(console.app.shown.table.records) == 1, "the filter")
        assert "log-in" in console.screen()


async def test_c_checks_the_chain_and_shows_the_head(drive: Any) -> None:
    async with drive() as console:
        log = await audit(console)
        assert "not checked since this console was opened: c looks at all" in console.screen()
        await console.press("c", "enter")
        await console.shows(f"[ok] {len(log)} events in 1 lane hold: none edited, removed or moved")
        assert "no head was given: a cut end would not show" in console.screen()
        head = console.app.shown.checked.head
        assert head in console.screen()
        await console.press("y")
        assert console.app.clipboard == head
        await console.press("c", *head, "enter")
        await console.shows("[ok] the log holds the head that you gave")


async def test_a_log_that_was_changed_is_said_in_capitals_with_the_place(drive: Any) -> None:
    async with drive() as console:
        await audit(console)
        await console.press("c", *"feed", "enter")
        await console.shows("[!!] THE LOG WAS CHANGED: 1 finding.")
        assert "lanes/01.000001.jsonl" in console.screen()


async def test_a_real_stations_log_is_narrowed_checked_and_an_edit_found(tmp_path: Path) -> None:
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        bravo.run("key", "create", "officer", "--no-passphrase")
        async with live(bravo.folder) as console:
            console.app.show_root("audit")
            await console.shows("key.create")
            await console.press("f")
            await console.shows("Which events?")
            for answer in ("key.", "", "", "done", "", ""):
                await console.type(answer)
                await console.press("enter")
            await console.until(
                lambda: {one.act for one in console.app.shown.table.records} == {"key.create"}, "narrowed"
            )  # type: ignore[union-attr]
            await console.press("c")
            await console.shows("against which head?")
            await console.press("enter")
            await console.shows("hold: none edited, removed or moved")
            head = console.app.shown.checked.head  # type: ignore[union-attr]
            assert head in bravo.run("audit", "verify", "--expect-head", head).stdout
            await console.press("c")
            await console.shows("against which head?")
            await console.type(head)
            await console.press("enter")
            await console.shows("the log holds the head that you gave")

            lane = next(
                path for path in (bravo.folder / "audit").rglob("*.jsonl") if b'"key.create"' in path.read_bytes()
            )
            lane.write_bytes(lane.read_bytes().replace(b'"name":"officer"', b'"name":"nobody!"', 1))
            await console.press("c")
            await console.shows("against which head?")
            await console.press("enter")
            await console.shows("THE LOG WAS CHANGED")


def test_events_without_a_signature_and_a_clock_that_was_set_back_are_said_beside_the_verdict() -> None:
    mark = {role: role for role in ("ok", "note", "bad", "wait")}
    checked = Checked(ok=True, events=9, lanes=1, checkpoints=2, covered=6, uncovered=3, time_back=2)
    said = [line[0][0] for line in chain_lines(Head(), checked, "now", mark)]
    assert "note 3 events behind the last checkpoint: no signature covers them yet" in said
    assert "note 2 events older than the one before: a clock was set back" in said
    good = Checked(ok=True, events=9, lanes=1, checkpoints=2, covered=9)
    assert len(chain_lines(Head(), good, "now", mark)) == len(said) - 2
