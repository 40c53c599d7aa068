"""Which collect `--retry-failed` repeats."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.cli.store.collect import failed_of
from bundles.errors import UsageError

SOURCES = [{"kind": "registry", "reference": f"registry.example/a:{n}"} for n in range(3)]


def job(actor: str, state: str = "incomplete", **more: Any) -> dict[str, Any]:
    result = {"failed": [1]}
    return {"id": "job", "kind": "collect", "actor": actor, "state": state, "params": {"sources": SOURCES},
            "result": result} | more  # fmt: skip


def test_another_callers_collect_is_not_repeated_however_new_it_is() -> None:
    """What it names would be asked for with the caller's accounts."""
    theirs = [job("mallory"), job(""), job("mallory", "done"), job("alice", "running"), job("alice", kind="build")]
    assert failed_of([*theirs, job("alice", result={"failed": [0, 2]})], "alice") == [SOURCES[0], SOURCES[2]]
    with pytest.raises(UsageError):
        failed_of(theirs, "alice")


def test_ones_own_collect_that_did_not_come_to_its_end_is_repeated_whole() -> None:
    assert failed_of([job("alice", "failed", result=None)], "alice") == SOURCES


def test_ones_own_last_collect_decides_also_where_nothing_failed_in_it() -> None:
    with pytest.raises(UsageError):
        failed_of([job("alice", "done"), job("alice")], "alice")
