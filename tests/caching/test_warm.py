"""`lockgate warm`: all of what references name is here before clients ask, and its end says what is not."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.caching import warm_job
from appliance.caching.fetch_requests import Asking
from appliance.caching.fetcher import Fetcher
from appliance.caching.process import listen
from appliance.caching.storing import Storing
from appliance.caching.upstream_clients import UpstreamClients
from appliance.jobs.kinds import PartlyDoneError
from appliance.outgoing.collect.access import NoAccess
from appliance.settings.caches import Caches, CacheSettings
from appliance.store.reads.registry import Metadata
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.write import AsyncGuarded
from bundles.errors import CancelledError, FailedError, LockgateError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX
from tests.caching.site import HERE, THERE
from tests.control.test_recorded_first import FullLog
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import SmallRegistry


def index(upstream: SmallRegistry, tag: str, **layers: bytes) -> Digest:
    """An index with an image of one layer by architecture."""
    listed = []
    for architecture, layer in layers.items():
        digest = upstream.image(THERE, "", layer)
        kind, raw = upstream.manifests[f"{THERE}/{digest}"]
        platform = {"os": "linux", "architecture": architecture}
        listed.append({"mediaType": kind, "digest": str(digest), "size": len(raw), "platform": platform})
    return upstream.manifest(THERE, tag, OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})


class Warm:
    """An outside station whose process for caches answers at its socket."""

    def __init__(self, outside: Outside, upstream: SmallRegistry) -> None:
        self.outside, self.upstream = outside, upstream
        outside.station.config.caches["hub"] = CacheSettings(upstream=upstream.host)

    def run(self, *references: str, **more: Any) -> Any:
        """The job's result or error."""
        context = self.outside.context("warm", {"references": list(references)} | more)
        self.context = context
        try:
            return warm_job.run(context)
        except LockgateError as error:
            return error


@pytest.fixture
def warm(tmp_path: Path, upstream: SmallRegistry) -> Iterator[Warm]:
    with Outside(tmp_path / "alpha") as outside:
        made = Warm(outside, upstream)
        paths, loop = outside.station.paths, asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        storing = Storing(
            outside.station.blobs, Metadata(paths.database), AsyncGuarded(AsyncWriterService(outside.writer)),
            outside.station.audit, None,
        )  # fmt: skip
        fetcher = Fetcher(
            Caches(outside.station.config.caches), UpstreamClients(NoAccess(), {}, back_off=0.001), storing
        )
        server, _ = asyncio.run_coroutine_threadsafe(listen(fetcher, paths.cache_socket), loop).result(10)

        async def end() -> None:
            server.close()
            await fetcher.close()
            storing.metadata.close()

        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(end(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def test_an_index_with_one_platform_or_all(warm: Warm) -> None:
    index(warm.upstream, "1", amd64=b"one" * 100, arm64=b"two" * 100)
    one = warm.run(f"{HERE}:1", platforms=["linux/amd64"])
    assert (one["references"], one["manifests"], one["blobs"], one["fetched"]) == ([f"{HERE}:1"], 2, 2, 4)
    assert one["bytes"] == 302
    assert warm.upstream.counted(str(Digest.of(b"two" * 100))) == 0
    whole = warm.run(f"{HERE}:1", f"{HERE}:1")
    assert (whole["manifests"], whole["blobs"], whole["fetched"]) == (3, 3, 2)
    again = warm.run(f"{HERE}:1")
    assert again["fetched"] == 0
    assert warm.context.progressed[-1] == ("warm", again["bytes"], again["bytes"])
    (event,) = warm.outside.events("warm")[-1:]
    assert event["detail"]["references"] == [f"{HERE}:1"]


def test_what_fails_is_named_and_the_rest_is_here(warm: Warm) -> None:
    digest = warm.upstream.image(THERE, "1", b"good")
    warm.upstream.image(THERE, "2", b"bad")
    del warm.upstream.blobs[str(Digest.of(b"bad"))]
    ended = warm.run(f"{HERE}:1", f"{HERE}:2", f"{HERE}:9")
    assert isinstance(ended, PartlyDoneError)
    assert ended.exit_status == 4
    assert ended.result["references"] == [f"{HERE}:1"]
    assert [one["reference"] for one in ended.result["failed"]] == [f"{HERE}:9", f"{HERE}:2"]
    assert {state for _, state, *_ in warm.context.parts.values()} == {"failed"}
    nothing = warm.run(f"{HERE}:9")
    assert (type(nothing), nothing.exit_status) == (FailedError, 1)
    assert warm.run(f"{HERE}@{digest}")["fetched"] == 0


def test_a_stale_tag_is_said(warm: Warm) -> None:
    warm.upstream.image(THERE, "1", b"layer")
    assert warm.run(f"{HERE}:1")["stale"] == []
    warm.upstream.fault = lambda handler: handler.answer(429) or True
    ended = warm.run(f"{HERE}:1")
    assert isinstance(ended, PartlyDoneError)
    assert (ended.result["stale"], ended.result["failed"]) == ([f"{HERE}:1"], [])


def test_what_is_blocked_is_not_fetched(warm: Warm) -> None:
    warm.upstream.image(THERE, "1", b"layer")
    digest = Digest.of(b"layer")
    warm.outside.writer.submit(Block(digest=str(digest), why="bad", actor="t", at="2026-01-01T00:00:00Z"))
    assert isinstance(warm.run(f"{HERE}:1"), FailedError)
    assert warm.upstream.counted(str(digest)) == 0


@pytest.mark.parametrize(
    ("references", "platforms"),
    [([], []), (["team/app:1"], []), (["cache/hub"], []), ([f"{HERE}:1"], ["linux"]), ([f"{HERE}:*"], [])],
)
def test_what_cannot_be_warmed(warm: Warm, references: list[str], platforms: list[str]) -> None:
    assert warm.run(*references, platforms=platforms).exit_status == 2
    assert warm.upstream.asked == []


def test_a_cancelled_job_asks_no_more_and_ends(warm: Warm) -> None:
    warm.upstream.image(THERE, "1", b"layer")
    go = threading.Event()
    warm.upstream.fault = lambda _: not go.wait(20)
    context = warm.outside.context("warm", {"references": [f"{HERE}:1"]})

    def cancel(*_: object) -> None:
        raise CancelledError("the job was cancelled")

    context.on_progress = cancel
    with contextlib.ExitStack() as held:
        held.callback(go.set)
        with pytest.raises(CancelledError):
            warm_job.run(context)


def test_nothing_is_fetched_that_cannot_be_recorded(warm: Warm) -> None:
    warm.upstream.image(THERE, "1", b"layer")
    context = warm.outside.context("warm", {"references": [f"{HERE}:1"]})
    context.station = replace(context.station, audit=FullLog())
    with pytest.raises(FailedError, match="the audit log cannot be written"):
        warm_job.run(context)
    assert warm.upstream.asked == []


def test_without_the_process_that_fetches_it_is_said(tmp_path: Path) -> None:
    asking = Asking(Caches(), tmp_path / "cache.sock")
    outcome = asyncio.run(asking.manifest(HERE, "1"))
    assert (outcome.state, outcome.retry) == ("failed", 5)


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"x" * 9000 + b"\n", b'["manifest"]\n', b'{"kind":"blob"}\n', b""])
def test_a_malformed_question_ends_its_connection_alone(warm: Warm, line: bytes) -> None:
    path = warm.outside.station.paths.cache_socket

    async def ask() -> bytes:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    assert asyncio.run(ask()) == b""
    warm.upstream.image(THERE, "1", b"layer")
    assert warm.run(f"{HERE}:1")["fetched"] == 3
