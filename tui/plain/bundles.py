"""A bundle of the intake at the line terminal: its report, then approve, reject or release it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from appliance.api.intake import Effect, IntakeDetail
from bundles.documents.report_page import page
from bundles.documents.report_parts import Line
from bundles.io.display import safe
from tui.decisions.deciding import (
    Signed,
    decided,
    decision_signature,
    effects_of,
    entry_with_report,
    explain_decision,
    release_explained,
    released,
)
from tui.decisions.signing import Offer, release_keys
from tui.dialogs.media import ELSEWHERE, media_options
from tui.plain.codes import show_code
from tui.plain.desk import Desk
from tui.plain.jobs import begin
from tui.plain.signing import sign
from tui.station.port import Station
from tui.wording.checklists import of_entry
from tui.wording.report import account_lines, next_here, origin, papers

_WORDS = "o report, a approve, x reject, e release, i import, l lists, qr code; empty goes back"
_MARKS = {"ok": "[ok]", "note": "[ i]", "fail": "[!!]"}


def report_lines(entry: IntakeDetail) -> list[str]:
    """The report whole, as the console's page has it with every part open; fit for display."""
    found = () if entry.report is None else page(entry.report)
    return list(_open((*account_lines(entry.account_changes), *found), 0))


def _open(lines: Sequence[Line], depth: int) -> Iterator[str]:
    for line in lines:
        mark = f"{_MARKS[line.outcome]} " if line.outcome in _MARKS else ""
        yield f"{'  ' * depth}{mark}{safe(line.text)}"
        yield from _open(line.below, depth + 1)


async def bundle_page(desk: Desk, bundle: str) -> None:
    """A bundle, and what can be done to it."""
    read: Signed | None = None
    said: IntakeDetail | None = None
    while True:
        entry = await desk.ask(partial(entry_with_report, bundle))
        seen = Signed(entry.digest, entry.report_digest)
        if entry != said:
            _say_entry(desk, entry)
            said = entry
        match await desk.terminal.ask(_WORDS):
            case "":
                return
            case "l":
                said = None
            case "o":
                show_report(desk, entry)
                read = seen
            case "a":
                await desk.tried(_approve(desk, entry, read == seen))
                read = seen
            case "x":
                await desk.tried(_reject(desk, entry))
            case "e":
                await desk.tried(_release(desk, entry))
            case "i":
                await desk.tried(bring_in(desk))
            case "qr":
                await desk.tried(show_code(desk, entry.digest))
            case typed:
                desk.say("note", f"{safe(typed)} is none of these")


def _say_entry(desk: Desk, entry: IntakeDetail) -> None:
    desk.say("", f"Bundle {safe(entry.id)}")
    desk.say("", f"from   {origin(entry)}")
    desk.say("", f"papers {papers(entry.manifest)}")
    desk.say("", f"digest {safe(entry.digest)}")
    for check in of_entry(entry):
        desk.say(check.role, f"{check.name}: {check.detail}")
    role, text = next_here(entry)
    desk.say(role, f"Next: {text}")


def show_report(desk: Desk, entry: IntakeDetail) -> None:
    """The report, and the digest that is signed with it."""
    desk.say("", f"Inspection report of {safe(entry.id)}")
    for line in report_lines(entry):
        desk.say("", line)
    desk.say("", f"digest {safe(entry.report_digest or 'none')}")


async def _approve(desk: Desk, entry: IntakeDetail, read: bool) -> None:
    """Nobody signs before the report was there to be read: `a` shows it first, and signs when it is typed again."""
    if desk.stands_in_the_way("approve", "report", entry):
        return
    if entry.report is None:
        desk.say("bad", "Approve: there is no report here to sign for")
        return
    if not read:
        show_report(desk, entry)
        desk.say("need", "read it; then a signs")
        return
    await _decide(desk, entry, "approve", "", Signed(entry.digest, entry.report_digest))


async def _reject(desk: Desk, entry: IntakeDetail) -> None:
    if desk.stands_in_the_way("reject", "report", entry):
        return
    desk.say("", "The reason is signed and kept. A rejected bundle cannot be released, and its number is used up.")
    why = await desk.terminal.ask(f"Reject {safe(entry.id)}: why, empty goes back")
    if why:
        await _decide(desk, entry, "reject", why, Signed(entry.digest))


async def _decide(desk: Desk, entry: IntakeDetail, decision: str, why: str, seen: Signed) -> None:
    async def look(station: Station) -> tuple[Offer, dict[str, Effect]]:
        offer = await release_keys(station)
        return offer, await effects_of(station, entry.id, offer) if decision == "approve" else {}

    offer, effects = await desk.ask(look)
    fetch, send = decision_signature(entry.id, decision, why, seen)
    explain = explain_decision(entry, decision, why, effects)
    after = await sign(desk, f"{decision.capitalize()} {safe(entry.id)}", offer, explain, fetch, send)
    if after is not None:
        desk.say("ok", decided(after))


async def _release(desk: Desk, entry: IntakeDetail) -> None:
    if desk.stands_in_the_way("release", "report", entry):
        return
    desk.say("", release_explained(entry.account_changes))
    if await desk.yes(f"Release {safe(entry.id)}?"):
        answer = await desk.act(lambda station: station.release(entry.id))
        desk.say(*released(answer, entry.account_changes))


async def choose_paths(desk: Desk, question: str) -> tuple[str, ...]:
    """Bundles on media, or folders whose paths are typed; empty where nothing was chosen."""
    options = media_options(await desk.ask(lambda station: station.media()))
    for one in options:
        if one.reason:
            desk.say("note", f"{one.label}: {one.reason}")
    named = [(one.value, f"{one.label}  {one.detail}".strip()) for one in options if not one.reason]
    chosen = await desk.choose(question, named, several=True)
    paths = tuple(one for one in chosen if one != ELSEWHERE)
    if ELSEWHERE in chosen:
        typed = await desk.terminal.ask("A bundle's folder, or one that holds it; empty goes back")
        return (*paths, typed) if typed else ()
    return paths


async def bring_in(desk: Desk) -> None:
    """Import what is on media or in a folder, and follow it."""
    if desk.stands_in_the_way("bring_in", "intake"):
        return
    desk.say("", "Media are only read. Nothing becomes visible before a release.")
    paths = await choose_paths(desk, "Import what?")
    if paths:
        await begin(desk, "import", {"paths": list(paths)})


async def waiting(desk: Desk) -> None:
    """Bundles that wait for people, or that people decided; one of them is opened."""
    denied = desk.who.denied.get("quarantine", "") if desk.who else ""
    if denied:
        desk.say("bad", f"forbidden: {safe(denied)}")
        return
    entries = (await desk.ask(lambda station: station.intake())).items
    if not entries:
        desk.say("", "empty: nothing was carried in yet; i imports a bundle from a medium or a folder")
        return
    options = [
        (one.id, f"{desk.look.state(one.state)[0]}  {safe(one.id)}  {one.approvals} of {one.needed} approvals")
        for one in entries
    ]
    chosen = await desk.choose("Which bundle?", options)
    if chosen:
        await bundle_page(desk, chosen[0])
