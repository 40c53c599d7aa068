"""The `sftp-push` job: bundles from folders that were handed over to a transfer host.

Of a folder only the files go that the signed SHA256SUMS names, with its signatures; a key that this station knows must
have made one. Volumes first, SHA256SUMS last: a folder without it is no bundle yet, whoever looks.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.jobs.kinds import JobContext, Result
from appliance.known_keys import find_public_key
from appliance.outgoing.build_params import convert
from appliance.sftp.carry import Moved, Wanted, send
from appliance.sftp.connection import Hosts
from appliance.sftp.names import find_host
from appliance.sftp.remote import RemoteFolder
from appliance.sftp.transfer import Transfer
from appliance.station import Station
from bundles import limits
from bundles.decide.bundle import consistent
from bundles.errors import LockgateError, RefusedError
from bundles.format import sums
from bundles.format.manifest import BundleManifest, volume_path
from bundles.signing.signature_files import by_key
from bundles.signing.trust import TrustFolder
from bundles.verify import DROPPINGS_REMEDY, Gathered, gather

_VOLUMES: Final = "volumes"


class PushParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's params: the bundles' folders, `HOST` or `HOST:FOLDER`, and whether a secret was handed over."""

    paths: list[str]
    to: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A bundle that is to go: where its files lie, and what is signed of each."""

    manifest: BundleManifest
    volumes: tuple[tuple[Path, Wanted], ...]
    small: tuple[tuple[Path, Wanted], ...]
    sums: bytes
    missing_signers: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(wanted.size for _, wanted in (*self.volumes, *self.small))


def run(context: JobContext) -> Result:
    """Send bundles. The result: host, folder, seconds, compared, and of each bundle id, volumes, bytes, resumed, there,
    missing_signers.

    Raises UsageError, RefusedError for what is no signed bundle and for a host that is not the pinned one, FailedError.
    """
    params = convert(context.params, PushParams)
    config = context.station.config
    try:
        name, settings, folder = find_host(config.transfer_hosts, params.to)
        outgoing = [_outgoing(context, context.path(path)) for path in params.paths]
        hosts = Hosts(config.transfer_hosts, context.station.paths.root, name, context.secret())
        hosts.check(name)
    except LockgateError as error:
        context.record_failure(Act.SFTP_PUSH, params.to, error)
        raise
    started = time.monotonic()
    transfer = Transfer(hosts, name, settings, context.progress, context.log)
    try:
        told = [
            _send(context, transfer, bundle, f"{name}:{folder}", folder, compare=settings.compare)
            for bundle in outgoing
        ]
    finally:
        transfer.close()
    seconds = round(time.monotonic() - started, 3)
    return {"host": name, "folder": folder, "compared": settings.compare, "seconds": seconds, "bundles": told}


def _outgoing(context: JobContext, path: Path) -> Outgoing:
    gathered = gather([path])
    manifest = consistent(gathered.files)
    missing = _signers(context.station, gathered, manifest)
    (listing,), files = gathered.listings, gathered.files
    for dropping in gathered.droppings:
        context.log(f"not the bundle's, not sent: {dropping}; {DROPPINGS_REMEDY}")
    known = {volume_path(volume.index).removeprefix(f"{_VOLUMES}/"): volume for volume in manifest.volumes}
    volumes = []
    for name, place in listing.volumes:
        if name not in known:
            raise RefusedError(
                "a file that does not belong to the bundle",
                thing=str(place),
                remedy="remove it, or cut the medium again",
            )
        volumes.append((place, Wanted(name, known[name].size, known[name].sha256)))
    contents: Mapping[str, bytes] = {sums.README: files.readme, sums.MANIFEST: files.manifest, **files.signatures}
    contents = {**contents, sums.NAME: files.sums}  # last: it makes the folder a bundle
    small = tuple((listing.small[name], _of(name, data)) for name, data in contents.items())
    return Outgoing(manifest, tuple(volumes), small, files.sums, missing)


def _of(name: str, data: bytes) -> Wanted:
    return Wanted(name, len(data), hashlib.sha256(data).hexdigest())


def _signers(station: Station, gathered: Gathered, manifest: BundleManifest) -> tuple[str, ...]:
    """Which signatures are still to come. Raises RefusedError where none is there, or one does not hold."""
    files, found = gathered.files, by_key(gathered.files.signatures, sums.NAME)
    trust = TrustFolder.load(station.paths.trust)
    for keyid, named in sorted(found.items()):
        first = named[min(named)]
        record = trust.find(keyid)
        if keyid not in manifest.signers or (record is not None and record.revoked is not None):
            raise RefusedError(
                "a signature that does not count", thing=first, remedy="remove it, or have the bundle built anew"
            )
        key = find_public_key(station.paths, keyid)
        if not key.verify_files(files.sums, {kind: files.signatures[name] for kind, name in named.items()}):
            raise RefusedError("the signature does not hold", thing=first, remedy="have the medium cut again")
    if not found:
        raise RefusedError(
            "the bundle is not signed", thing=f"{gathered.folders[0]}/{sums.NAME}",
            remedy="sign it first: lockgate bundle sign",
        )  # fmt: skip
    return tuple(keyid for keyid in manifest.signers if keyid not in found)


def _send(
    context: JobContext, transfer: Transfer, bundle: Outgoing, where: str, folder: str, *, compare: bool
) -> dict[str, Any]:
    identity = bundle.manifest.id
    detail = {"to": where, "bytes": bundle.size, "volumes": len(bundle.volumes)}
    how: dict[str, str] = {}

    def one(client: Any, item: tuple[str, Path, Wanted], moved: Moved) -> None:
        below, path, wanted = item
        into = RemoteFolder(client, transfer.name, folder).below(identity)
        shown = f"{identity}/{below}{wanted.name}"

        def told(count: int) -> None:
            moved(count)
            context.part(shown, 0, "sending", 0, wanted.size)

        how[shown] = send(into.below(_VOLUMES) if below else into, path, wanted, told, compare=compare)
        context.part(shown, 0, "done", wanted.size, wanted.size)

    def prepare(client: Any, _: Moved) -> None:
        into = RemoteFolder(client, transfer.name, folder).make(identity)
        there = into.small(sums.NAME, limits.SUMS_FILE) if compare else None
        if there is not None and there != bundle.sums:
            raise RefusedError(
                "another bundle of this name lies on the transfer host", thing=into.said(),
                remedy="have it taken away there, or send to another folder: --to HOST:FOLDER",
            )  # fmt: skip
        into.make(_VOLUMES)

    times = 2 if compare else 1
    with context.recording(AuditEvent(Act.SFTP_PUSH, context.actor, identity, "done", detail)):
        transfer.begin(f"send {identity}", times * bundle.size)
        transfer.run(prepare)
        volumes = [((f"{_VOLUMES}/", path, wanted), times * wanted.size) for path, wanted in bundle.volumes]
        transfer.each(one, volumes)
        for path, wanted in bundle.small:
            transfer.each(one, [(("", path, wanted), times * wanted.size)])
    ways = list(how.values())
    return {
        "id": identity, "path": f"{where.rstrip('/')}/{identity}" if folder else f"{where}{identity}",
        "volumes": len(bundle.volumes), "bytes": bundle.size, "resumed": ways.count("resumed"),
        "there": ways.count("there"), "missing_signers": list(bundle.missing_signers),
    }  # fmt: skip
