"""Errors on the wire are values, written by one function (distribution specification, Error codes)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import web

from appliance.registry.pull_policy import Objection
from appliance.registry.pull_through import Outcome
from appliance.store.reads.tombstones import Tombstone
from appliance.store.reserve import NoRoomError, ReadOnlyError
from appliance.store.writes.rows import Kind
from bundles.errors import FailedError, LockgateError, MalformedError, NoSpaceError, NotFoundError, RefusedError
from bundles.oci.digest import Digest

_SHOWN: Final = 300
"""Characters of a client's own text that an error repeats."""


_ASKED: Final = 2000
"""As _SHOWN, of what a rule asks for."""

_UNKNOWN: Final[Mapping[Kind, str]] = {"blob": "BLOB_UNKNOWN", "manifest": "MANIFEST_UNKNOWN"}

_DAMAGED: Final = "is missing or damaged on the registry's disk, and is not served until its bytes come again"


@dataclass(frozen=True, slots=True)
class WireError:
    """One error answer. `thing` is what it happened to, as the client named it; JSON escapes it. `facts`, where there
    are some, stand in its place as the error's detail. `reason` is why, for what is counted and logged, where the
    status does not say it (appliance.measures.catalogue.RESULT); it is not sent. `noted` is what the
    audit log is told beside the code."""

    status: int
    code: str
    message: str
    thing: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    noted: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, **headers: str) -> WireError:
        """The same error with further headers; underscores in names become hyphens."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


class RefusedRequestError(Exception):
    """Carries a WireError out of a helper to the dispatcher."""

    def __init__(self, error: WireError) -> None:
        super().__init__(error.code)
        self.error = error


def respond(error: WireError) -> web.Response:
    """The answer for an error: its status, its headers, and the specification's body."""
    entry: dict[str, object] = {"code": error.code, "message": error.message}
    if error.facts:
        entry["detail"] = dict(error.facts)
    elif error.thing:
        entry["detail"] = error.thing[:_SHOWN]
    body = json.dumps({"errors": [entry]}).encode()
    return web.Response(status=error.status, body=body, headers=error.headers, content_type="application/json")


def damaged(kind: Kind, digest: Digest) -> WireError:
    """To whoever may pull it: the repository shows it, and it is withdrawn, since its bytes are not what they were."""
    return WireError(404, _UNKNOWN[kind], f"{kind} {_DAMAGED}", str(digest), reason="damaged")


def not_in_place(kind: Kind, digest: Digest) -> WireError:
    """To whoever may pull it: the repository shows it, its file is missing or has another size, and why is not known
    yet."""
    said = f"the {kind}'s file is missing or has another size; it is shown again once its bytes are here"
    return WireError(503, "UNAVAILABLE", said, str(digest), reason="damaged").with_headers(Retry_After="5")


def blob_unknown(digest: Digest) -> WireError:
    return WireError(404, "BLOB_UNKNOWN", "blob unknown to registry", str(digest))


def collected(kind: Kind, tombstone: Tombstone) -> WireError:
    """To whoever may pull from the repository: it showed this once, and its bytes were collected since."""
    return WireError(
        404,
        _UNKNOWN[kind],
        f"the {kind} was collected as garbage",
        tombstone.digest,
        facts=tombstone.facts(),
        reason="collected",
    )


def left_out(platform: str, digest: Digest) -> WireError:
    """To whoever may pull from the repository: an index names this manifest, and it was never brought here."""
    what = f"the platform {platform} was" if platform else "this manifest of an index was"
    return WireError(404, _UNKNOWN["manifest"], f"{what} left out when the index was collected", str(digest))


def upload_unknown(upload_id: str) -> WireError:
    return WireError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", upload_id)


def upload_invalid(message: str, thing: str = "") -> WireError:
    return WireError(400, "BLOB_UPLOAD_INVALID", message, thing)


def upload_busy(upload_id: str) -> WireError:
    return WireError(409, "BLOB_UPLOAD_INVALID", "another request is writing to this upload", upload_id).with_headers(
        Retry_After="1"
    )


def out_of_order(offset: int, start: int) -> WireError:
    return WireError(
        416, "BLOB_UPLOAD_INVALID", f"chunk out of order: the upload stands at byte {offset}", f"chunk at {start}"
    )


def digest_invalid(error: MalformedError) -> WireError:
    """A malformed or unsupported digest, or content that has another one."""
    return WireError(400, "DIGEST_INVALID", error.what, error.thing)


def size_invalid(message: str, status: int = 400) -> WireError:
    return WireError(status, "SIZE_INVALID", message)


def manifest_invalid(error: MalformedError) -> WireError:
    return WireError(400, "MANIFEST_INVALID", error.diagnostics())


def manifest_unknown(reference: str) -> WireError:
    return WireError(404, "MANIFEST_UNKNOWN", "manifest unknown to registry", reference)


def manifest_blob_unknown(digest: str) -> WireError:
    return WireError(
        400, "MANIFEST_BLOB_UNKNOWN", "manifest references a manifest or blob unknown to the repository", digest
    )


def name_invalid(name: str) -> WireError:
    return WireError(400, "NAME_INVALID", "invalid repository name", name)


def name_unknown(name: str) -> WireError:
    return WireError(404, "NAME_UNKNOWN", "repository name not known to registry", name)


def tag_invalid(tag: str) -> WireError:
    return WireError(400, "TAG_INVALID", "invalid tag", tag)


def page_invalid(value: str) -> WireError:
    return WireError(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested", value)


def malformed(message: str) -> WireError:
    return WireError(400, "UNSUPPORTED", message)


def unsupported(allowed: str) -> WireError:
    return WireError(405, "UNSUPPORTED", "the operation is unsupported", headers={"Allow": allowed})


def no_such_route(path: str) -> WireError:
    return WireError(404, "NAME_UNKNOWN", "no such resource", path)


def precondition_failed(reference: str) -> WireError:
    return WireError(412, "DENIED", "the condition of the request does not hold", reference)


def range_unsatisfiable(size: int) -> WireError:
    return WireError(
        416, "SIZE_INVALID", "the range lies outside the blob", headers={"Content-Range": f"bytes */{size}"}
    )


def blocked(digest: Digest, why: str) -> WireError:
    return WireError(403, "DENIED", f"blocked: {why[:_SHOWN]}", str(digest), reason="block")


def against_policy(objection: Objection) -> WireError:
    """To whoever may pull it and may not push there: it is not as the policy for images asks."""
    facts = {"digest": objection.digest, "why": objection.why[:_SHOWN]}
    if objection.rule:
        facts |= {"policy": str(objection.policy), objection.by: str(objection.rule), "asks": objection.asks[:_ASKED]}
    if objection.pending:
        facts["pending"] = "; ".join(objection.pending)[:_ASKED]
    noted = {"reason": objection.what[:_SHOWN], "digest": objection.digest}
    reason = "policy" if objection.rule else "unavailable"  # without a rule, the station does not know its own policy
    return WireError(403, "DENIED", objection.what[:_SHOWN], objection.digest, facts=facts, reason=reason, noted=noted)


def upstream_failed(outcome: Outcome) -> WireError:
    """To whoever may pull from a cache: it is not here, and could not be fetched."""
    if outcome.full:
        return WireError(507, "DENIED", f"the cache takes nothing: {outcome.why[:_SHOWN]}")
    message = f"the cache's upstream gives nothing: {outcome.why[:_SHOWN]}"
    if outcome.denied:
        return WireError(502, "UNAVAILABLE", message, reason="upstream")
    return WireError(503, "UNAVAILABLE", message, reason="upstream").with_headers(Retry_After=str(outcome.retry or 5))


def request_timeout() -> WireError:
    return WireError(408, "BLOB_UPLOAD_INVALID", "the client sent nothing for too long").with_headers(
        Connection="close"
    )


def of(error: LockgateError) -> WireError:
    """The answer for an error of the station that no handler had a better code for."""
    if isinstance(error, ReadOnlyError):
        return WireError(
            507, "DENIED", "the registry is read-only until its operator has freed some of its disk; pulls go on"
        )
    if isinstance(error, NoSpaceError):
        announced = isinstance(error, NoRoomError)
        said = "has no room for what was announced" if announced else "is full"
        return WireError(507, "DENIED", f"the registry's disk {said}")
    if isinstance(error, RefusedError):
        return WireError(403, "DENIED", error.what, error.thing)
    if isinstance(error, NotFoundError):
        return WireError(404, "NAME_UNKNOWN", error.what, error.thing)
    if isinstance(error, FailedError):
        return WireError(503, "UNAVAILABLE", error.what).with_headers(Retry_After="5")
    return WireError(400, "UNSUPPORTED", error.what, error.thing)


EXPECTATION: Final = WireError(417, "UNSUPPORTED", "an expectation that cannot be met")


def internal(reference: str) -> WireError:
    """The answer for an error of the registry's own; `reference` stands in its log beside the reason."""
    return WireError(500, "UNKNOWN", f"the registry failed; its log says why under error {reference}")
