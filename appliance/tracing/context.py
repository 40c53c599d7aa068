"""A place in a trace, as `traceparent` says it (W3C Trace Context, section 3.2)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

HEADER: Final = "traceparent"

DONE_FOR: Final[ContextVar[str]] = ContextVar("lockgate_trace", default="")
"""The `traceparent` of what this task does for somebody, "" for none: what it asks other programs for says so."""

_FORM: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?\Z"
)
_SAMPLED: Final = 1
_RANDOM: Final = 2**56
"""The low 56 bits of a trace's id are random (W3C Trace Context 2, section 2.3.1)."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """`trace` is the trace's id, 32 hex digits, `span` that of the span that the next ones belong to, 16; `sampled`:
    whether that span is recorded."""

    trace: str
    span: str
    sampled: bool

    @classmethod
    def parse(cls, sent: Sequence[str]) -> TraceContext | None:
        """What the values of a request's `traceparent` fields say; None where there is not just one, or it does not
        hold (section 3.2.2.3): such a request begins a trace of its own. Of a later version its beginning counts."""
        found = _FORM.match(sent[0]) if len(sent) == 1 else None
        if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"] is not None):
            return None
        if not found["trace"].strip("0") or not found["span"].strip("0"):
            return None
        return cls(found["trace"], found["span"], bool(int(found["flags"], 16) & _SAMPLED))

    @classmethod
    def begin(cls) -> TraceContext:
        """The place of a new trace's first span, which is recorded."""
        return cls(secrets.token_hex(16), new_span(), True)

    def child(self, span: str, *, sampled: bool) -> TraceContext:
        """The place below a span of the same trace."""
        return TraceContext(self.trace, span, sampled)

    def is_among(self, share: float) -> bool:
        """Whether the trace is one of that share of all traces: every program that samples so picks the same ones
        (OpenTelemetry, consistent probability sampling)."""
        return int(self.trace[-14:], 16) >= _RANDOM * (1 - share)

    def __str__(self) -> str:
        """The value of `traceparent`, version 00."""
        return f"00-{self.trace}-{self.span}-{'01' if self.sampled else '00'}"


def new_span() -> str:
    """A span's id, which is never that of none."""
    return f"{secrets.randbits(64) or 1:016x}"
