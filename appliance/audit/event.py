"""An event of the audit log: who did what to which thing, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from appliance.audit.acts import Act
from bundles.errors import LockgateError

Outcome = Literal["done", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who (`actor`) did what (`act`) to which thing, and how it ended; `detail` is plain JSON data.

    `origin` is set for a caller without an account: the address (appliance.addresses.origin_of) or the uid that
    refusals are counted by, whatever they name. It is not written.
    """

    act: Act
    actor: str
    thing: str
    outcome: Outcome = "done"
    detail: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""


def refusal(
    act: Act, actor: str, thing: str, error: LockgateError, *, recorded: bool = False, origin: str = ""
) -> AuditEvent:
    """The event of an act that was refused (exit 3) or failed; `recorded`: it was recorded as done before, and this
    takes that back; `origin` as AuditEvent's."""
    outcome: Outcome = "refused" if error.exit_status == 3 else "failed"
    detail = {"reason": error.diagnostics()} | ({"takes_back": True} if recorded else {})
    return AuditEvent(act, actor, thing, outcome, detail, origin)
