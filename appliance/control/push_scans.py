"""Images that came without an SBOM made here get one by themselves, soon after they are shown: pushed, collected or
released. By the same job as by hand, as the station itself, where `[sbom] on_push` of config.toml says so.

Images that the content rules of the policy have not looked into are looked into likewise: what was pushed before a gate
asked them, or before they had these settings.

What is shown is asked, and no list of pushes is kept: nothing is forgotten in a crash. An image that syft cannot
describe is asked once; where the job itself failed, all of it is tried again after a while.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from appliance.api.states import FINAL_STATES
from appliance.control.threads import on_own_station
from appliance.jobs.service import Jobs
from appliance.limits import scanning as limits
from appliance.program_log import say
from appliance.scanning.images import is_image
from appliance.scanning.unlooked import Unlooked
from appliance.station import Station
from appliance.store import commits
from appliance.store.epoch import epoch_of
from appliance.store.errors import EngineError
from appliance.store.reads.components import images_never_described, shown_in
from bundles.errors import LockgateError
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.jobs.documents import Job

ACTOR: Final = "station"
"""Whose act such a scan is."""


class PushScans:
    """The scans that the station begins by itself."""

    def __init__(self, station: Station, jobs: Jobs) -> None:
        self._station, self._jobs = station, jobs
        self.is_on = station.config.sbom.on_push
        self.fault = ""
        self.waiting = 0
        """Images that have no SBOM yet, as far as the last look saw."""
        self.unlooked = 0
        """Images that content rules have not looked into yet, as far as the last look saw."""
        self._no_images = set[str]()
        self._unlooked = Unlooked()
        self._epoch = epoch_of(station.paths.database)
        self._job = ""
        self._looked_at: tuple[int | None, bytes] | None = None
        self._not_before = 0.0

    async def keep_looking(self) -> None:
        """Look, and begin a scan of what has none. Until cancelled."""
        while True:
            try:
                await self.look()
            except (LockgateError, EngineError) as error:  # too many jobs, a disk that is nearly full
                self._fail(error.diagnostics() if isinstance(error, LockgateError) else str(error))
            await asyncio.sleep(limits.PUSH_SCAN_EVERY)

    async def look(self) -> None:
        """Begin a scan where images wait, none of these scans is under way, and something was written since the last
        look. Raises LockgateError, EngineError."""
        if self._is_under_way() or time.monotonic() < self._not_before:
            return
        written = commits.held(self._station.reader), self._epoch.seen()  # a policy that is applied moves the epoch
        if written == self._looked_at and not self.waiting and not self.unlooked:
            return
        references = await asyncio.to_thread(on_own_station, self._station, self._waiting)
        unlooked = await asyncio.to_thread(on_own_station, self._station, self._unlooked.find)
        self._looked_at, self.waiting, self.unlooked = written, len(references), len(unlooked)
        if references:
            await self._begin({"references": references, "kept": True})
        elif unlooked:
            next_ones = unlooked[: limits.PUSH_SCAN_IMAGES]
            await self._begin({"references": [f"{name}@{image}" for name, image in next_ones], "content": True})
            self._unlooked.begun(next_ones)

    async def _begin(self, params: dict[str, Any]) -> None:
        self._job = (await self._jobs.submit("scan", params, ACTOR)).id

    def _is_under_way(self) -> bool:
        """Whether the last scan has not ended; how it ended is taken in."""
        if not self._job:
            return False
        try:
            job = self._jobs.find(self._job)
        except LockgateError:  # its row is gone: the images are asked again
            self._job = ""
            return False
        if job.state not in FINAL_STATES:
            return True
        self._job = ""
        if job.state == "done":
            self.fault = ""
        else:
            self._fail(_why(job))
        return False

    def _fail(self, why: str) -> None:
        if why != self.fault:
            say(f"images that came in are not scanned: {safe(why)}")
        self.fault, self._not_before = why, time.monotonic() + limits.PUSH_SCAN_AGAIN

    def _waiting(self, station: Station) -> list[str]:
        """References to the next images that have no SBOM, `limits.PUSH_SCAN_IMAGES` at most."""
        found = list[str]()
        for image in images_never_described(station.reader):
            if image in self._no_images:
                continue
            if not is_image(station, image):
                self._no_images.add(image)
                continue
            places = shown_in(station.reader, image)
            if places:
                found.append(f"{places[0][0]}@{image}")
            if len(found) == limits.PUSH_SCAN_IMAGES:
                break
        return found

    def check(self) -> dict[str, Any] | None:
        """The check `scans` of the station's health; None where it begins none by itself."""
        if not self.is_on:
            return None
        if self.fault:
            detail = f"images that came in are not scanned: {self.fault}"
            return {"name": "scans", "ok": False, "detail": safe(detail)}
        said = [f"{some(self.waiting, 'image is', 'images are')} being scanned"] if self._job and self.waiting else []
        if self.unlooked:
            said.append(f"content rules have {some(self.unlooked, 'image')} to look into")
        return {"name": "scans", "ok": True, "detail": "; ".join(said) or "none waits"}


def _why(job: Job) -> str:
    error = job.error or {}
    what = ": ".join(filter(None, (error.get("what"), error.get("thing"))))
    return "; ".join(filter(None, (what, error.get("remedy")))) or f"the job {job.id} is {job.state}"
