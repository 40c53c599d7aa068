"""One request on its way through a handler: what it names, who may do it, and the helpers handlers share."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from aiohttp import web

from appliance import limits
from appliance.observe.audit import AuditEvent, refusal
from appliance.registry import errors
from appliance.registry.errors import RefusedRequestError
from appliance.registry.manifest_cache import ManifestCache
from appliance.registry.routes import Target
from appliance.registry.services import Action, RegistryServices
from appliance.store.writes.base import Write
from bundles.errors import LockgateError, MalformedError
from bundles.oci.digest import Digest

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """What the requests of one worker share beside the services: threads for everything that waits for a disk."""

    def __init__(self, services: RegistryServices) -> None:
        self.services = services
        self.threads = ThreadPoolExecutor(limits.REGISTRY_THREADS, thread_name_prefix="registry")
        self.manifests = ManifestCache(services.blobs, limits.MANIFEST_CACHE)

    async def in_thread(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` in one of the worker's threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, functools.partial(function, *args, **kwargs))


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose path has been understood."""

    request: web.Request
    worker: Worker
    target: Target

    @property
    def services(self) -> RegistryServices:
        return self.worker.services

    @property
    def name(self) -> str:
        """The repository's name, valid."""
        return self.target.name

    @property
    def digest(self) -> Digest:
        """The path's reference as a digest. Raises RefusedRequestError with DIGEST_INVALID."""
        return parse_digest(self.target.reference)

    def require(self, action: Action) -> None:
        """Go on only where the caller may. Raises RefusedRequestError with 401 or 403."""
        refusal = self.services.access.check(self.request, action, self.name)
        if refusal is not None:
            raise RefusedRequestError(refusal)

    async def write(self, write: Write, act: str, thing: str, **detail: str) -> Any:
        """Record an act and hand its transaction to the one writer; durable when it returns.

        Recorded first: what cannot be recorded does not happen. One that then fails is recorded as that, too.
        """
        actor = str(self.request.get("actor", "anonymous"))
        record = self.services.audit.record
        await self.worker.in_thread(record, AuditEvent(act, actor, thing, "done", detail))
        try:
            return await self.services.writer.submit(write)
        except LockgateError as error:
            await self.worker.in_thread(record, refusal(act, actor, thing, error))
            raise


def parse_digest(text: str) -> Digest:
    """A digest a client named. Raises RefusedRequestError with DIGEST_INVALID."""
    try:
        return Digest.parse(text)
    except MalformedError as error:
        raise RefusedRequestError(errors.digest_invalid(error)) from None
