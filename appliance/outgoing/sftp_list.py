"""The `sftp-list` job: what lies in a folder of a transfer host. Nothing is fetched but names."""

from __future__ import annotations

import stat
from typing import Any, Final

import msgspec

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.jobs.kinds import JobContext, Result
from appliance.outgoing.build_params import convert
from appliance.sftp.connection import Hosts
from appliance.sftp.names import BUNDLE, find_host, shown
from appliance.sftp.remote import RemoteFolder
from appliance.sftp.transfer import Transfer
from bundles.errors import LockgateError
from bundles.format import sums

_SHOWN: Final = 100
"""Names that are not bundles' that are shown; the others are counted."""


class ListParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's params: `HOST` or `HOST:FOLDER`, and whether a secret was handed over."""

    at: str
    secret: bool = False


def run(context: JobContext) -> Result:
    """Look. The result: host, folder, bundles (id, whole: whether SHA256SUMS is there, volumes), others (names, made
    fit to be shown), others_more. Raises as the `sftp-push` job."""
    params = convert(context.params, ListParams)
    config = context.station.config
    context.station.audit.record(AuditEvent(Act.SFTP_LIST, context.actor, params.at, "done"))
    try:
        name, settings, folder = find_host(config.transfer_hosts, params.at)
        hosts = Hosts(config.transfer_hosts, context.station.paths.root, name, context.secret())
        transfer = Transfer(hosts, name, settings, context.progress, context.log)
        transfer.begin("look", 0)
        try:
            found: dict[str, Any] = transfer.run(lambda client, _: _look(RemoteFolder(client, name, folder)))
        finally:
            transfer.close()
    except LockgateError as error:
        context.record_failure(Act.SFTP_LIST, params.at, error)
        raise
    return {"host": name, "folder": folder, **found}


def _look(folder: RemoteFolder) -> dict[str, Any]:
    bundles, others = [], []
    for name, mode in folder.names():
        if BUNDLE.match(name) and stat.S_ISDIR(mode):
            bundles.append(name)
        else:
            others.append(shown(name))
    listed = []
    for name in sorted(bundles):
        inner = folder.below(name)
        volumes = sum(one.endswith(".7z") and not one.startswith(".") for one, _ in _volumes(inner))
        listed.append({"id": name, "whole": inner.size(sums.NAME) is not None, "volumes": volumes})
    return {"bundles": listed, "others": sorted(others)[:_SHOWN], "others_more": max(len(others) - _SHOWN, 0)}


def _volumes(bundle: RemoteFolder) -> list[tuple[str, int]]:
    return list(bundle.below("volumes").names()) if bundle.is_folder("volumes") else []
