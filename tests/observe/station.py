"""A station's folder with an audit log, for tests."""

from __future__ import annotations

from pathlib import Path

from appliance.config import Config, save_config
from appliance.observe.audit import AuditEvent, FileAudit
from appliance.paths import StationPaths
from bundles.audit_found import Verified
from bundles.audit_log import verify
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


def look(paths: StationPaths, head: str = "") -> Verified:
    return verify(paths.audit, load_public(paths.keys / "audit.pub.pem"), SITE, head)


def findings(paths: StationPaths, head: str = "") -> list[str]:
    return [found.text() for found in look(paths, head).findings]
