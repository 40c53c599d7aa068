"""The `sftp-pull` job: a bundle from a transfer host into a folder that was handed over, as a medium.

The small files come first, into memory, and are decided about as an import would: of a bundle that this station does
not trust not one volume is fetched. Then the volumes that its manifest names, each to its signed size and sum, and
nothing else. The folder is then imported as any medium; the host is believed nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.intake.overrides import stream_now, trusted_now
from appliance.jobs.kinds import JobContext, Result
from appliance.outgoing.build_params import convert
from appliance.sftp.carry import Moved, Wanted, fetch, partial
from appliance.sftp.connection import Hosts
from appliance.sftp.names import check_bundle, find_host
from appliance.sftp.remote import RemoteFolder
from appliance.sftp.transfer import Transfer
from bundles import limits
from bundles.decide.bundle import SIGNATURE_NAME, Opened, SmallFiles, decide, require_all_signers
from bundles.errors import FailedError, LockgateError, NotFoundError, RefusedError
from bundles.format import sums
from bundles.format.manifest import Volume, volume_path
from bundles.io.files import failures_named, open_folder, write_atomic
from bundles.verify import missing

_VOLUMES: Final = "volumes"
_RESERVE: Final = 16 * limits.MIB


class PullParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's params: the bundle `id`, from `HOST` or `HOST:FOLDER`, into the folder `out`, and whether a secret was
    handed over."""

    id: str
    from_: str = msgspec.field(name="from")
    out: str
    secret: bool = False


def run(context: JobContext) -> Result:
    """Fetch a bundle. The result: id, path, host, digest, volumes, bytes, resumed, there, seconds.

    Raises NotFoundError, RefusedError for what is untrusted, is not what was signed, or would be more, IncompleteError
    naming the volumes that are not there yet, FailedError.
    """
    params = convert(context.params, PullParams)
    try:
        return _pull(context, params)
    except LockgateError as error:
        context.record_failure(Act.SFTP_PULL, params.id[:80], error)
        raise


def _pull(context: JobContext, params: PullParams) -> Result:
    identity, config = check_bundle(params.id), context.station.config
    name, settings, folder = find_host(config.transfer_hosts, params.from_)
    hosts = Hosts(config.transfer_hosts, context.station.paths.root, name, context.secret())
    hosts.check(name)
    started = time.monotonic()
    transfer = Transfer(hosts, name, settings, context.progress, context.log)
    try:
        transfer.begin("read what is signed", 0)
        files, sizes = transfer.run(lambda client, _: _small(RemoteFolder(client, name, folder), identity))
        opened = _decide(context, files, identity)
        come = [volume for volume in opened.manifest.volumes if _has_come(volume, sizes, f"{name}:{folder}")]
        detail = {"from": f"{name}:{folder}", "digest": str(opened.digest), "volumes": len(come)}
        event = AuditEvent(Act.SFTP_PULL, context.actor, identity, "done", detail)
        with context.recording(event):
            into = context.path(params.out) / identity
            how = _fetch(context, transfer, folder, into, come)
            for small, data in (
                (sums.README, files.readme), (sums.MANIFEST, files.manifest), *files.signatures.items(),
                (sums.NAME, files.sums),
            ):  # fmt: skip
                write_atomic(into / small, data)
    finally:
        transfer.close()
    absent = [volume.index for volume in opened.manifest.volumes if volume not in come]
    if absent:
        error = missing(opened, absent)
        raise type(error)(error.what, thing=error.thing, remedy="run it again when they have been sent there")
    return {
        "id": identity, "path": str(into), "host": name, "digest": str(opened.digest), "volumes": len(come),
        "bytes": sum(volume.size for volume in come), "resumed": how.count("resumed"), "there": how.count("there"),
        "seconds": round(time.monotonic() - started, 3),
    }  # fmt: skip


def _small(folder: RemoteFolder, identity: str) -> tuple[SmallFiles, dict[str, int]]:
    """The bundle's small files, and the sizes that the host says its volumes have."""
    if not folder.is_folder(identity):
        raise NotFoundError(
            "no such bundle on the transfer host", thing=folder.said(identity), remedy="see: lockgate sftp list HOST"
        )
    bundle = folder.below(identity)
    names = [name for name, _ in bundle.names()]
    signed = sorted(name for name in names if SIGNATURE_NAME.match(name))
    if len(signed) > limits.SIGNATURES:
        raise RefusedError("too many signature files", thing=bundle.said(), remedy="remove those not named")
    found: dict[str, bytes] = {}
    for name, ceiling in (
        (sums.NAME, limits.SUMS_FILE), (sums.MANIFEST, limits.BUNDLE_MANIFEST), (sums.README, limits.README_FILE),
        *((name, limits.SIGNATURE_FILE) for name in signed),
    ):  # fmt: skip
        data = bundle.small(name, ceiling)
        if data is None:
            raise FailedError(
                "the bundle is not whole on the transfer host", thing=bundle.said(name),
                remedy="it may still be on its way there: run it again later",
            )  # fmt: skip
        found[name] = data
    files = SmallFiles(
        found[sums.NAME], found[sums.MANIFEST], found[sums.README], {name: found[name] for name in signed}
    )
    volumes = bundle.below(_VOLUMES)
    sizes: dict[str, int] = {}
    if bundle.is_folder(_VOLUMES):
        for line in sums.parse(files.sums):
            if line.path.startswith(f"{_VOLUMES}/"):
                size = volumes.size(line.path.removeprefix(f"{_VOLUMES}/"))
                if size is not None:
                    sizes[line.path] = size
    return files, sizes


def _decide(context: JobContext, files: SmallFiles, identity: str) -> Opened:
    """As the import decides. Raises RefusedError."""
    station, trust = context.station, context.station.trust()
    opened = decide(files, trust, trusted_now(station.reader))
    decide(files, trust, stream_now(station.reader, opened.manifest.stream))
    require_all_signers(opened)
    if opened.manifest.id != identity:
        raise RefusedError(
            "the folder holds another bundle than it is called", thing=f"{identity} is {opened.manifest.id}",
            remedy="ask who sent it there",
        )  # fmt: skip
    return opened


def _has_come(volume: Volume, sizes: dict[str, int], where: str) -> bool:
    """Whether a volume is there whole, by the host's word. Raises RefusedError for one that is larger than signed."""
    size = sizes.get(volume_path(volume.index))
    if size is not None and size > volume.size:
        raise RefusedError(
            "a volume on the transfer host is larger than it is signed",
            thing=f"{where}, {volume_path(volume.index)}: {size} of {volume.size} bytes",
            remedy="have the bundle sent there again",
        )  # fmt: skip
    return size == volume.size


def _fetch(context: JobContext, transfer: Transfer, folder: str, into: Path, volumes: list[Volume]) -> list[str]:
    identity, below = into.name, into / _VOLUMES
    with failures_named(into, "the folder cannot be used"):
        into.mkdir(exist_ok=True)
        below.mkdir(exist_ok=True)
        _require_room(below, volumes)
    how: list[str] = []

    def one(client: Any, volume: Volume, moved: Moved) -> None:
        path = volume_path(volume.index)
        wanted = Wanted(path.removeprefix(f"{_VOLUMES}/"), volume.size, volume.sha256)
        remote = RemoteFolder(client, transfer.name, folder).below(identity).below(_VOLUMES)
        context.part(path, volume.medium, "fetching", 0, volume.size)
        how.append(fetch(remote, wanted, below, moved))
        context.part(path, volume.medium, "done", volume.size, volume.size)

    transfer.begin(f"fetch {identity}", sum(volume.size for volume in volumes))
    transfer.each(one, [(volume, volume.size) for volume in volumes])
    return how


def _require_room(folder: Path, volumes: list[Volume]) -> None:
    """Raises FailedError with the numbers, before anything is fetched."""
    needed = _RESERVE
    for volume in volumes:
        name = volume_path(volume.index).removeprefix(f"{_VOLUMES}/")
        there = 0
        for place in (folder / name, folder / partial(name)):
            try:
                there = max(there, place.stat(follow_symlinks=False).st_size)
            except FileNotFoundError:
                continue
        needed += max(volume.size - there, 0)
    descriptor = open_folder(folder)
    try:
        disk = os.fstatvfs(descriptor)
    finally:
        os.close(descriptor)
    free = disk.f_bavail * disk.f_frsize
    if needed > free:
        raise FailedError(
            "the folder's disk is too small for the bundle", thing=f"{needed} bytes are needed, {free} are free",
            remedy="free some space, or give another folder",
        )  # fmt: skip
