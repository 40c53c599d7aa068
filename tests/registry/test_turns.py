"""Acts on one thing are recorded in the order in which they happen, whichever workers they come through."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.acts import Act
from appliance.limits import store as limits
from appliance.registry.services import RegistryServices
from appliance.store.reads.registry import Metadata
from appliance.store.turns import Turns
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.write import Write
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.conformance.shapes import Content, image
from tests.registry_server import Server, Store

APP = "team/app"


class Slow:
    """The way to the writer, on which an act of the first worker stays until the test lets it go on."""

    def __init__(self, writer: AsyncWriterService) -> None:
        self._writer = writer
        self.holds = False
        self.came = threading.Event()
        self.go_on = threading.Event()

    async def submit(self, write: Write) -> Any:
        if self.holds and not write.unrecorded:
            self.holds = False
            self.came.set()
            await asyncio.to_thread(self.go_on.wait, 30)
        return await self._writer.submit(write)


class Two:
    """Two workers over one store and one log."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.slow = Slow(AsyncWriterService(store.writer))
        self.first, self.second = (
            Server(
                services=RegistryServices(
                    blobs=store.blobs, metadata=Metadata(store.paths.database), writer=writer,
                    uploads=UploadSessions(store.blobs), audit=store.audit,
                )  # type: ignore[arg-type]
            )
            for writer in (self.slow, AsyncWriterService(store.writer))
        )  # fmt: skip

    def race(self, one: Callable[[Server], object], other: Callable[[Server], object]) -> list[Act]:
        """`one` through the first worker, recorded and held; `other` through the second; then all of it. The acts as
        they were recorded from then on."""
        before = len(self.store.audit.events)
        self.slow.holds = True
        with ThreadPoolExecutor(2) as threads:
            both = [threads.submit(one, self.first)]
            assert self.slow.came.wait(30)
            both.append(threads.submit(other, self.second))
            end = time.monotonic() + 0.2
            while time.monotonic() < end and not both[1].done():
                time.sleep(0.005)
            self.slow.go_on.set()
            for each in both:
                each.result(30)
        return [event.act for event in self.store.audit.events[before:] if event.outcome == "done"]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with Store(tmp_path) as store:
        made = Two(store)
        with made.first, made.second:
            yield made


def tagged(two: Two) -> str | None:
    return two.second.services.metadata.tag_target(APP, "v1")


def push(content: Content, tag: str = "v1") -> Callable[[Server], object]:
    return lambda server: server.push_manifest(APP, content.manifest, tag)


def delete(what: str) -> Callable[[Server], object]:
    return lambda server: server.ask("DELETE", f"/v2/{APP}/{what}")


@pytest.fixture
def pair(two: Two) -> tuple[Content, Content]:
    """Two images whose manifests are there, the first with the tag."""
    old, new = image(), image()
    old.push(two.second, APP, "v1")
    new.push(two.second, APP, "v2")
    return old, new


def test_of_two_pushes_of_a_tag_the_one_recorded_last_stands(two: Two, pair: tuple[Content, Content]) -> None:
    old, new = pair
    two.race(push(new), push(old))
    last = [event for event in two.store.audit.events if event.detail.get("tags") == "v1"][-1]
    assert f"{APP}@{tagged(two)}" == last.thing


def test_a_push_and_a_deletion_of_a_tag_happen_as_they_were_recorded(two: Two, pair: tuple[Content, Content]) -> None:
    _, new = pair
    acts = two.race(push(new), delete("manifests/v1"))
    assert (acts[-1] is Act.DELETE_TAG) is (tagged(two) is None)


def test_a_push_and_a_deletion_of_a_manifest_happen_as_they_were_recorded(
    two: Two, pair: tuple[Content, Content]
) -> None:
    old, _ = pair
    acts = two.race(push(old, "v3"), delete(f"manifests/{old.digest}"))
    shown = two.second.services.metadata.linked_manifest(APP, old.digest) is not None
    assert (acts[-1] is Act.PUSH_MANIFEST) is shown


def test_a_push_and_a_deletion_of_a_blob_happen_as_they_were_recorded(two: Two) -> None:
    body = b"a blob that one brings and another takes away"
    two.second.push_blob(APP, body)
    two.second.push_blob(APP, b"what keeps the repository")
    acts = two.race(lambda server: server.push_blob(APP, body), delete(f"blobs/{Digest.of(body)}"))
    shown = two.second.services.metadata.linked_blob(APP, Digest.of(body)) is not None
    assert (acts[-1] is Act.PUSH_BLOB) is shown


def test_two_pushes_of_one_blob_do_not_wait_for_each_other(two: Two) -> None:
    body = b"a layer that many have in common"
    done = threading.Event()

    def other(server: Server) -> None:
        server.push_blob(APP, body)
        done.set()

    def one(server: Server) -> None:
        server.push_blob(APP, body)
        assert done.is_set()

    two.race(one, other)


def test_who_takes_the_turn_alone_waits_for_clients_and_holds_newcomers_back(tmp_path: Path) -> None:
    turns = Turns(tmp_path)

    async def run() -> None:
        client = turns.try_take([f"{APP}:v1"])
        assert client is not None
        waiting = asyncio.ensure_future(anext(entered := _enter(turns)))
        while (newcomer := turns.try_take(["other:v1"])) is not None:
            os.close(newcomer)
            await asyncio.sleep(0)
        assert not waiting.done()
        os.close(client)
        await waiting
        assert turns.try_take(["other:v1"]) is None
        await entered.aclose()
        assert turns.try_take(["other:v1"]) is not None

    asyncio.run(run())


def test_a_worker_that_stands_still_does_not_stop_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TURN_WAIT", 0.05)
    monkeypatch.setattr(limits, "GATE_WAIT", 0.01)
    turns = Turns(tmp_path)
    assert turns.try_take([f"{APP}:v1"]) is not None

    async def run() -> None:
        async with turns.alone():
            pass

    asyncio.run(run())
    with turns.alone_blocking():
        pass


def test_a_full_disk_stops_no_act_that_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gate.lock").touch()
    turns, real = Turns(tmp_path), os.open

    def full(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "no space left")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    held = turns.try_take([f"{APP}:v1"])
    assert held is not None
    assert turns.try_take([f"{APP}:v1"]) is None
    os.close(held)
    (tmp_path / "gate.lock").unlink()
    with pytest.raises(FailedError, match="the disk is full"):
        turns.try_take([f"{APP}:v1"])


async def _enter(turns: Turns) -> Any:
    async with turns.alone():
        yield
