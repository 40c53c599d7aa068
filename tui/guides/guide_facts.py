"""All that the guides look at, asked for at once."""

from __future__ import annotations

from appliance.api.common import Page
from appliance.api.people import Account
from tui.guides.new_bundle import Draft
from tui.guides.steps import GuideFacts, SettingUp
from tui.station.port import Station
from tui.station.troubles import troubles

_JOBS = 50
_OPEN = ("approved", "quarantined", "receiving")


async def gather(station: Station, draft: Draft, guide: str = "") -> GuideFacts:
    """The station's state, newest jobs, what the intake waits for, what is plugged in, and what `guide` alone looks at:
    as far as this account may see it."""
    if guide == "first_run":
        return GuideFacts(await station.status(), draft, setting_up=await _setting_up(station))
    status = await station.status()
    denied = (await station.who()).denied
    jobs = await station.jobs(limit=_JOBS)
    states = () if "quarantine" in denied else _OPEN
    entries = [entry for state in states for entry in (await station.intake(state=state)).items]
    last = next((job for job in jobs.items if job.kind == "import"), None)
    imported = (last.result or {}).get("id") if last is not None else None
    if imported and states and all(entry.id != imported for entry in entries):
        entries.append(await station.intake_entry(str(imported)))
    media = () if "media" in denied else tuple(await station.media())
    return GuideFacts(status, draft, jobs.items, tuple(entries), media, await troubles(station), not states)


async def _setting_up(station: Station) -> SettingUp:
    who = await station.who()
    accounts = None
    if "account" not in who.denied and not who.open:
        accounts = (await station.fetch(Page[Account], "/v1/accounts", limit=_JOBS)).items
    came = any(stream.direction == "in" and stream.last_sequence for stream in await station.streams())
    keys, pinned, sent = await station.keys(), await station.trust(), await station.bundles()
    return SettingUp(who, accounts, tuple(keys), tuple(pinned), tuple(sent), came)
