"""The states, roles and filters of the control API, each spelt once. Order is the order in which they are listed."""

from __future__ import annotations

from typing import Final, Literal, get_args

FINAL_STATES: Final = ("done", "failed", "refused", "incomplete", "cancelled")
"""States of a job that has ended."""

WRONG_STATES: Final = ("refused", "failed", "incomplete")
"""Final states of a job that somebody has to look at."""

LIVE_STATES: Final = ("queued", "running", "to-sign", "waiting")
"""States of a job that has not ended; `waiting` is for a path."""

JOB_STATES: Final = (*LIVE_STATES, *FINAL_STATES)

ENTRY_STATES: Final = ("receiving", "quarantined", "approved", "released", "withdrawn", "rejected")
"""States of a bundle in the intake."""

SUPERSEDED: Final = "superseded"
"""The standing of a released or written bundle whose tags all belong to later bundles. It is no state."""

DECIDABLE: Final = ("quarantined", "approved", "withdrawn")
"""States of an entry in which it is inspected and decided about."""

PENDING_STATES: Final = ("quarantined", "approved")
"""States of an entry that is counted as in quarantine."""

BUNDLE_STATES: Final = ("to-sign", "signed", "written", "voided")
"""States of a bundle that this station made."""

CHANGE_FILTERS: Final = ("waits", "all")
"""What a list of changes of accounts may be narrowed to."""

AUDIT_FILTERS: Final = ("act", "actor", "thing", "outcome", "since", "until")
"""What a list of audit events may be narrowed by: names of query parameters."""

Role = Literal["reader", "writer", "maintainer", "security-officer", "auditor", "administrator", "collector", "courier"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Roles of accounts, in the order in which messages list them."""
