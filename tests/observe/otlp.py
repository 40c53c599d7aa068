"""Files of spans as OpenTelemetry's own messages read them, for tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peer_tools import cannot

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


@dataclass(frozen=True)
class Read:
    """A span as it was read; `resource` and `attributes` by key."""

    resource: dict[str, Any]
    trace: str
    id: str
    parent: str
    name: str
    kind: int
    begun: int
    ended: int
    attributes: dict[str, Any]
    error: str
    flags: int


def read(folder: Path) -> list[Read]:
    """The spans of all files of a folder, each line held against the message `TracesData`: a field that it does not
    have, or a value of another type, is an error."""
    try:
        from google.protobuf.json_format import ParseDict
        from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
    except ImportError:
        cannot("needs opentelemetry-proto (requirements-dev.lock has it)")
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            document = json.loads(line)
            _to_base64(document)
            for of_process in ParseDict(document, TracesData()).resource_spans:
                resource = _attributes(of_process.resource.attributes)
                found += [_read(resource, span) for scope in of_process.scope_spans for span in scope.spans]
    return found


def _read(resource: dict[str, Any], span: Any) -> Read:
    return Read(
        resource, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name, span.kind,
        span.start_time_unix_nano, span.end_time_unix_nano, _attributes(span.attributes), span.status.message,
        span.flags,
    )  # fmt: skip


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _to_base64(document: Any) -> None:
    """Ids are hex in OTLP's JSON alone; protobuf's own JSON has base64 for bytes."""
    for fields in _objects(document):
        for key in _IDS & set(fields):
            fields[key] = base64.b64encode(bytes.fromhex(fields[key])).decode()


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)
