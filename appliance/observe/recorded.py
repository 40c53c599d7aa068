"""Acts on a station's folder that need no running station: in its audit log before they are done."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent, FileAudit, refusal
from appliance.paths import StationPaths
from bundles.errors import LockgateError


@contextmanager
def recorded(station: Path, act: Act, thing: str, detail: Mapping[str, Any]) -> Iterator[None]:
    """Record the act, then let it happen; an act that then fails is recorded as that too.

    Raises FailedError, with nothing done, where the log cannot be written.
    """
    audit = FileAudit(StationPaths(station).audit)
    audit.record(AuditEvent(act, actor(), thing, "done", detail))
    try:
        yield
    except LockgateError as error:
        audit.record(refusal(act, actor(), thing, error))
        raise


def actor() -> str:
    """Who runs this process: `name(uid)`, as the control API names its callers."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "uid"
    return f"{name}({uid})"
