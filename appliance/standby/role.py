"""What a folder is in its pair: `standby.json`, signed by the audit key."""

from __future__ import annotations

import os
import pwd
import secrets
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.audit.seals import audit_key
from appliance.limits import standby as limits
from appliance.paths import StationPaths
from appliance.standby.documents import ENDING, FENCED, PRIMARY, PROMOTING, STANDBY, Role, read, signed
from appliance.store.bucket_note import refuse_bucket
from appliance.store.whereabouts import is_elsewhere
from bundles.errors import RefusedError
from bundles.io.files import failures_named, read_small, write_atomic

_REFUSED: Final = {
    STANDBY: ("this station is a stand-by and serves nothing", "lockgate replica follow", "standby-role"),
    FENCED: (
        "another station of this site was promoted, and this one writes nothing any more",
        "take up its states: lockgate replica join --from DIR", "standby-fenced",
    ),
    PROMOTING: ("its promotion was cut off", "finish it: lockgate replica promote", "standby-promoting"),
    ENDING: ("it was ending as the primary", "finish it: lockgate replica demote", "standby-ending"),
}  # fmt: skip


def find_role(paths: StationPaths, site: str) -> Role | None:
    """What the folder is in its pair; None for a station that is in none. Raises RefusedError for a document that does
    not hold, FailedError."""
    if not paths.standby_role.exists() and not paths.standby_role.is_symlink():
        return None
    try:
        return read(read_small(paths.standby_role, limits.STANDBY_STATE), Role, audit_key(paths).public, site)
    except RefusedError as error:
        raise RefusedError(
            f"what this folder is in its pair cannot be told ({error.what})", thing=str(paths.standby_role),
            remedy="make it a stand-by of the other one: lockgate replica join --from DIR", code=error.code,
        ) from None  # fmt: skip


def new_role(site: str, exchange: str) -> Role:
    """The role of a primary that is met for the first time."""
    return Role(site=site, node=secrets.token_hex(8), role=PRIMARY, term=1, exchange=exchange)


def write_role(paths: StationPaths, role: Role) -> Role:
    """Keep it, durably. Returns it. Raises FailedError."""
    write_atomic(paths.standby_role, signed(role, audit_key(paths)), 0o600, owned=True)
    return role


def changed(paths: StationPaths, before: Role, /, **fields: Any) -> Role:
    """Keep a role with other fields. Returns it. Raises FailedError."""
    return write_role(paths, msgspec.structs.replace(before, **fields))


def require_own_account(root: Path) -> None:
    """Go on only as the account that the folder belongs to: what another one writes there, root too, its station could
    not read. Raises RefusedError, FailedError."""
    with failures_named(root, "the station's folder cannot be read"):
        owner = root.stat().st_uid
    if owner == os.geteuid():
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"#{owner}"
    raise RefusedError(
        "the folder belongs to another account", thing=f"{root} of {name}",
        remedy=f"give the command as that account: runuser -u {name} -- COMMAND", code="standby-account",
    )  # fmt: skip


def require_in_folder(paths: StationPaths) -> None:
    """Go on only where the station's metadata and blobs are files of its folder. Raises RefusedError."""
    refuse_bucket(paths, "a stand-by of this kind is a copy of the folder")
    if is_elsewhere(paths.database):
        raise RefusedError(
            "a station whose metadata is in PostgreSQL has no stand-by of this kind", thing=str(paths.root),
            remedy="keep copies of that database by its own means, and leave [standby] out", code="standby-elsewhere",
        )  # fmt: skip


def require_primary(root: Path, role: Role | None) -> None:
    """Go on only where the folder may serve and write. Raises RefusedError."""
    if role is not None and role.role != PRIMARY:
        what, remedy, code = _REFUSED[role.role]
        raise RefusedError(what, thing=f"{role.site} in term {role.term}", remedy=f"{remedy} -C {root}", code=code)


def require_role(root: Path, role: Role | None, *wanted: str) -> Role:
    """The role, where it is one of those wanted. Raises RefusedError."""
    if role is None:
        raise RefusedError(
            "this folder is in no pair", thing=str(root),
            remedy="make a copy of the primary a stand-by with: lockgate replica join --from DIR", code="standby-none",
        )  # fmt: skip
    if role.role not in wanted:
        raise RefusedError(
            f"this folder is {role.role} in its pair, and not {' or '.join(wanted)}", thing=str(root),
            remedy=f"see: lockgate replica status -C {root}", code="standby-role",
        )  # fmt: skip
    return role
