"""The `warm` job: caches are filled before clients ask, so that a roll-out waits for no upstream.

It asks the process that fetches, as clients do: what is here is not fetched, and what a client fetches at the same time
is fetched once. A cancelled job asks no more; what is under way comes to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.caching.fetch_requests import Asking
from appliance.caching.warm_names import check_warm
from appliance.jobs.kinds import JobContext, PartlyDoneError, Result
from appliance.limits import caching as limits
from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.tasks import each_of, end
from appliance.registry.pull_through import Outcome
from appliance.selecting.platforms import Wanted, check_platforms
from appliance.settings.caches import Caches
from bundles.errors import FailedError, LockgateError, NotFoundError, RefusedError
from bundles.io.display import some
from bundles.limits import INDEX_DEPTH
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import Reference

_NAMED: Final = 3


def run(context: JobContext) -> Result:
    """Have everything here that `params["references"]` name, of indexes the `params["platforms"]` alone, or all.

    The result: references [those that are here whole], manifests, blobs, fetched (how many of them came from upstream),
    bytes (of all blobs), stale [references whose tag could not be asked for upstream], failed [{reference, why}].
    Raises UsageError, CancelledError; PartlyDoneError where some failed or are stale, FailedError where all failed.
    """
    caches = Caches(context.station.config.caches)
    references = check_warm(caches, context.params["references"])
    thing = ", ".join(map(str, references))[:160]
    platforms = check_platforms(context.params.get("platforms"))
    event = AuditEvent(Act.WARM, context.actor, thing, "done", {"references": [str(one) for one in references]})
    with context.recording(event):
        warming = _Warming(context, Asking(caches, context.station.paths.cache_socket), platforms)
        asyncio.run(warming.run(references))
    result = warming.result(references)
    if len(warming.failed) == len(references):
        first = next(iter(warming.failed.values()))
        raise FailedError(f"nothing is here whole ({first.what})", thing=thing, remedy="the job's log says why of each")
    if warming.failed or warming.stale:
        left = [str(one) for one in references if one in warming.failed or one in warming.stale]
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        raise PartlyDoneError(
            f"{some(len(left), 'reference is', 'references are')} not as they are upstream",
            thing=", ".join(left[:_NAMED]) + more, remedy="the job's log says why; run the same command again",
            result=result,
        )  # fmt: skip
    return result


class _Warming:
    """One run."""

    def __init__(self, context: JobContext, asking: Asking, platforms: tuple[str, ...]) -> None:
        self._context, self._asking, self._platforms = context, asking, platforms
        self._manifests: set[tuple[str, Digest]] = set()
        self._blobs: dict[tuple[str, Digest], tuple[int, list[Reference]]] = {}
        self._done = self._total = self._fetched = 0
        self.failed: dict[Reference, LockgateError] = {}
        self.stale: dict[Reference, str] = {}

    def result(self, references: list[Reference]) -> Result:
        """As `run`'s."""
        return {
            "references": [str(one) for one in references if one not in self.failed],
            "manifests": len(self._manifests), "blobs": len(self._blobs), "fetched": self._fetched,
            "bytes": self._total, "stale": [str(one) for one in self.stale],
            "failed": [{"reference": str(one), "why": error.diagnostics()} for one, error in self.failed.items()],
        }  # fmt: skip

    async def run(self, references: list[Reference]) -> None:
        """Raises CancelledError."""
        await self._attended(each_of((self._find(one) for one in references), limits.CACHE_WARM_AT_ONCE))
        await self._attended(each_of((self._blob(*key) for key in list(self._blobs)), limits.CACHE_WARM_AT_ONCE))
        for reference in references:
            error = self.failed.get(reference)
            if error is not None:
                self._context.log(f"[!!] {reference}: {error.diagnostics()}")
                self._context.part(
                    str(reference), 1, "failed", 0, 0, error.diagnostics()[: collecting_limits.COLLECT_REASON]
                )
            elif reference in self.stale:
                self._context.log(f"[!!] {reference}: as it was, since {self.stale[reference]}")
            else:
                self._context.log(f"{reference} is here")

    async def _attended(self, work: Coroutine[Any, Any, object]) -> None:
        """Do a piece of work, and look meanwhile whether somebody cancelled the job."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=limits.CACHE_WARM_LOOK))[0]:
                self._say()
        finally:
            await end([task])
        task.result()
        self._say()

    def _say(self) -> None:
        self._context.progress("warm", self._done, self._total)

    async def _find(self, reference: Reference) -> None:
        """The manifests behind a reference, and which blobs they name."""
        named = str(reference.digest or reference.tag)
        wanted = Wanted(self._platforms)
        try:
            found = await self._manifest(reference, named)
            await self._walk(reference, found, wanted, 0)
            wanted.lacking(str(reference))
        except LockgateError as error:
            self.failed[reference] = error

    async def _manifest(self, reference: Reference, named: str) -> Digest:
        """See to it that a manifest is here; its digest. Raises RefusedError, NotFoundError, FailedError."""
        repository, metadata = reference.repository, self._context.station.metadata
        if ":" in named:
            self._require_unblocked(Digest.parse(named))
        outcome = await self._asking.manifest(repository, named)
        if outcome.state == "stale":
            self.stale[reference] = outcome.why
        elif outcome.state not in ("brought", "kept"):
            raise _error(outcome, f"{repository}{'@' if ':' in named else ':'}{named}")
        self._fetched += outcome.state == "brought"
        facts = (
            metadata.linked_manifest(repository, Digest.parse(named))
            if ":" in named
            else metadata.tagged_manifest(repository, named)
        )
        if facts is None:
            raise NotFoundError("it was taken away meanwhile", thing=str(reference), remedy="run it again")
        self._require_unblocked(facts.digest)
        return facts.digest

    async def _walk(self, reference: Reference, digest: Digest, wanted: Wanted, depth: int) -> None:
        key = reference.repository, digest
        if depth > INDEX_DEPTH:
            raise RefusedError("indexes are nested too deep", thing=str(reference), remedy=f"at most {INDEX_DEPTH}")
        self._manifests.add(key)
        manifest = parse_manifest(await asyncio.to_thread(self._read, digest))
        for blob in manifest.blobs:
            self._want(reference, blob)
        for child in wanted.split(manifest).taken:
            await self._manifest(reference, str(child.digest))
            await self._walk(reference, child.digest, wanted, depth + 1)

    def _read(self, digest: Digest) -> bytes:
        with self._context.station.blobs.open_blob(digest) as file:
            return file.read()

    def _want(self, reference: Reference, blob: Descriptor) -> None:
        key = reference.repository, blob.digest
        if key not in self._blobs:
            self._blobs[key] = blob.size, []
            self._total += blob.size
        self._blobs[key][1].append(reference)

    async def _blob(self, repository: str, digest: Digest) -> None:
        size, references = self._blobs[repository, digest]
        try:
            self._require_unblocked(digest)
            outcome = await self._asking.blob(repository, digest)
            if outcome.state not in ("brought", "kept"):
                raise _error(outcome, f"{repository}@{digest}")
        except LockgateError as error:
            self.failed |= {one: error for one in references if one not in self.failed}
            return
        self._fetched += outcome.state == "brought"
        self._done += size

    def _require_unblocked(self, digest: Digest) -> None:
        why = self._context.station.metadata.blocked(digest)
        if why is not None:
            raise RefusedError(f"blocked: {why}"[:300], thing=str(digest), remedy="see: lockgate block list")


def _error(outcome: Outcome, thing: str) -> LockgateError:
    if outcome.state == "absent":
        return NotFoundError("the upstream does not have it", thing=thing, remedy="check the name and the tag")
    when = f"try again in {outcome.retry} s" if outcome.retry else "try again later"
    return FailedError(outcome.why or "it could not be fetched", thing=thing, remedy=when)
