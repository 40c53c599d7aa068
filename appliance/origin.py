"""How a station was made: `origin.json`, signed by the station's audit key, which no pruning takes away.

`open = true` of config.toml counts only where this document says that the station was made open (ADR 15). The file is
canonical JSON: {"keyid", "origin", "signature"}; the signature is over the canonical `origin`. Without it a station
counts as closed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
from typing import Final, Literal

import msgspec

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.checkpoints import checkpoint, public_keys, signed_origin, verify_log
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.port import FileAudit
from appliance.audit.seals import audit_key
from appliance.paths import StationPaths
from appliance.settings.station import Config
from bundles import limits
from bundles.documents import audit_log
from bundles.documents.audit_log import lines_of, segments
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.io import strict_json
from bundles.io.files import read_small, write_atomic
from bundles.signing.trust import site_of

ORIGIN_TYPE: Final = "application/vnd.lockgate.station-origin.v1+json"


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A station's site and side, whether it is one without accounts, and when that was written."""

    type: str = ORIGIN_TYPE
    site: str
    side: Literal["outside", "inside"]
    open: bool
    created: str


def write_origin(paths: StationPaths, origin: Origin) -> None:
    """Sign and write the document of a new station."""
    write_atomic(paths.origin, _signed(paths, origin), 0o600, owned=True)


def _signed(paths: StationPaths, origin: Origin) -> bytes:
    key = audit_key(paths)
    fields = msgspec.to_builtins(origin)
    signature = base64.b64encode(key.sign(strict_json.canonical(fields))).decode()
    document = {"keyid": key.public.keyid, "origin": fields, "signature": signature}
    return strict_json.canonical(document)


def read_origin(paths: StationPaths, site: str) -> Origin | None:
    """The document; None where there is none. Raises RefusedError where it is not this station's own."""
    if not paths.origin.exists() and not paths.origin.is_symlink():
        return None
    try:
        raw = read_small(paths.origin, limits.KEY_FILE)
        fields = strict_json.loads_canonical(
            raw, ceiling=limits.KEY_FILE, nodes=limits.KEY_FILE_NODES, what="origin.json"
        )
        if not isinstance(fields, dict) or set(fields) != {"keyid", "origin", "signature"}:
            raise MalformedError("not a station's origin")
        signature = base64.b64decode(str(fields["signature"]), validate=True)
        signed = strict_json.canonical(fields["origin"])
        if not any(key.verify(signed, signature) for key in public_keys(paths, site)):
            raise MalformedError("its signature is not the audit key's")
        origin = msgspec.convert(fields["origin"], Origin, strict=True)
        if origin.type != ORIGIN_TYPE or origin.site != site:
            raise MalformedError("it is another station's")
    except (LockgateError, msgspec.ValidationError, binascii.Error, ValueError) as error:
        reason = error.what if isinstance(error, LockgateError) else str(error)[:80]
        raise RefusedError(
            f"the record of how the station was made does not hold ({reason})", thing=str(paths.origin),
            remedy="set open = false, and see: lockgate audit verify",
        ) from None  # fmt: skip
    return origin


def require_made_so(paths: StationPaths, config: Config) -> None:
    """Go on only where config.toml names the site and side that the station was made with: every event, receipt and
    bundle names them. Raises UsageError."""
    made = {"site": site_of(paths.trust)}
    with contextlib.suppress(RefusedError):  # a document that does not hold is told where it counts
        origin = read_origin(paths, config.site)
        if origin is not None:
            made["side"] = origin.side
    for name, value in made.items():
        if getattr(config, name) != value:
            raise UsageError(
                f"the station was made with {name} = {value!r}",
                thing=f"{name} = {getattr(config, name)!r} in {paths.config}",
                remedy=f"set {name} = {value!r}; for another {name}: lockgate init DIR --site NAME --side SIDE",
            )


def was_made_open(paths: StationPaths, config: Config) -> bool:
    """Whether the document says that the station was made open and has not been closed since. False where it does not
    hold, or is not the last one that was signed."""
    with contextlib.suppress(RefusedError):
        origin = read_origin(paths, config.site)
        return (
            origin is not None and origin.open
            and _first_event_says(paths) is not False and _is_signed_for(paths, config)
        )  # fmt: skip
    return False


def require_open(paths: StationPaths, config: Config) -> None:
    """Go on only where the station may run as its settings say: closed always, open where it was made so.

    Raises RefusedError.
    """
    if not config.open:
        return
    read_origin(paths, config.site)  # what is wrong with a document that does not hold is named
    if not was_made_open(paths, config):
        raise RefusedError(
            "a station that was not made open is never opened: one person would release alone",
            thing=str(paths.config),
            remedy="set open = false again; for trying things out make another (lockgate init, with --open)",
        )


def adopt(paths: StationPaths, config: Config) -> None:
    """Before a start: give a station of an earlier version its document, and mark one that is closed now as closed.

    One that is to be open gets it only where its whole audit log verifies and begins with the event of an open `init`.
    """
    if config.open:
        if paths.origin.exists() or _first_event_says(paths) is not True:
            return
        if verify_log(paths, config.site).findings:
            return
    else:
        with contextlib.suppress(RefusedError):
            origin = read_origin(paths, config.site)
            if origin is not None and not origin.open:
                return
    origin = Origin(site=config.site, side=config.side, open=config.open, created=clock.now())
    document = _signed(paths, origin)
    audit = FileAudit(paths.audit)
    with recording(audit, AuditEvent(Act.ORIGIN, "station", config.site, "done", {"open": config.open})):
        # Signed before it is written: where the power goes between the two, the next start writes another.
        checkpoint(paths, hashlib.sha256(document).hexdigest())
        write_atomic(paths.origin, document, 0o600, owned=True)
    audit.close()


def _is_signed_for(paths: StationPaths, config: Config) -> bool:
    """Whether the document is the one that the last checkpoint names: an earlier one of this station is signed too."""
    try:
        said = signed_origin(paths, config.site)
    except LockgateError:
        return False
    return said in ("", audit_log.origin_digest(paths.origin))


def _first_event_says(paths: StationPaths) -> bool | None:
    """Whether the log's first event, while it is here, says that the station was made open; None where it is gone."""
    for segment in segments(paths.audit)[:1]:
        for line in lines_of(segment.path):
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                event = json.loads(line)
                said = event["detail"].get("open") if event["act"] == Act.INIT and event["seq"] == 1 else None
                return said if isinstance(said, bool) else None
            return None
    return None
