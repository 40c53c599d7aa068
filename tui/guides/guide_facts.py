"""All that the guides look at, asked for at once."""

from __future__ import annotations

from tui.guides.new_bundle import Draft
from tui.guides.steps import GuideFacts
from tui.station.port import Station
from tui.station.troubles import troubles

_JOBS = 50
_OPEN = ("approved", "quarantined", "receiving")


async def gather(station: Station, draft: Draft) -> GuideFacts:
    """The station's state, newest jobs, what the intake waits for, what is plugged in: as far as this account may see
    it."""
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
