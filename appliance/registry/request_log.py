"""A line of the program's log for each request that the registry answers, where the site wants them (`[log]`)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.log_lines import FIELDS, REQUESTS
from appliance.registry.routes import Target
from appliance.tracing.context import HEADER, TraceContext

_log: Final = logging.getLogger(REQUESTS)

SHOWN: Final = 300
"""Characters of a client's own texts."""

Phase = tuple[str, float, float]
"""A phase's name, its begin and its end on time.perf_counter()."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was answered, or broke. `id` is its own; `begun` and `ended` are on time.perf_counter(); `status`
    is 0 where the connection broke; `length` the bytes of the answer's body; `digest` what the answer names, "" for
    nothing; `sent` the place in a trace that the client named, if any."""

    id: str
    address: str
    account: str
    method: str
    path: str
    status: int
    reason: str
    begun: float
    ended: float
    length: int
    target: Target | None
    digest: str
    user_agent: str
    sent: TraceContext | None
    phases: Sequence[Phase] = ()

    @property
    def repository(self) -> str:
        """The repository's name, "" where the request names none."""
        return "" if self.target is None else self.target.name

    @property
    def named_digest(self) -> str:
        """The digest that the request asks for, else the one that the answer names."""
        reference = "" if self.target is None else self.target.reference
        return reference[:SHOWN] if ":" in reference else self.digest


def write(seen: Answered, trace: str, *, phases: bool) -> None:
    """Log a request. `trace`: the trace's id where a span of it is recorded, whose own id is the request's; `phases`:
    say how long each took."""
    fields: dict[str, Any] = {
        "request": seen.id,
        "address": seen.address,
        "account": seen.account,
        "method": seen.method[:16],
        "path": seen.path[:SHOWN],
        "status": seen.status,
        "reason": seen.reason,
        "seconds": round(seen.ended - seen.begun, 6),
        "bytes": seen.length,
        "repository": seen.repository,
        "digest": seen.named_digest,
        "user_agent": seen.user_agent[:SHOWN],
    }
    if seen.sent is not None:
        fields[HEADER] = str(seen.sent)
    if trace:
        fields["trace"] = trace
    if phases:
        fields["phases"] = _seconds(seen.phases)
    _log.info("%s %s", fields["method"], fields["status"], extra={FIELDS: fields})


def _seconds(phases: Sequence[Phase]) -> dict[str, float]:
    """By name, one that was passed through twice in sum."""
    found: dict[str, float] = {}
    for name, begun, ended in phases:
        found[name] = round(found.get(name, 0.0) + ended - begun, 6)
    return found
