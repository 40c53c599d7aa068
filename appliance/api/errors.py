"""The error document: what every request that is not answered gets, and what a job ended with."""

from __future__ import annotations

from appliance.api.common import Shape


class ErrorDocument(Shape, frozen=True, kw_only=True):
    """An error: its kind, what happened, to which thing, what to do, and the exit status of the command."""

    error: str = ""
    what: str
    thing: str = ""
    remedy: str = ""
    exit_status: int = 1
