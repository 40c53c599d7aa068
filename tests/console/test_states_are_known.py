"""The console knows every state that the station's own tables and jobs can be in."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import msgspec
import pytest

from appliance.api.states import BUNDLE_STATES, ENTRY_STATES, FINAL_STATES, JOB_STATES, ROLES
from appliance.store.database import open_writer
from tests.console.doubles.intake import make
from tui.actions.registry import _approvable, _rejectable, _releasable
from tui.guides.bring_in import _DECIDED, _ORDER
from tui.screens.people.accounts import ROLES as OFFERED
from tui.terminal.look import STATES
from tui.wording.checklists import next_step


def states_of(db: sqlite3.Connection, table: str) -> set[str]:
    (schema,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    found = re.search(r"state IN \(([^)]*)\)", schema)
    assert found is not None
    return set(re.findall(r"'([a-z-]+)'", found[1]))


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    with closing(open_writer(tmp_path_factory.mktemp("schema") / "metadata.sqlite")) as db:
        return {table: states_of(db, table) for table in ("intake", "bundles_out")}


def test_every_state_has_a_role(schema: dict[str, set[str]]) -> None:
    shown = {"unfinished", "superseded"}  # what lists say of a bundle beside its state
    assert schema["intake"] | schema["bundles_out"] | set(JOB_STATES) | shown == set(STATES)


def test_the_states_are_those_of_the_tables(schema: dict[str, set[str]]) -> None:
    assert (schema["intake"], schema["bundles_out"]) == (set(ENTRY_STATES), set(BUNDLE_STATES))
    assert set(FINAL_STATES) <= set(JOB_STATES)


def test_the_console_offers_every_role() -> None:
    assert {role for role, _ in OFFERED} == set(ROLES)


def test_the_guide_knows_every_state_of_the_intake(schema: dict[str, set[str]]) -> None:
    assert {*_ORDER, *_DECIDED} == schema["intake"]


def test_a_superseded_bundle_is_not_said_to_be_shown() -> None:
    released = make(7, "released", "2026-05-04T13:41:07Z")
    superseded = msgspec.structs.replace(released, standing="superseded", by="alpha.bravo-000009")
    assert next_step(released)[0] == "ok"
    role, text = next_step(superseded)
    assert (role, "alpha.bravo-000009" in text, "shown" in text) == ("wait", True, False)


def test_the_next_step_is_a_sentence_in_every_state_of_the_intake(schema: dict[str, set[str]]) -> None:
    for state in schema["intake"]:
        role, text = next_step(make(7, state, "2026-05-04T13:41:07Z"))
        assert role != "note"
        assert text != state


def test_a_withdrawn_bundle_can_be_approved_anew_or_rejected_and_not_released_yet() -> None:
    item = make(7, "withdrawn", "2026-05-04T13:41:07Z")
    context = SimpleNamespace(item=item)
    assert _approvable(context) == ""  # type: ignore[arg-type]
    assert _rejectable(context) == ""  # type: ignore[arg-type]
    assert "approvals are given" in _releasable(context)  # type: ignore[arg-type]
