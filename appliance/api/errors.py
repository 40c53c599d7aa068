"""The error document: what every request that is not answered gets, and what a job ended with; and the codes that
programs compare.

Codes of kinds and of the ledger's refusals stand in `bundles.errors`.
"""

from __future__ import annotations

from typing import Final

from appliance.api.common import Shape

LOG_IN_OVER: Final = "log-in-over"
"""The session has ended: log in again."""

NO_ACCOUNT: Final = "no-account"
"""No account stands for the system account that calls: log in."""

NOT_RUNNING: Final = "station-not-running"
"""Nobody listens at the control socket. Made by the client."""

NO_ANSWER: Final = "station-no-answer"
"""The station did not answer, or its answer broke off: nothing is known of what it did. Made by the client."""

LOG_IN_CODES: Final = frozenset({LOG_IN_OVER, NO_ACCOUNT})
LOST_CODES: Final = frozenset({NOT_RUNNING, NO_ANSWER})


class ErrorDocument(Shape, frozen=True, kw_only=True):
    """An error: its kind, its stable code, what happened, to which thing, what to do, and the exit status of the
    command."""

    error: str = ""
    code: str = ""
    what: str
    thing: str = ""
    remedy: str = ""
    exit_status: int = 1
