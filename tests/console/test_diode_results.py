"""What a diode's job sent, brought and lacks stands on its page."""

from __future__ import annotations

from typing import Any

from appliance.api.jobs import Job
from tui.wording.job_results import result_lines


def told(kind: str, result: dict[str, Any]) -> list[str]:
    job = Job(
        id="job-1", kind=kind, state="done", phase="", done=0, total=0, actor="ada", created="2026-01-01T00:00:00Z",
        started=None, finished=None, error=None, result=result,
    )  # fmt: skip
    return ["".join(text for text, _ in line).split(maxsplit=1) for line in result_lines(job)]  # type: ignore[misc]


def test_what_was_sent_came_or_is_missing_has_a_line() -> None:
    sent = {"diode": "gap", "bundles": [{"id": "alpha.bravo-000001", "bytes": 5}]}
    assert told("diode-send", sent) == [["sent", "alpha.bravo-000001"]]
    came = {
        "delivered": [{"id": "alpha.bravo-000001", "path": "/in/alpha.bravo-000001", "bytes": 5}],
        "missing": [{"id": "alpha.bravo-000002", "blocks": 9, "missing": 2, "code": "3-4.K4QX"}],
    }
    assert told("diode-receive", came) == [
        ["came", "/in/alpha.bravo-000001"],
        ["lacks", "alpha.bravo-000002: 2 of 9 blocks, 3-4.K4QX"],
    ]
