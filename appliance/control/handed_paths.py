"""What a request hands over: its paths and documents, taken out of its params."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from appliance.control.callers import peer_uid
from appliance.control.handle_socket import Handle, Handles
from appliance.handles.granted import Grant
from appliance.handles.params import take_document, take_paths
from appliance.handles.path_params import JOB_PATHS, PathParam
from appliance.jobs.handed import Handed
from appliance.jobs.params import check_accounts, check_secret
from appliance.limits import control as limits
from bundles.errors import UsageError


def take_job(
    request: web.Request, handles: Handles, kind: str, params: Mapping[str, Any]
) -> tuple[dict[str, Any], Handed]:
    """A job's params with its paths as texts, and what stands behind them. Raises UsageError, RefusedError."""
    given = dict(params)
    told = take_document(given, "since", ("none", "last")) if kind == "build" else None
    accounts = check_accounts(given.pop("accounts")) if "accounts" in given else None
    secret = check_secret(given.pop("secret")) if "secret" in given else None
    plain, handed = take(request, handles, JOB_PATHS.get(kind, ()), given)
    handed.told = told
    for handle, name, stands in (*([(accounts[0], "accounts", accounts[1])] if accounts else ()),
                                 *([(secret, "secret", True)] if secret is not None else ())):  # fmt: skip
        try:
            handed.add_secret(handles.take(handle, peer_uid(request), secret=True).descriptor)
        except BaseException:
            handed.close()
            raise
        plain[name] = stands
    return plain, handed


def take(
    request: web.Request, handles: Handles, table: Sequence[PathParam], params: Mapping[str, Any]
) -> tuple[dict[str, Any], Handed]:
    """The params with the paths of `table` as texts, and what stands behind them. Raises UsageError, RefusedError."""
    used: list[Handle] = []

    def find(name: str) -> Handle:
        if len(used) >= limits.JOB_PATHS:
            raise UsageError("too many paths", remedy=f"at most {limits.JOB_PATHS} at a time")
        used.append(handles.take(name, peer_uid(request)))
        return used[-1]

    try:
        plain, taken = take_paths(params, table, find)
    except BaseException:
        for handle in used:
            handle.close()
        raise
    handed, kept = Handed(grants=[grant for grant, _ in taken]), set[tuple[str, bool]]()
    for handle in used:
        key = (handle.root, handle.writes)
        if key in kept:
            handle.close()
        else:
            kept.add(key)
            handed.descriptors.append((*key, handle.descriptor))
    return plain, handed


def take_again(request: web.Request, handles: Handles, grants: Sequence[Grant], paths: list[Any]) -> Handed:
    """What a job is handed anew, in the order in which it was handed at first. Raises UsageError, RefusedError."""
    if len(paths) != len(grants):
        raise UsageError("other paths than the job waits for", remedy="see its `waits_for`")
    both = Handed()
    try:
        for grant, value in zip(grants, paths, strict=True):
            param = PathParam("paths[]", grant.writes, "", "nothing" if grant.path != grant.root else "")
            _, one = take(request, handles, (param,), {"paths": [value]})
            both.grants += one.grants
            both.descriptors += one.descriptors
        _require_same(grants, both.grants)
    except BaseException:
        both.close()
        raise
    return both


def _require_same(before: Sequence[Grant], now: Sequence[Grant]) -> None:
    for one, other in zip(before, now, strict=True):
        if (one.path, one.root, one.is_file) != (other.path, other.root, other.is_file):
            raise UsageError("other paths than the job waits for", thing=other.path, remedy=f"it is {one.path}")
