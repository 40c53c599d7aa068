"""A job's params are of the form that the API's schema says, before anything is queued or in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from appliance.control.api import Control
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.jobs.forms import check_form
from appliance.jobs.params import JOB_PARAMS, check_params
from appliance.jobs.service import Jobs
from appliance.limits import jobs as limits
from appliance.store.reads.accounts import Accounts
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.write import AsyncGuarded
from bundles.errors import UsageError
from tests.control.test_who_may_call import served
from tests.intake.inside import Inside
from tests.job_starter import NoStarter

LONG = "x" * (limits.JOB_TEXT + 1)
WRONG = [
    ("gc", {"older_than": "x" * 3_000_000}), ("gc", {"older_than": [[[]]]}), ("gc", {"dry_run": [[[[]]]]}),
    ("gc", {"now": 1}), ("scrub", {"budget": "much"}), ("scrub", {"budget": True}), ("scrub", {"restart": {}}),
    ("inspect", {"id": LONG}), ("inspect", {"id": ["a"]}), ("scan", {"references": "team/app:1"}),
    ("scan", {"references": [["team/app:1"]]}), ("scan", {"references": [LONG]}), ("recut", {"media": ["1"]}),
    ("build", {"purpose": LONG}), ("build", {"since": 1}),
    ("collect", {"plan": "all"}), ("collect", {"sources": [{"kind": "disk"}]}),
    ("collect", {"sources": [{"kind": "tags", "select": {"newest": "1"}}]}),
    ("collect", {"sources": [{"kind": "tags", "select": {"oldest": 1}}]}),
    ("collect", {"sources": [{"kind": "registry", "platforms": [LONG]}]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "params"), WRONG, ids=lambda value: value if isinstance(value, str) else None)
def test_params_of_another_form_are_refused_by_their_name(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        check_params(kind, params)
    assert next(iter(params)) in str(refused.value.thing)
    assert len(str(refused.value.thing)) < 300


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("gc", {"older_than": None, "dry_run": True}), ("gc", {"older_than": 0}), ("scrub", {"budget": 1}),
        ("scrub", {"budget": 0.5}), ("build", {"volume": "4 GB", "since": "last", "not_after": None}),
        ("build", {"volume": 4_000_000_000, "since": {"name": "x", "document": "", "keyid": "", "signatures": {}}}),
        ("collect", {"sources": [{"kind": "tags", "reference": "a.b/c:*", "select": {"newest": 3}, "as": None}]}),
        ("import", {"paths": [{"handle": "1", "path": "/m"}], "partial": False}),
    ],
)  # fmt: skip
def test_params_of_their_form_are_taken(kind: str, params: dict[str, Any]) -> None:
    check_params(kind, params)


def test_every_form_that_the_api_shows_is_one_that_is_looked_at() -> None:
    def walk(name: str, schema: Mapping[str, Any]) -> None:
        with pytest.raises(UsageError):
            check_form(name, schema, object())
        if "properties" in schema:
            for field, inner in schema["properties"].items():
                walk(field, inner) if "handle" not in inner.get("properties", ()) else None
        elif "items" in schema and "handle" not in schema["items"].get("properties", ()):
            walk(name, schema["items"])

    for params in JOB_PARAMS.values():
        for name, schema in params.items():
            if "handle" not in schema.get("properties", ()):
                walk(name, schema)


async def test_what_is_refused_is_short_in_the_log_and_nowhere_in_the_queue(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo") as inside:
        writer = AsyncGuarded(AsyncWriterService(inside.writer))
        jobs = Jobs(inside.station, writer, NoStarter())
        callers = Callers(inside.station.config, Accounts(inside.station.reader))
        control = Control(inside.station, writer, jobs, "", callers)
        many = {"references": ["team/" + "y" * 8_000] * 600}
        async with served(application(control), inside.station.paths.root) as client:
            for kind, params in (("gc", {"older_than": "x" * 3_000_000}), ("scan", many)):
                async with client.post("/v1/jobs", json={"kind": kind, "params": params}) as answer:
                    assert answer.status == 400, await answer.text()
        assert jobs.list(10) == []
        lanes = (inside.station.paths.root / "audit" / "lanes").glob("*.jsonl")
        assert sum(path.stat().st_size for path in lanes) < 20_000
