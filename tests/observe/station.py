"""A station's folder with an audit log, for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from appliance.audit.seals import seals_of
from appliance.paths import StationPaths
from appliance.settings.station import Config, save_config
from bundles.documents.audit_findings import GENESIS, LogFindings
from bundles.documents.audit_log import hash_of, line_of, segments, verify
from bundles.documents.audit_seal import MAC, seal
from bundles.signing.keys import create_private, load_public, save_private

SITE = "bravo"


def make(root: Path) -> StationPaths:
    """A station's folder, its audit key in it."""
    paths = StationPaths(root)
    for folder in (root, paths.keys, paths.audit):
        folder.mkdir()
    save_config(paths.config, Config(site=SITE, side="inside"))
    save_private(paths.keys / "audit.pem", create_private(), None)
    return paths


def act(audit: FileAudit, number: int, **changes: object) -> None:
    fields = {"act": "intake.import", "actor": "operator(1)", "thing": f"alpha.bravo-{number:06}", **changes}
    audit.record(AuditEvent(**fields))  # type: ignore[arg-type]


def sealed_line(paths: StationPaths, fields: Mapping[str, Any]) -> bytes:
    """An event's line as the station's own key seals it."""
    return seal(line_of({name: said for name, said in fields.items() if name != MAC}), seals_of(paths).keys[0])


def as_earlier_version(
    paths: StationPaths, change: Callable[[dict[str, Any]], dict[str, Any]] = lambda fields: fields
) -> None:
    """Make the log one as an earlier version wrote it, each event changed: without MACs, a checkpoint, and a note of
    its head."""
    heads: dict[int, str] = {}
    for segment in segments(paths.audit):
        written = []
        for line in segment.path.read_bytes().splitlines():
            fields = change({name: said for name, said in json.loads(line).items() if name != MAC})
            fields["prev"] = heads.get(segment.lane, GENESIS)
            written.append(line_of(fields))
            heads[segment.lane] = hash_of(written[-1])
        segment.path.write_bytes(b"".join(written))
    (paths.audit / "checkpoints.jsonl").unlink(missing_ok=True)
    paths.audit_head.unlink(missing_ok=True)


def look(paths: StationPaths, head: str = "") -> LogFindings:
    return verify(paths.audit, load_public(paths.keys / "audit.pub.pem"), SITE, head)


def findings(paths: StationPaths, head: str = "") -> list[str]:
    return [found.text() for found in look(paths, head).findings]


def fill(paths: StationPaths, count: int) -> FileAudit:
    audit = FileAudit(paths.audit)
    for number in range(1, count + 1):
        act(audit, number)
    return audit


def lane(paths: StationPaths, number: int = 1, segment: int = 1) -> Path:
    return paths.audit / "lanes" / f"{number:02}.{segment:06}.jsonl"


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)
