"""The acts of the audit log are one closed registry, and what none of them explains is unexplained."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import appliance
import tui
from appliance.audit import acts
from appliance.audit.acts import EXPLAINS, Act, Explains, explains, read_act
from appliance.audit.lane import REPAIRED
from appliance.jobs.kinds import KINDS
from appliance.permissions import PERMISSIONS
from bundles.documents.audit_log import PRUNED

_TAKE_ACTS = {"AuditEvent": 0, "refusal": 0, "recorded": 1, "audited": 2, ".write": 1, "._acting": 0}
"""Calls that are handed an act, and where it stands among their arguments."""


def sources() -> list[Path]:
    packages = (Path(str(package.__file__)).parent for package in (appliance, tui))
    return sorted(path for package in packages for path in package.rglob("*.py"))


def bare(tree: ast.AST) -> Iterator[int]:
    """The lines where an act is written as text: handed to what records it, compared with an event's, or made of
    parts; and each text that can be nothing but an act."""
    words = {str(act) for act in Act if "." in act or "-" in act}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in words:
            yield node.lineno
        if isinstance(node, ast.Compare) and "act" in _keys(node):
            values = [node.left, *node.comparators]
            if any(isinstance(value, ast.Constant) and value.value in list(Act) for value in values):
                yield node.lineno
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else f".{getattr(node.func, 'attr', '')}"
            if name == "Act":
                yield node.lineno
            at = _TAKE_ACTS.get(name, 99)
            given = node.args[at] if at < len(node.args) else None
            if isinstance(given, ast.JoinedStr) or (isinstance(given, ast.Constant) and isinstance(given.value, str)):
                yield node.lineno


def _keys(node: ast.Compare) -> set[object]:
    asked = [item.slice for item in [node.left, *node.comparators] if isinstance(item, ast.Subscript)]
    return {key.value for key in asked if isinstance(key, ast.Constant)}


def test_no_act_is_written_as_a_bare_string() -> None:
    registry, found = Path(acts.__file__), []
    for path in sources():
        if path != registry and path.parent.name != "demo":
            found += [f"{path}:{line}" for line in bare(ast.parse(path.read_text()))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        'AuditEvent("pull", actor, thing)',
        'AuditEvent(f"{kind}.start", actor, thing)',
        'refusal("collect", actor, thing, error)',
        'recorded(station, "init", thing, {})',
        'call.write(write, "push-blob", thing)',
        'event["act"] == "init"',
        'Act(f"account.{what}")',
        'WANTED = "intake.release"',
    ],
)
def test_a_bare_act_would_be_found(text: str) -> None:
    assert list(bare(ast.parse(text)))


def test_what_is_not_listed_explains_nothing() -> None:
    assert {act for act in Act if explains(act) is not Explains.NOTHING} == set(EXPLAINS)
    assert explains(Act.DELETE_TAG) is Explains.NOTHING


@pytest.mark.parametrize("word", ["push-everything", "INTAKE.RELEASE", "intake.release ", "", None, 7, ["pull"]])
def test_an_unknown_word_of_a_log_is_read_and_explains_nothing(word: object) -> None:
    assert read_act(word) is None
    assert explains(read_act(word)) is Explains.NOTHING


def test_the_words_of_written_logs_stay_readable() -> None:
    assert all(read_act(str(act)) is act for act in Act)
    assert Act.AUDIT_PRUNE == PRUNED
    assert Act.AUDIT_REPAIR == REPAIRED


def test_every_permission_and_every_kind_of_job_has_its_act() -> None:
    assert [str(acts.denied(permission)) for permission in PERMISSIONS] == list(PERMISSIONS)
    assert [str(acts.started(kind)) for kind in KINDS] == [f"{kind}.start" for kind in KINDS]
