"""The registry as an aiohttp application: one dispatcher from paths and methods to handlers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import HttpVersion11, web

from appliance.limits import audit as audit_limits
from appliance.limits import registry as limits
from appliance.paths import StationPaths
from appliance.plain_http import require_version
from appliance.program_log import lacking
from appliance.readiness import HEALTHZ, READYZ, Probe
from appliance.registry import (
    admission,
    blobs,
    blocks,
    errors,
    lists,
    manifest_push,
    manifests,
    referrers,
    uploads,
    version_check,
)
from appliance.registry.call import Call
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.lane import Lane
from appliance.registry.live import keep as keep_live
from appliance.registry.measuring import REASON, TARGET, RegistryMeasures, reason_of
from appliance.registry.routes import Resource, parse
from appliance.registry.sending import cut, in_pieces
from appliance.registry.services import RegistryServices
from appliance.registry.serving import LANE, handler_args
from appliance.registry.watch import phase
from appliance.registry.worker import Worker
from appliance.store.errors import EngineError
from appliance.store.presence import StoreAwayError
from appliance.store.reading import UnreadableError
from appliance.store.reserve import ReadOnlyError
from appliance.store.rows import WrongRowError, damage_of, is_away
from bundles.errors import FailedError, LockgateError
from bundles.io.display import safe

_BEGUN: Final = web.RequestKey("begun", bool)
"""Set once an answer's headers are on their way."""

Handler = Callable[[Call], Awaitable[web.StreamResponse | WireError]]

_log: Final = logging.getLogger(__name__)

ROUTES: Final[Mapping[Resource, Mapping[str, Handler]]] = MappingProxyType(
    {
        "base": {"GET": version_check.support, "HEAD": version_check.support},
        "catalog": {"GET": lists.list_repositories, "HEAD": lists.list_repositories},
        "blocks": {"GET": blocks.list_blocks, "HEAD": blocks.list_blocks},
        "blob": {"GET": blobs.get_blob, "HEAD": blobs.head_blob, "DELETE": blobs.delete_blob},
        "uploads": {"POST": uploads.start_upload},
        "upload": {
            "GET": uploads.upload_status,
            "HEAD": uploads.upload_status,
            "PATCH": uploads.patch_upload,
            "PUT": uploads.put_upload,
            "DELETE": uploads.cancel_upload,
        },
        "manifest": {
            "GET": manifests.get_manifest,
            "HEAD": manifests.head_manifest,
            "PUT": manifest_push.put_manifest,
            "DELETE": manifests.delete_manifest,
        },
        "tags": {"GET": lists.list_tags, "HEAD": lists.list_tags},
        "admission": {"POST": admission.review_workload},
        "referrers": {"GET": referrers.list_referrers, "HEAD": referrers.list_referrers},
    }
)
"""Every operation of the API; what a path allows and this does not list is a 405."""


def create_app(services: RegistryServices, measures: RegistryMeasures | None = None) -> web.Application:
    """The registry over one worker's services, for any runner; `appliance.registry.serving` has one, and a loop.
    `measures`: where its requests are counted; None: in memory."""
    measures = measures or RegistryMeasures.alone()
    worker = Worker(services, measures)

    async def handle(request: web.Request) -> web.StreamResponse:
        begun = time.perf_counter()
        require_version(request)
        watch = worker.watch  # who looks may come and go meanwhile
        if watch is not None:
            watch.begin(request)
        try:
            answer = await in_pieces(request, await _answer(request, worker))
        except ConnectionError:
            measures.broken(request, begun)
            if watch is not None:
                watch.answered(request, None, begun)
            raise
        except asyncio.CancelledError:
            if watch is not None:
                watch.cancelled(request)
            raise
        measures.answered(request, answer, begun)
        if watch is not None:
            watch.answered(request, answer, begun)
        return answer

    async def threads(_: web.Application) -> AsyncIterator[None]:
        keeping = {asyncio.create_task(_sweep_uploads(worker)), asyncio.create_task(_write_counts(worker))}
        if services.live is not None:
            keeping.add(asyncio.create_task(keep_live(services.live, worker.show)))
        yield
        for task in keeping:
            task.cancel()
        await asyncio.wait(keeping)
        await worker.finish_notes()
        await worker.write_pulls(all_of_them=True)
        await worker.note_pulls(anew=True)
        worker.threads.shutdown(wait=True)

    paths = StationPaths(services.metadata.path.parent)
    probe = Probe(paths, services.metadata, asks_control=True, blobs=services.blobs)

    app = web.Application(handler_args=handler_args())
    app[LANE] = Lane(worker)
    app.router.add_get(READYZ, probe.readyz)
    app.router.add_get(HEALTHZ, probe.healthz)
    app.router.add_route("*", r"/{path:[\s\S]*}", handle, expect_handler=_expect)
    app.on_response_prepare.append(_name_the_protocol)
    app.cleanup_ctx.append(threads)
    return app


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """RFC 9110, section 10.1.1: whoever waits to be asked for a body is asked; any other expectation is refused."""
    if request.version != HttpVersion11:
        return None
    if request.headers.get("Expect", "").lower() != "100-continue":
        return errors.respond(errors.EXPECTATION)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer's own bytes are counted from here
    return None


async def _write_counts(worker: Worker) -> None:
    """Write repeated pulls whose hour is over to the audit log, every so often, and note the others until then. Until
    cancelled."""
    await worker.take_up_pulls()
    written = time.monotonic()
    while True:
        await worker.note_pulls()
        await asyncio.sleep(audit_limits.AUDIT_JOURNAL)
        if time.monotonic() - written >= audit_limits.AUDIT_COUNTED:
            await worker.write_pulls()
            written = time.monotonic()


async def _sweep_uploads(worker: Worker) -> None:
    """Remove abandoned uploads, now and every so often, until cancelled. Several workers may do so at once."""
    while True:
        try:
            removed = await worker.in_thread(worker.services.uploads.sweep, limits.UPLOAD_EXPIRES)
        except OSError as error:
            _log.warning("abandoned uploads were not swept: %s", error)
        else:
            if removed:
                _log.info("swept %d abandoned uploads", removed)
        await asyncio.sleep(limits.UPLOAD_SWEEP)


async def _answer(request: web.Request, worker: Worker) -> web.StreamResponse:
    """One request answered; whatever goes wrong is one of the specification's error bodies, never a traceback. Once an
    answer has begun there is no second one: what goes wrong then resets the connection (raises ConnectionError)."""
    failure: Exception | None = None
    try:
        worker.epoch.seen()  # where nobody knows what is so now, nothing is answered
        outcome = await _admit_and_dispatch(request, worker)
    except RefusedRequestError as refusal:
        outcome, failure = refusal.error, refusal
    except LockgateError as error:
        await _note(request, worker, error)
        outcome, failure = errors.of(error), error
    except EngineError as error:
        wrong = damage_of(error)
        if wrong is None and is_away(error):
            outcome, failure = errors.of(FailedError("the metadata cannot be read now", remedy="try again")), error
        elif wrong is None:
            outcome, failure = _failed_inside(request, error), error
        else:
            await worker.note_wrong_row(wrong)
            outcome, failure = errors.of(wrong), error
    except ConnectionError:
        raise
    except Exception as error:
        outcome, failure = _failed_inside(request, error), error
    for event in worker.services.access.events(request, outcome):
        await worker.in_thread(worker.services.audit.record, event)
    if not isinstance(outcome, WireError):
        return outcome
    request[REASON] = reason_of(outcome)
    if failure is not None and request.get(_BEGUN):
        cut(request)
        raise ConnectionResetError from failure
    return errors.respond(outcome)


async def _note(request: web.Request, worker: Worker, error: LockgateError) -> None:
    """Log an error, and put damage that it tells of on record."""
    if not isinstance(error, ReadOnlyError | StoreAwayError):  # said once, and not of each request
        _log.warning("%s %s: %s", request.method, safe(request.path[:200]), error)
    if isinstance(error, UnreadableError) and error.concerns_file:
        await worker.note_unread(error.digest, error.reason)
    if isinstance(error, WrongRowError):
        await worker.note_wrong_row(error)


async def _admit_and_dispatch(request: web.Request, worker: Worker) -> web.StreamResponse | WireError:
    with phase(request, "access"):
        answer = await worker.services.access.admit(request)
    if worker.services.tracer is not None and worker.watch is not None:
        worker.watch.known(request)
    if answer is None:
        return await _dispatch(request, worker)
    if isinstance(answer, WireError):
        with contextlib.suppress(RefusedRequestError):  # its path was not looked at, and it is counted
            request[TARGET] = parse(request.rel_url.raw_path)
    else:
        worker.measures.token_issued()
    return answer


def _failed_inside(request: web.Request, error: Exception) -> WireError:
    """The answer for an error that no handler expected, which is logged: by a line where the system has nothing left
    to give, else by its traceback."""
    lacks = lacking(error)
    if lacks is not None:
        _log.warning("%s %s: %s", request.method, safe(request.path[:200]), lacks)
        return errors.of(lacks)
    reference = secrets.token_hex(4)
    _log.error("error %s: %s %s failed", reference, request.method, safe(request.path[:200]), exc_info=error)
    return errors.internal(reference)


async def _dispatch(request: web.Request, worker: Worker) -> web.StreamResponse | WireError:
    request[TARGET] = target = parse(request.rel_url.raw_path)
    if "%00" in request.raw_path:
        return errors.malformed("a NUL character in the request")
    if target.resource == "admission" and not worker.services.settings.admission:
        return errors.no_such_route(request.path)
    methods = ROUTES[target.resource]
    handler = methods.get(request.method)
    if handler is None:
        return errors.unsupported(", ".join(methods))
    return await handler(Call(request, worker, target))


async def _name_the_protocol(request: web.Request, response: web.StreamResponse) -> None:
    request[_BEGUN] = True
    response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "lockgate"
