"""Following a job from the command line: progress, signing, interrupting."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.api.states import FINAL_STATES
from appliance.cli.shared.context import MB, asking, station_root
from appliance.control.client import ControlClient, error_of
from bundles.errors import CancelledError, FailedError, RefusedError, UsageError
from bundles.io.display import safe

if TYPE_CHECKING:
    from bundles.signing.keys import PrivateKey

_ATTEMPTS: Final = 40
_PAUSE: Final = 0.25
"""A station that cannot take a signature is asked again this often, ten seconds in all, as a watcher does."""

_RESUME: Final = "put the medium back, then: lockgate job resume ID"
_EVERY: Final = 5.0
"""Seconds between two plain lines of progress where there is no terminal."""


def run_job(
    root: Path | None,
    kind: str,
    params: Mapping[str, Any],
    *,
    key: Callable[[], PrivateKey] | None = None,
    detach: bool = False,
    partly: Callable[[dict[str, Any]], object] = lambda _: None,
    authfile: Path | None = None,
    secret: bytes | None = None,
) -> dict[str, Any]:
    """Start a job, show how far it is on stderr, sign what it asks for, and return its result.

    `key` gives the private key when the job stands in `to-sign`. Ctrl-C cancels the job. With `detach` the result is
    `{"job": ID}`. `authfile` holds this user's accounts at the registries of a collection; `secret` is handed
    over for the job alone. Raises the error the job
    ended with; where it did a part all the same, `partly` gets that result.
    """
    folder = station_root(root)
    return asyncio.run(_run(folder, kind, params, key, detach, partly, authfile, secret))


def watch_job(root: Path | None, job_id: str) -> dict[str, Any]:
    """Follow a job that somebody started. Ctrl-C stops looking and leaves it running."""
    folder = station_root(root)

    async def run() -> dict[str, Any]:
        async with asking(folder) as client:
            await client.job(job_id)  # a station that is not there is told at once; one that goes away is waited for
            return await _follow(client, job_id, None)

    return asyncio.run(run())


def sign_job(root: Path | None, job_id: str, key: Callable[[], PrivateKey]) -> dict[str, Any]:
    """Sign what a job asks for, whoever started it, and follow it to its end; its result. Ctrl-C stops looking and
    leaves it running. Raises UsageError where it has ended, RefusedError where it waits for another key, or is not the
    caller's to sign."""
    folder = station_root(root)

    async def run() -> dict[str, Any]:
        async with asking(folder) as client:
            job = await client.job(job_id)
            if job["state"] in FINAL_STATES:
                raise UsageError(
                    "the job waits for no signature", thing=f"{job_id} is {job['state']}",
                    remedy="see: lockgate job list",
                )  # fmt: skip
            return await _follow(client, job_id, key)

    return asyncio.run(run())


async def _run(
    folder: Path,
    kind: str,
    params: Mapping[str, Any],
    key: Callable[[], PrivateKey] | None,
    detach: bool,
    partly: Callable[[dict[str, Any]], object],
    authfile: Path | None,
    secret: bytes | None,
) -> dict[str, Any]:
    async with asking(folder) as client:
        job = await client.submit(kind, params, authfile=authfile, warn=_warn, secret=secret)
        if detach:
            return {"job": job["id"]}
        task = asyncio.ensure_future(_follow(client, job["id"], key, partly))
        loop = asyncio.get_running_loop()
        interrupted = False

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            return await task
        except asyncio.CancelledError:
            if not interrupted:
                raise
            return await _cancelled(client, job["id"])


def _warn(line: str) -> None:
    click.echo(f"lockgate: {safe(line)}", err=True)


async def _cancelled(client: ControlClient, job_id: str) -> dict[str, Any]:
    """Cancel a job; the result of one that was done before it could be stopped.

    Raises CancelledError where it was stopped, the error that it ended with where it had failed by itself.
    """
    stopped = CancelledError("cancelled", thing=job_id, remedy="nothing of it is visible; start it anew")
    try:
        job = await client.cancel(job_id)
    except UsageError:  # it has ended
        job = await client.job(job_id)
    except FailedError:
        raise stopped from None
    if job["state"] == "done":
        result: dict[str, Any] = job["result"]
        return result
    error = error_of(job)
    if job["state"] == "cancelled":
        remedy = error.remedy if error is not None else ""
        raise CancelledError("cancelled", thing=job_id, remedy=remedy or stopped.remedy) from None
    raise (error or stopped) from None


async def _follow(
    client: ControlClient,
    job_id: str,
    key: Callable[[], PrivateKey] | None,
    partly: Callable[[dict[str, Any]], object] = lambda _: None,
) -> dict[str, Any]:
    resumed = False
    with _Display() as display:
        async for name, data in client.watch(job_id):
            if name == "log":
                display.log(data)
                continue
            display.show(data)
            if data["state"] == "to-sign":
                if key is None:
                    raise FailedError("the job waits for a signature", thing=job_id, remedy=_by(job_id))
                await _sign(client, job_id, key())
            if data["state"] == "waiting" and not resumed:
                resumed = True
                await client.resume(job_id)
            elif data["state"] == "waiting" and data["phase"]:
                raise FailedError("the job waits for a path", thing=data["phase"].partition(":")[0], remedy=_RESUME)
            if data["state"] == "done":
                result: dict[str, Any] = data["result"]
                return result
            error = error_of(data)
            if error is not None:
                if data["result"] is not None:
                    partly(data["result"])
                raise error
    raise FailedError("the job was lost from view", thing=job_id, remedy=f"see: lockgate job show {job_id}")


async def _sign(client: ControlClient, job_id: str, key: PrivateKey) -> None:
    """Sign what the job asks for now. A station that goes away meanwhile is asked again: it may ask anew, or have taken
    it. Raises RefusedError, and FailedError where it stays away or cannot take it."""
    for attempt in range(_ATTEMPTS):
        try:
            payload, keyids, _ = await client.to_sign(job_id)
            if key.public.keyid not in keyids:
                raise RefusedError(
                    "the job waits for another key's signature", thing=", ".join(keyids), remedy=_by(job_id)
                )
            await client.sign(job_id, key.public.keyid, await asyncio.to_thread(key.sign, payload))
        except UsageError:  # it waits no more: another client was quicker, or the station is starting
            return
        except FailedError as error:
            if attempt + 1 == _ATTEMPTS:
                raise FailedError(error.what, thing=error.thing or job_id, remedy=_by(job_id)) from None
            await asyncio.sleep(_PAUSE)
        else:
            return


def _by(job_id: str) -> str:
    return f"sign it with: lockgate bundle sign --job {job_id} --key KEY"


class _Display:
    """A bar on a terminal, plain lines elsewhere; both on stderr, both from the job's own counters."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._phase = ""
        self._said = 0.0

    def __enter__(self) -> _Display:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            columns = (
                TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
                TransferSpeedColumn(), TimeRemainingColumn(),
            )  # fmt: skip
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def log(self, line: str) -> None:
        """A line of the job's log."""
        text = safe(line.partition(" ")[2])
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            click.echo(f"  {text}", err=True)

    def show(self, job: dict[str, Any]) -> None:
        """The job as it stands."""
        if job["state"] in FINAL_STATES and job["state"] != "done":
            return  # the error says it
        phase = (job["phase"] if job["state"] == "running" else "") or job["state"]
        if self._bar is not None:
            if phase != self._phase:
                self._task = self._bar.add_task(phase, total=job["total"] or None)
            self._bar.update(self._task, completed=job["done"], total=job["total"] or None)
        elif phase != self._phase or time.monotonic() - self._said > _EVERY:
            self._said = time.monotonic()
            click.echo(f"  {phase}{_amount(job)}", err=True)
        self._phase = phase


def _amount(job: dict[str, Any]) -> str:
    """How far a job is; nothing where that is less than can be shown."""
    if job["total"] < MB // 20 or job["state"] == "done":
        return ""
    text = f" {job['done'] / MB:.1f} of {job['total'] / MB:.1f} MB"
    if job["rate"] and job["seconds_left"] is not None:
        text += f", {job['rate'] / MB:.1f} MB/s, {job['seconds_left']:.0f} s left"
    return text
