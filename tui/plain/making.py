"""A new bundle at the line terminal: the form's fields by number, the plan, the build."""

from __future__ import annotations

import asyncio
from typing import Final

from appliance.api.bundles import Plan
from bundles.errors import LockgateError
from bundles.io.display import safe
from tui.decisions.building import (
    PINNED_HERE,
    carries,
    check_names,
    check_path,
    check_site,
    check_size,
    known_sites,
    names_in_file,
    signing_keys,
)
from tui.decisions.signing import Offer
from tui.guides.new_bundle import FULL, LAST, VOLUMES, Draft
from tui.plain.desk import Desk, file_of
from tui.plain.jobs import begin
from tui.plain.signing import choose_key
from tui.screens.outgoing.new_bundle import FIELDS, NEEDED, value_of
from tui.station.link import SLOW
from tui.terminal.texts import size, words
from tui.widgets.plan_rows import chosen, not_carried, summary

_OTHER: Final = "\0other"
_CHANGED: Final = "changed"
_WORDS: Final = "A number changes a field, l lists them, p plans, b builds, x starts over; empty goes back"


async def new_bundle(desk: Desk) -> None:
    """The form, until a bundle is begun or somebody goes back. It is said whole once: a line may take seconds."""
    _say_form(desk)
    while True:
        match await desk.terminal.ask(_WORDS):
            case "":
                return
            case "l":
                _say_form(desk)
            case "p":
                await desk.tried(_plan(desk))
            case "b":
                if await _build(desk):
                    return
            case "x":
                desk.draft = Draft()
                desk.say("ok", "the form is empty")
            case typed if typed.isascii() and typed.isdigit() and 0 < int(typed) <= len(FIELDS):
                await desk.tried(_change(desk, FIELDS[int(typed) - 1][0]))
                _say_field(desk, int(typed) - 1)
            case typed:
                desk.say("note", f"{safe(typed)} is none of these")


def _say_form(desk: Desk) -> None:
    desk.say("", "New bundle")
    for place in range(len(FIELDS)):
        _say_field(desk, place)


def _say_field(desk: Desk, place: int) -> None:
    field, name = FIELDS[place]
    value = value_of(desk.draft, field)
    role = "ok" if value else "need" if field in NEEDED else "wait"
    desk.say(role, f"{place + 1}  {name}: {value or ('choose' if field in NEEDED else 'not given')}")


async def _change(desk: Desk, field: str) -> None:
    match field:
        case "references":
            await _references(desk)
        case "to":
            await _destination(desk)
        case "since":
            await _since(desk)
        case "media":
            await _media(desk)
        case "volume":
            await _volume(desk)
        case "key":
            await _key(desk)
        case "cosigners":
            await _cosigners(desk)
        case _:
            desk.say("", "It is written into the manifest and shown to approvers.")
            _set(desk, **{field: await desk.terminal.ask(f"{field.capitalize()}, empty for none")})


def _set(desk: Desk, **fields: object) -> None:
    desk.draft = desk.draft.change(**fields)


async def _references(desk: Desk) -> None:
    desk.say("", "Names or patterns, apart by blanks: team/app:1.2, team/**, charts/payments:*, REPO for all its tags.")
    desk.say("", f"{_CHANGED}: only what has changed since it was sent; @FILE: the names that a list holds.")
    typed = await desk.terminal.ask("Artifacts, empty goes back")
    if not typed:
        return
    names: list[str] = []
    for one in typed.split():
        if one.startswith("@"):
            names += await asyncio.to_thread(names_in_file, str(file_of(one[1:])))
        elif one != _CHANGED:
            wrong = check_names(one)
            if wrong:
                desk.say("bad", wrong)
                return
            names.append(one)
    _set(desk, references=tuple(dict.fromkeys(names)), changed=_CHANGED in typed.split())


async def _destination(desk: Desk) -> None:
    sites = await desk.ask(known_sites)
    desk.say("", f"Known sites: {words(sites)}" if sites else "No site is known yet.")
    site = await desk.checked("Destination, the name that the other station was given", check_site)
    if site:
        new = bool(sites) and site not in sites
        if new and not await desk.yes(f"Is {site} a new site? No bundle was ever made for it."):
            return
        _set(desk, to=site, new_site=new)


async def _since(desk: Desk) -> None:
    options = [
        (FULL, "nothing: everything is carried"),
        (LAST, "what is known to be there, by its last receipt or by what was sent"),
        (_OTHER, "a receipt or want-list that came back"),
    ]
    picked = await desk.choose("Base of this delta?", options)
    if picked == (_OTHER,):
        path = await desk.checked("Receipt or want-list, a file; its .sig lies beside it", check_path)
        picked = (path,) if path else ()
    if picked:
        _set(desk, since=picked[0])


async def _media(desk: Desk) -> None:
    found = await desk.ask(lambda station: station.media())
    options = [
        (one.path, f"{safe(one.path)}  {safe(one.label)} {size(one.free)} free") for one in found if not one.read_only
    ]
    picked = await desk.choose("Write to which media, in this order?", [*options, (_OTHER, "a folder")], several=True)
    paths = tuple(one for one in picked if one != _OTHER)
    if _OTHER in picked:
        typed = await desk.checked("A folder; the bundle's own folder is made in it", check_path)
        if not typed:
            return
        paths = (*paths, typed)
    if paths:
        _set(desk, media=paths)


async def _volume(desk: Desk) -> None:
    options = [*((value, f"{value}  {detail}") for value, detail in VOLUMES), (_OTHER, "another size")]
    picked = await desk.choose("The largest volume file?", options)
    if picked == (_OTHER,):
        typed = await desk.checked("A size such as 40MB or 4GiB", check_size)
        picked = (typed,) if typed else ()
    if picked:
        _set(desk, volume=picked[0])


async def _key(desk: Desk) -> None:
    own, known = await desk.ask(signing_keys)
    keys = tuple(key for key in own if not key.station)
    named = [(key.name, f"{safe(key.name)}  {key.keyid}") for key in keys]
    picked = await desk.choose("Who signs?", [*named, (_OTHER, "a key in a file")])
    if picked == (_OTHER,):
        opened = await choose_key(desk, Offer((), known, PINNED_HERE))
        if opened is not None:
            _set(desk, key=opened[0].name, keyid=opened[0].keyid)
    elif picked:
        key = next(one for one in keys if one.name == picked[0])
        _set(desk, key=key.name, keyid=key.keyid)


async def _cosigners(desk: Desk) -> None:
    options = [
        (key.keyid, f"{key.keyid}  {safe(key.owner)}")
        for key in await desk.ask(lambda station: station.trust())
        if "bundle" in key.purposes and not key.revoked and key.keyid != desk.draft.keyid
    ]
    desk.say("", "Until they have signed, the bundle is incomplete. Going back leaves nobody else.")
    _set(desk, cosigners=await desk.choose("Who must sign too?", options, several=True) if options else ())


async def _plan(desk: Desk) -> None:
    if desk.stands_in_the_way("plan", "new_bundle"):
        return
    desk.say("busy", "planning; nothing is written")
    draft = desk.draft
    plan = await desk.ask(lambda station: station.plan(draft.plan_params()), SLOW)
    desk.draft = draft.change(plan=plan)
    _tell(desk, plan)


def _tell(desk: Desk, plan: Plan) -> None:
    for text in plan.unfinished:
        desk.say("bad", safe(text))
    if plan.nothing:
        desk.say("note", safe(plan.nothing))
        return
    desk.say("", f"Plan: {summary(plan)}")
    if plan.requires:
        desk.say("", not_carried(plan))
    for number, medium in enumerate(plan.media, 1):
        taken = sum(volume.size for volume in plan.volumes if volume.medium == number)
        free = "" if medium.free is None else f", {size(max(medium.free - taken, 0))} stay free"
        desk.say("", f"medium {number}: {size(taken)}{free}  {safe(medium.path)}")
    for line in chosen(plan):
        desk.say("", line)
    desk.say("ok", "planned, nothing is written yet; b builds it")


async def _build(desk: Desk) -> bool:
    """Begin it, after the plan was made again: what is built is what was shown. Whether a bundle was begun."""
    if desk.stands_in_the_way("build", "new_bundle"):
        return False
    draft = desk.draft
    desk.say("busy", "looking whether the plan still holds")
    begun = False

    async def work() -> None:
        nonlocal begun
        plan = await desk.ask(lambda station: station.plan(draft.plan_params()), SLOW)
        if draft.plan is None or carries(plan) != carries(draft.plan):
            desk.draft = draft.change(plan=plan)
            _tell(desk, plan)
            desk.say("need", "what would be carried has changed: look at the new plan, then b builds it")
            return
        desk.draft = draft.again()
        begun = True
        try:
            await begin(desk, "build", draft.build_params())
        except LockgateError:
            desk.draft = draft
            raise

    await desk.tried(work())
    return begun
