"""Spans in the JSON form of OTLP, as an OpenTelemetry collector's receiver of files reads it: a line has one
`TracesData` (OTLP 1.x, section JSON Protobuf Encoding: ids in hex, 64-bit numbers as texts)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Value = str | int | float | bool

INTERNAL: Final = 1
SERVER: Final = 2
"""SpanKind."""

_ERROR: Final = 2
"""STATUS_CODE_ERROR."""

_KNOWN_REMOTE: Final = 0x100
_REMOTE: Final = 0x200
_SAMPLED: Final = 1
"""SpanFlags: the parent of a span is known to be another program's, or not to be."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of a trace. `begun` and `ended` are nanoseconds since 1970; `parent` is "" for a trace's first; `remote`:
    whether another program has the parent; `error` says why it failed, "" where it did not."""

    trace: str
    id: str
    name: str
    begun: int
    ended: int
    parent: str = ""
    remote: bool = False
    kind: int = INTERNAL
    error: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The message `Span`."""
        fields: dict[str, Any] = {
            "traceId": self.trace,
            "spanId": self.id,
            "flags": _SAMPLED | _KNOWN_REMOTE | (_REMOTE if self.remote else 0),
            "name": _text(self.name),
            "kind": self.kind,
            "startTimeUnixNano": str(self.begun),
            "endTimeUnixNano": str(max(self.begun, self.ended)),
        }
        if self.parent:
            fields["parentSpanId"] = self.parent
        if self.attributes:
            fields["attributes"] = attributes_of(self.attributes)
        if self.error:
            fields["status"] = {"code": _ERROR, "message": _text(self.error)}
        return fields


@dataclass(frozen=True, slots=True)
class Resource:
    """Which process of which station: what every line says of its spans (OpenTelemetry, semantic conventions)."""

    site: str
    process: str
    version: str

    def line_of(self, spans: Sequence[Span]) -> bytes:
        """Spans as a line, with its newline."""
        said = {
            "service.name": "lockgate",
            "service.namespace": self.site,
            "service.instance.id": f"{self.site}/{self.process}",
            "service.version": self.version,
        }
        scope = {"scope": {"name": "lockgate"}, "spans": [span.to_json() for span in spans]}
        document = {"resourceSpans": [{"resource": {"attributes": attributes_of(said)}, "scopeSpans": [scope]}]}
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def attributes_of(attributes: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Attributes as a list of `KeyValue`."""
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": _text(value)}


def _text(text: str) -> str:
    """What protobuf takes for a string: bytes of a path that are no UTF-8 are `?`."""
    return text.encode("utf-8", "replace").decode()
