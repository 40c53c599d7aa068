"""syft, run over an image in the store: confined, without a network, its document made the same whenever it is made.

It is given an OCI layout of links to the stored blobs, so nothing is copied and nothing of ours unpacks by path.
(syft itself keeps uncompressed layers beside it while it looks; they go with the layout.)
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.limits import sbom as sbom_limits
from appliance.outgoing.collect.sources import chunks
from appliance.outgoing.sbom.syft_binary import Syft
from appliance.paths import StationPaths
from appliance.sbom_tools import tools_of
from appliance.store.blobs import BlobStore
from bundles import limits
from bundles.errors import FailedError
from bundles.format.oci_layout import LAYOUT, LAYOUT_FILE
from bundles.io import strict_json
from bundles.io.display import safe
from bundles.io.files import failures_named, read_small
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest, new_hasher
from bundles.oci.manifest import OCI_CONFIG, OCI_MANIFEST, parse_manifest
from bundles.processes import start
from bundles.processes.child import NO_NAMESPACE

_NAMESPACE: Final = uuid.UUID("6f0a1a0e-6a36-5a0c-9d0b-6c6f636b6761")
"""The namespace of our serial numbers (RFC 9562, section 5.5)."""

_NICE: Final = 10
_SOFT_MEMORY: Final = "1GiB"
"""Where Go's collector starts to work harder."""

_SAID: Final = 2_000
"""Bytes at the end of what syft says that are looked at for a reason."""

_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
_READABLE: Final = {
    _LAYER: _LAYER,
    f"{_LAYER}+gzip": f"{_LAYER}+gzip",
    f"{_LAYER}+zstd": f"{_LAYER}+zstd",
    _DOCKER_LAYER: _LAYER,
    f"{_DOCKER_LAYER}.gzip": f"{_LAYER}+gzip",
    f"{_DOCKER_LAYER}.zstd": f"{_LAYER}+zstd",
}
"""Layers that syft can look into, each with its OCI name."""


class UndescribedError(FailedError):
    """syft could not describe an image within its bounds: the fault is the image's, and no other image's."""


@dataclass(frozen=True, slots=True)
class Sbom:
    """A CycloneDX document's bytes, how many components it lists, and the program that made it: name and version."""

    document: bytes
    components: int
    tool: str


_INSTEAD: Final = "push a CycloneDX SBOM of your own that refers to the image: the build then makes none"
_DAMAGED: Final = f"check the image: a layer of it may be damaged; or {_INSTEAD}"
_FREE: Final = "free some space, then run it again"
_COLOUR: Final = re.compile("\x1b\\[[0-9;]*m")
_BOUND: Final = {-signal.SIGXCPU: "processor time", -signal.SIGKILL: "memory or processor time"}
"""What a signal says that the kernel sends at a limit (getrlimit(2))."""


class Scan:
    """syft at work on one image, in `folder`, which is emptied at the end. Begins at once; to be ended with `close`."""

    def __init__(self, blobs: BlobStore, paths: StationPaths, syft: Syft, folder: Path, digest: Digest) -> None:
        self.digest = digest
        self._syft = syft
        self._folder = folder
        self._out = folder / "sbom.json"
        self._errors = folder / "errors"
        self._deadline = time.monotonic() + sbom_limits.SBOM_TIME
        shutil.rmtree(folder, ignore_errors=True)
        with failures_named(folder, "the SBOM cannot be made"):
            self._unread = _link_layout(blobs, paths, folder, digest)
            with blobs.open_blob(digest) as file:
                size = sum(blob.size for blob in parse_manifest(file.read(limits.OCI_MANIFEST)).blobs)
            self._room = max(sbom_limits.SBOM_FLOOR, sbom_limits.SBOM_RATIO * size)
            self._process = self._start()

    def _start(self) -> start.Child:
        temporary = self._folder / "temporary"
        temporary.mkdir()
        bounds = start.Bounds(
            address_space=sbom_limits.SBOM_MEMORY, data=sbom_limits.SBOM_DATA, file=self._room,
            cpu=sbom_limits.SBOM_CPU, nice=_NICE, network=False,
        )  # fmt: skip
        command = start.bounded(
            f"fd:{self._syft.descriptor}", "scan", f"oci-dir:{self._folder}",
            "--output", f"cyclonedx-json={self._out}", bounds=bounds,
        )  # fmt: skip
        environment = start.environment(
            HOME=str(temporary), XDG_CONFIG_HOME=str(temporary), TMPDIR=str(temporary),
            SYFT_CHECK_FOR_APP_UPDATE="false", GOMEMLIMIT=_SOFT_MEMORY,
        )  # fmt: skip
        with self._errors.open("wb") as errors:
            return start.start(
                command, env=environment, cwd=temporary, stderr=errors, pass_fds=(self._syft.descriptor,)
            )

    def poll(self) -> Sbom | None:
        """The SBOM, or None while syft is at work.

        Raises UndescribedError naming the image: syft failed, took too long, or took too much of the station's disk.
        Raises FailedError where the disk is nearly full, and where what ended is no syft.
        """
        status = self._process.poll()
        if status is None:
            self._watch()
            return None
        if status or not self._out.is_file():
            said = _end_of(self._errors).decode(errors="replace").strip().splitlines()
            lines = [_plain(line) for line in said if line != NO_NAMESPACE]
            if status in _BOUND:
                raise self._failed(f"syft met a bound of {_BOUND[status]}", _INSTEAD)
            raise self._failed(lines[-1] if lines else f"syft ended with {status}", _DAMAGED)
        if self._out.stat().st_size > sbom_limits.SBOM_DOCUMENT:
            raise self._failed(f"it is larger than {sbom_limits.SBOM_DOCUMENT} bytes", _INSTEAD)
        raw = read_small(self._out, sbom_limits.SBOM_DOCUMENT)
        return _normal(raw, self.digest, self._unread, self._syft.sha256)

    def _watch(self) -> None:
        if time.monotonic() > self._deadline:
            raise self._failed(f"syft took longer than {sbom_limits.SBOM_TIME:.0f} s", _INSTEAD)
        if (kept := _kept_in(self._folder)) > self._room:
            raise self._failed(f"syft keeps {kept} bytes on the station's disk, and may keep {self._room}", _INSTEAD)
        usage = os.statvfs(self._folder)
        if usage.f_bavail * usage.f_frsize < sbom_limits.SBOM_ROOM:
            raise self._failed(f"less than {sbom_limits.SBOM_ROOM} bytes stay free on the station's disk", _FREE)

    def _failed(self, reason: str, remedy: str) -> FailedError:
        error = FailedError if remedy == _FREE else UndescribedError
        return error(f"the SBOM could not be made ({safe(reason)[:200]})", thing=str(self.digest), remedy=remedy)

    @property
    def has_network(self) -> bool:
        """Whether the kernel or the service manager allowed no network namespace, so that syft had the station's."""
        with self._errors.open("rb") as file:
            return file.read(len(NO_NAMESPACE)).decode(errors="replace") == NO_NAMESPACE

    def close(self) -> None:
        """End syft, and leave nothing behind."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _plain(line: str) -> str:
    """A line of syft's log without colours, and without the source of which it says something."""
    return _COLOUR.sub("", line).strip().removeprefix("- oci-dir: ")


def _end_of(path: Path) -> bytes:
    """The last bytes of what a program said: it may have said as much as a file may hold."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _SAID))
        return file.read(_SAID)


def _kept_in(folder: Path) -> int:
    """The bytes on the disk of every file below; links, which lead to the store, are not followed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(f"{place}/{name}").st_blocks * 512
    return total


def _link_layout(blobs: BlobStore, paths: StationPaths, folder: Path, digest: Digest) -> list[Digest]:
    """An OCI layout of links to the stored blobs of an image. Returns the layers that syft cannot look into.

    syft knows sha256 and OCI's types alone: its manifest is one of our own, over the same bytes.
    """
    with blobs.open_blob(digest) as file:
        manifest = parse_manifest(file.read(limits.OCI_MANIFEST))

    def link(descriptor: Descriptor, media_type: str) -> dict[str, Any]:
        named = descriptor.digest
        if named.algorithm != "sha256":
            hasher = new_hasher("sha256")
            for chunk in chunks(blobs.open_blob(named), paths.blob(named)):
                hasher.update(chunk)
            named = Digest("sha256", hasher.hexdigest())
        target = folder / "blobs" / named.path
        if not target.is_symlink() and not target.exists():
            if blobs.is_remote:
                target.parent.mkdir(parents=True, exist_ok=True)
                with blobs.open_blob(descriptor.digest) as held, target.open("wb") as copy:
                    shutil.copyfileobj(held, copy)
            else:
                target.symlink_to(paths.blob(descriptor.digest).resolve())
        return {"mediaType": media_type, "digest": str(named), "size": descriptor.size}

    (folder / "blobs" / "sha256").mkdir(parents=True)
    readable = [layer for layer in manifest.layers if layer.media_type in _READABLE]
    view = strict_json.canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": None if manifest.config is None else link(manifest.config, OCI_CONFIG),
            "layers": [link(layer, _READABLE[layer.media_type]) for layer in readable],
        }
    )
    (folder / "blobs" / Digest.of(view).path).write_bytes(view)
    entry = {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(view)), "size": len(view)}
    (folder / "index.json").write_bytes(strict_json.canonical({"schemaVersion": 2, "manifests": [entry]}))
    (folder / LAYOUT_FILE).write_bytes(LAYOUT)
    return [layer.digest for layer in manifest.layers if layer.media_type not in _READABLE]


def _normal(raw: bytes, digest: Digest, unread: Sequence[Digest], sha256: str) -> Sbom:
    """The document without what differs between two runs (CycloneDX 1.6: serialNumber, metadata.timestamp), named by
    the image's digest, and saying which layers were not looked into and which binary looked. The long lists are passed
    on as they stand."""
    try:
        document = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(document.get("metadata", b"{}"), type=dict[str, Any])
        components = msgspec.json.decode(document.get("components", b"[]"), type=list[msgspec.Raw])
    except msgspec.DecodeError:
        raise FailedError(
            "syft wrote no CycloneDX document", thing=str(digest), remedy="install another syft"
        ) from None
    metadata.pop("timestamp", None)
    metadata["component"] = {"bom-ref": str(digest), "type": "container", "name": str(digest)}
    metadata["properties"] = [{"name": "lockgate:syft-sha256", "value": sha256}]
    metadata["properties"] += [{"name": "lockgate:unread-layer", "value": str(layer)} for layer in unread]
    serial = f"urn:uuid:{uuid.uuid5(_NAMESPACE, str(digest))}"
    fields: dict[str, Any] = {**document, "serialNumber": serial, "metadata": metadata}
    tools = tools_of(metadata.get("tools"))
    return Sbom(msgspec.json.encode(fields), len(components), tools[0] if tools else "a syft without a version")
