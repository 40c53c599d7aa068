"""A station that nobody has claimed has no past: another one-time code for it keeps nobody from claiming it."""

from __future__ import annotations

from pathlib import Path

from appliance.access.first_administrator import make_code
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from appliance.lifecycle.forgotten import look
from appliance.paths import StationPaths
from tests.intake.inside import make_station


def test_a_further_code_is_no_past_that_the_database_forgot(tmp_path: Path) -> None:
    paths = StationPaths(tmp_path / "bravo")
    make_station(paths.root, open_=False)
    audit = FileAudit(paths.audit)
    for act in (Act.INIT, Act.ACCOUNT_CODE, Act.ACCOUNT_CODE):
        audit.record(AuditEvent(act, "root(0)", "bravo"))
    make_code(paths)
    assert look(paths) is None
    audit.record(AuditEvent(Act.ACCOUNT_CREATE, "ada", "eve"))
    found = look(paths)
    assert found is not None
    assert not found.usable
