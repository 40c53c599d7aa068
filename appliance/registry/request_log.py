"""A line of the program's log for each request that the registry answers, where the site wants them (`[log]`)."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any, Final

from aiohttp import web

from appliance.log_lines import FIELDS, REQUESTS
from appliance.registry.measuring import REASON, TARGET
from appliance.registry.plain_head import PlainHead
from appliance.registry.routes import Target
from appliance.registry.services import ACTOR, BROKEN

_log: Final = logging.getLogger(REQUESTS)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")
"""W3C Trace Context, section 3.2."""

_SHOWN: Final = 300
"""Characters of a client's own texts."""


def answered(request: web.Request, answer: web.StreamResponse | None, begun: float) -> None:
    """Log a request; `answer` is None where its connection broke. `begun` is on time.perf_counter()."""
    _write(
        address=request.remote or "",
        account=request.get(ACTOR, ""),
        method=request.method,
        path=request.path,
        status=0 if answer is None else answer.status,
        reason=request.get(REASON) or request.get(BROKEN) or ("network" if answer is None else "ok"),
        begun=begun,
        length=_bytes(answer),
        target=request.get(TARGET),
        digest=_digest(answer),
        user_agent=request.headers.get("User-Agent", ""),
        trace=request.headers.get("traceparent", ""),
    )


def read(
    head: PlainHead, address: str, actor: str, target: Target, digest: str, status: int, length: int, begun: float
) -> None:
    """As `answered`, of a read that ended well; `digest` is the answer's, "" where it names none."""
    fields = head.fields
    _write(
        address=address, account=actor, method=head.method, path=head.target.partition("?")[0], status=status,
        reason="ok", begun=begun, length=length, target=target, digest=digest, user_agent=fields.user_agent,
        trace=fields.traceparent,
    )  # fmt: skip


def _write(
    *,
    address: str,
    account: str,
    method: str,
    path: str,
    status: int,
    reason: str,
    begun: float,
    length: int,
    target: Target | None,
    digest: str,
    user_agent: str,
    trace: str,
) -> None:
    reference = "" if target is None else target.reference
    fields: dict[str, Any] = {
        "request": secrets.token_hex(8),
        "address": address,
        "account": account,
        "method": method[:16],
        "path": path[:_SHOWN],
        "status": status,
        "reason": reason,
        "seconds": round(time.perf_counter() - begun, 6),
        "bytes": length,
        "repository": "" if target is None else target.name,
        "digest": reference[:_SHOWN] if ":" in reference else digest,
        "user_agent": user_agent[:_SHOWN],
    }
    if _TRACEPARENT.match(trace):
        fields["traceparent"] = trace
    _log.info("%s %s", fields["method"], fields["status"], extra={FIELDS: fields})


def _digest(answer: web.StreamResponse | None) -> str:
    return "" if answer is None else answer.headers.get("Docker-Content-Digest", "")


def _bytes(answer: web.StreamResponse | None) -> int:
    body = getattr(answer, "body", None)
    if isinstance(body, bytes):
        return len(body)
    return 0 if answer is None else answer.content_length or 0
