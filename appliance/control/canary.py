"""Probes: the station pulls its canary through every door, now and then and when it is asked to, and keeps how that
went."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.addresses import split_listen
from appliance.control.canary_pull import Door, Pulled, Secured, Wanted, pull
from appliance.control.log_follower import report
from appliance.limits import station as limits
from appliance.local_socket import connect_to
from appliance.paths import StationPaths
from appliance.settings.station import Config
from bundles import limits as bundle_limits
from bundles.errors import FailedError, LockgateError, UsageError
from bundles.io.display import some
from bundles.io.files import read_small
from bundles.io.threads import Threads
from bundles.oci.reference import Reference

_CREDENTIAL: Final = "probe"
_LISTENER: Final = "listener"
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared, not bound


@dataclass(frozen=True, slots=True)
class Probed:
    """One probe: the image, when it ended, and how the pull through each door went."""

    image: str
    at: str
    doors: tuple[Pulled, ...]

    @property
    def failed(self) -> tuple[Pulled, ...]:
        """The doors that did not give the image."""
        return tuple(one for one in self.doors if not one.ok)


@dataclass(slots=True)
class Canary:
    """A station's probes. `listen`: where its registry listens; `workers`: how many processes serve it; `told` hears of
    each pull."""

    config: Config
    paths: StationPaths
    listen: str
    workers: int
    told: Callable[[Pulled], object]
    latest: Probed | None = None
    """The last probe of the canary of config.toml."""
    fault: str = ""
    """Why the last one could not be made, "" where it was."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def keep_probing(self) -> None:
        """Probe every so many minutes. Until cancelled."""
        await asyncio.sleep(limits.PROBE_FIRST)  # the workers start behind this process
        while True:
            try:
                await self.probe()
            except LockgateError as error:
                report("the canary was not probed", error)
            await asyncio.sleep(self.config.probe.minutes * 60)

    async def probe(self, image: Reference | None = None) -> Probed:
        """Pull an image through every door, one probe at a time; None: the canary of config.toml, and the result is
        kept. Raises UsageError, FailedError where it cannot be begun."""
        async with self._turn:
            try:
                wanted = await asyncio.to_thread(self._wanted, image)
            except LockgateError as error:
                if image is None:
                    self.fault = error.diagnostics()
                raise
            with Threads(limits.PROBE_THREADS, thread_name_prefix="probe") as threads:  # these wait for workers
                loop, doors = asyncio.get_running_loop(), tuple(self._doors())
                found = await asyncio.gather(*(loop.run_in_executor(threads, pull, door, wanted) for door in doors))
            probed = Probed(str(wanted.reference), clock.now(), tuple(found))
            if image is None:
                self.latest, self.fault = probed, ""
                for one in found:
                    self.told(one)
            return probed

    def check(self) -> dict[str, Any] | None:
        """The check `probe` of the station's health; None where config.toml names no canary."""
        if not self.config.probe.image:
            return None
        if self.fault:
            return {"name": "probe", "ok": False, "detail": self.fault}
        if self.latest is None:
            return {"name": "probe", "ok": True, "detail": "not probed yet"}
        if wrong := self.latest.failed:
            first, more = wrong[0], f", and {len(wrong) - 1} more" if wrong[1:] else ""
            said = f"{first.door} did not give the canary ({first.reason}: {first.detail}){more}"
            return {"name": "probe", "ok": False, "detail": f"{said}; see: lockgate probe"}
        doors = some(len(self.latest.doors), "door")
        return {"name": "probe", "ok": True, "detail": f"pulled through {doors} {self.latest.at}"}

    def _doors(self) -> Iterator[Door]:
        host, port = split_listen(self.listen)
        address = _EVERY_ADDRESS.get(host, host), port
        yield Door(_LISTENER, lambda: socket.create_connection(address, timeout=limits.PROBE_SILENCE))
        for number in range(1, self.workers + 1):
            path = self.paths.worker_socket(number)
            yield Door(f"worker-{number}", functools.partial(connect_to, path))

    def _wanted(self, image: Reference | None) -> Wanted:
        """Blocking. Raises UsageError, FailedError."""
        settings = self.config.probe
        reference = image or settings.reference
        if reference is None:
            raise UsageError(
                "no canary was named",
                thing="image in [probe] of config.toml",
                remedy="name a small image that is served here: lockgate probe REPOSITORY:TAG",
            )
        basic = None if not settings.account else f"{settings.account}:{secret_of(self.paths)}".encode()
        return Wanted(reference, basic, None if self.config.open else self._secured())

    def _secured(self) -> Secured:
        """What clients hold the station's certificate against. Raises FailedError."""
        settings, root = self.config.probe, self.paths.root
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = bool(settings.host)
        authority = self.config.tls.path(root, "ca")
        try:
            context.load_verify_locations(authority)
            if settings.client_cert:
                context.load_cert_chain(root / settings.client_cert, root / settings.client_key, password=lambda: b"")
        except (OSError, ssl.SSLError, ValueError) as error:
            reason = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error)
            raise FailedError(
                f"the probe's certificates cannot be read ({reason})",
                thing=str(authority),
                remedy="check ca in [tls], and client_cert and client_key in [probe] of config.toml",
            ) from None
        return Secured(context, settings.host)


def secret_of(paths: StationPaths) -> str:
    """The robot's secret: of the service's credential `probe` (systemd.exec(5)), else of `keys/probe.secret`. Read for
    each probe, so that an exchange needs no restart. Raises UsageError, FailedError, RefusedError."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / _CREDENTIAL if folder else None
    if path is None or not path.is_file():
        path = paths.probe_secret
    remedy = f"write the secret that lockgate token create printed to {path}, mode 600"
    if not path.is_file():
        raise UsageError("the probe's robot has no secret", thing=str(path), remedy=remedy)
    secret = read_small(path, bundle_limits.KEY_FILE).decode(errors="replace").strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise UsageError("the probe's secret cannot be used", thing=str(path), remedy=remedy)
    return secret
