"""What a collection or a scrub found stands on its job's page: damage is never only a number of bytes."""

from __future__ import annotations

from typing import Any

from appliance.api.jobs import Job
from tui.wording.job_results import after_job, result_lines

SCRUB: dict[str, Any] = {
    "complete": True, "metadata": {"state": "ok", "found": [], "unsummed": 0}, "blobs": 3, "bytes": 2_000_000,
    "damaged": [], "unread": [], "healed": 0, "described": [],
}  # fmt: skip
COLLECTION: dict[str, Any] = {
    "dry_run": False, "now": False, "blobs": 1, "bytes": 5, "links": 0, "uploads": 0, "kept": 0,
    "doubtful": {"rows": [], "blobs": 0}, "named": [], "emptied": {"blobs": 0, "bytes": 0},
    "graveyard": {"blobs": 2, "bytes": 7, "oldest": ""}, "waiting": {"blobs": 0, "until": ""}, "untagged": None,
}  # fmt: skip


def job(kind: str, result: dict[str, Any]) -> Job:
    return Job(
        id="job-1", kind=kind, state="done", phase="", done=0, total=0, actor="ada", created="2026-01-01T00:00:00Z",
        started=None, finished=None, error=None, result=result,
    )  # fmt: skip


def told(kind: str, **changes: Any) -> tuple[str, set[str]]:
    """The lines, and the roles that stand in them."""
    lines = result_lines(job(kind, {**(SCRUB if kind == "scrub" else COLLECTION), **changes}))
    return "\n".join("".join(text for text, _ in line) for line in lines), {role for line in lines for _, role in line}


def test_a_whole_store_has_no_line_that_is_bad() -> None:
    text, roles = told("scrub")
    assert roles == {"plain", "ok"}
    assert "3 blobs, 2.0 MB" in text
    assert after_job(job("scrub", SCRUB))[0] != "bad"


def test_each_kind_of_damage_is_named_and_said_to_be_bad() -> None:
    digest = f"sha256:{'a' * 64}"
    for field, value in (
        ("damaged", [{"digest": digest, "why": "other bytes", "shown": [], "bundles": []}]),
        ("unread", [{"digest": digest, "why": "EIO", "found": "", "last": "", "times": 1}]),
        ("metadata", {"state": "damaged", "found": [digest], "unsummed": 0}),
    ):
        text, roles = told("scrub", **{field: value})
        assert digest in text
        assert roles & {"bad", "need"}
        assert after_job(job("scrub", {**SCRUB, field: value}))[0] == "bad"


def test_an_unchecked_database_is_no_whole_one() -> None:
    text, roles = told("scrub", metadata={"state": "unchecked", "found": [], "unsummed": 0})
    assert "is whole" not in text
    assert "need" in roles


def test_hostile_texts_and_long_lists_are_made_fit() -> None:
    rows = [f"row {number} \x1b[2J" for number in range(1000)]
    text, roles = told("gc", doubtful={"rows": rows, "blobs": 4})
    assert "\x1b" not in text
    assert text.count("\n") < 30
    assert "980 more" in text
    assert "bad" in roles


def test_a_result_of_an_earlier_version_is_shown() -> None:
    for kind in ("gc", "scrub"):
        assert result_lines(job(kind, {"blobs": 1, "bytes": 5}))


def test_a_dry_run_took_nothing() -> None:
    assert told("gc", dry_run=True)[0].startswith("would take 1 blob")
    assert told("gc")[0].startswith("took")
