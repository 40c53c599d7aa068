"""The `sftp-push` job: bundles from folders that were handed over to a transfer host.

Of a folder only the files go that the signed SHA256SUMS names, with its signatures; a key that this station knows must
have made one. Volumes first, SHA256SUMS last: a folder without it is no bundle yet, whoever looks.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.jobs.kinds import JobContext, Result
from appliance.outgoing.build_params import convert
from appliance.outgoing.signed_folder import VOLUMES, Outgoing, outgoing
from appliance.sftp.carry import Moved, Wanted, send
from appliance.sftp.connection import Hosts
from appliance.sftp.names import find_host
from appliance.sftp.remote import RemoteFolder
from appliance.sftp.transfer import Transfer
from bundles import limits
from bundles.errors import LockgateError, RefusedError
from bundles.format import sums


class PushParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's params: the bundles' folders, `HOST` or `HOST:FOLDER`, and whether a secret was handed over."""

    paths: list[str]
    to: str
    secret: bool = False


def run(context: JobContext) -> Result:
    """Send bundles. The result: host, folder, seconds, compared, and of each bundle id, volumes, bytes, resumed, there,
    missing_signers.

    Raises UsageError, RefusedError for what is no signed bundle and for a host that is not the pinned one, FailedError.
    """
    params = convert(context.params, PushParams)
    config = context.station.config
    try:
        name, settings, folder = find_host(config.transfer_hosts, params.to)
        bundles = [outgoing(context, context.path(path)) for path in params.paths]
        hosts = Hosts(config.transfer_hosts, context.station.paths.root, name, context.secret())
        hosts.check(name)
    except LockgateError as error:
        context.record_failure(Act.SFTP_PUSH, params.to, error)
        raise
    started = time.monotonic()
    transfer = Transfer(hosts, name, settings, context.progress, context.log)
    try:
        told = [
            _send(context, transfer, bundle, f"{name}:{folder}", folder, compare=settings.compare) for bundle in bundles
        ]
    finally:
        transfer.close()
    seconds = round(time.monotonic() - started, 3)
    return {"host": name, "folder": folder, "compared": settings.compare, "seconds": seconds, "bundles": told}


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

        how[shown] = send(into.below(VOLUMES) if below else into, path, wanted, told, compare=compare)
        context.part(shown, 0, "done", wanted.size, wanted.size)

    def prepare(client: Any, _: Moved) -> None:
        into = RemoteFolder(client, transfer.name, folder).make(identity)
        there = into.small(sums.NAME, limits.SUMS_FILE) if compare else None
        if there is not None and there != bundle.sums:
            raise RefusedError(
                "another bundle of this name lies on the transfer host", thing=into.said(),
                remedy="have it taken away there, or send to another folder: --to HOST:FOLDER",
            )  # fmt: skip
        into.make(VOLUMES)

    times = 2 if compare else 1
    with context.recording(AuditEvent(Act.SFTP_PUSH, context.actor, identity, "done", detail)):
        transfer.begin(f"send {identity}", times * bundle.size)
        transfer.run(prepare)
        volumes = [((f"{VOLUMES}/", path, wanted), times * wanted.size) for path, wanted in bundle.volumes]
        transfer.each(one, volumes)
        for path, wanted in bundle.small:
            transfer.each(one, [(("", path, wanted), times * wanted.size)])
    ways = list(how.values())
    return {
        "id": identity, "path": f"{where.rstrip('/')}/{identity}" if folder else f"{where}{identity}",
        "volumes": len(bundle.volumes), "bytes": bundle.size, "resumed": ways.count("resumed"),
        "there": ways.count("there"), "missing_signers": list(bundle.missing_signers),
    }  # fmt: skip
