"""Every key that a text of the console names does what the text says, on each screen that shows it. Commands that texts
name are walked in tests/cli/test_remedies."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tui.actions.further_screens import BY_SCREEN
from tui.actions.registry import BY_NAME, TITLES
from tui.screens import _CLASSES

TUI: Final = Path(__file__).parents[2] / "tui"

PLAIN: Final = "tui/plain/"
"""The console in lines has words of its own, which its own prompts hear."""

SAID: Final = re.compile(
    r"(?<![\w'`/.-])(?P<key>[a-zA-Z/?]|esc|enter|tab|space)(?::)? (?P<verb>[a-z]+s)\b"
    r"|\((?P<bare>[a-z/?])\)|\bpress (?P<pressed>[a-z])\b"
)
"""`a approves`, `enter: opens`, `the report (o)`, `press i`."""

VERBS: Final = {
    ("/", "changes"): "filter", ("/", "finds"): "filter", ("a", "approves"): "approve", ("a", "gives"): "account_grant",
    ("a", "signs"): "approve", ("b", "builds"): "build",
    ("c", "compares"): "replica_sync", ("c", "looks"): "check_chain", ("d", "dismisses"): "dismiss",
    ("e", "enables"): "account_enable",
    ("e", "releases"): "release", ("e", "unlocks"): "account_enable", ("e", "writes"): "delta_receipt",
    ("enter", "does"): "step", ("enter", "opens"): "open", ("enter", "shows"): "open", ("enter", "saves"): "step",
    ("esc", "ends"): "back", ("f", "sets"): "floor", ("h", "enters"): "hand_over",
    ("i", "imports"): "bring_in import_next", ("l", "looks"): "transfer_look",
    ("n", "signs"): "sign", ("o", "begins"): "cosign", ("o", "shows"): "report", ("p", "pins"): "pin",
    ("p", "plans"): "plan", ("p", "sets"): "account_password", ("p", "works"): "plan", ("r", "looks"): "refresh",
    ("r", "asks"): "refresh", ("R", "says"): "recall", ("n", "lists"): "site_add",
    ("s", "saves"): "save", ("space", "picks"): "pick", ("tab", "leads"): "next_pane", ("v", "begins"): "check",
    ("v", "chooses"): "check", ("v", "verifies"): "check", ("x", "rejects"): "reject", ("y", "copies"): "copy",
    ("(o)", ""): "report", ("(p)", ""): "plan", ("(x)", ""): "revoke", ("press i", ""): "bring_in import_next",
}  # fmt: skip
"""What a key is said to do, as the action that does it."""

NO_KEYS: Final = {
    ("c", "stops"): "c stops what this screen itself does: cancel on a job, stop on Verify",
    ("enter", "keeps"): "in the filter's field", ("esc", "clears"): "in the filter's field",
    ("y", "yes"): "in the dialog that asks",
}  # fmt: skip
"""What is no action of the registry, and why."""

ELSEWHERE: Final = {
    "tui/wording/checklists.py": ("intake", "intake_entry"), "tui/wording/approvals.py": ("approvals", "approval"),
    "tui/wording/report.py": ("report",), "tui/widgets/fold_rows.py": ("report",),
    "tui/wording/job_results.py": ("job",), "tui/wording/streams.py": ("ledger",),
    "tui/wording/audit.py": ("audit",), "tui/wording/bundles.py": ("bundles",),
    "tui/wording/artifact_tree.py": ("artifact",),
    "tui/wording/verification.py": ("verify",), "tui/wording/next_action.py": ("home",),
    "tui/guides/bring_in.py": ("guide",), "tui/guides/carry_out.py": ("guide",), "tui/guides/recover.py": ("job",),
    "tui/actions/account_actions.py": ("accounts",), "tui/actions/registry.py": ("accounts",),
    "tui/screens/intake/deciding.py": ("intake", "intake_entry", "approval", "approvals", "report"),
    "tui/screens/people/waiting_changes.py": ("accounts",), "tui/screens/outgoing/bundle_fields.py": ("new_bundle",),
    "tui/widgets/plan_rows.py": ("new_bundle",), "tui/screens/trust/acts.py": ("trust", "key"),
}  # fmt: skip
"""The screens on which texts of modules stand that are no screen's own."""

ON_ITS_WAY: Final = {
    ("tui/guides/bring_in.py", "enter opens"), ("tui/guides/bring_in.py", "e releases"),
    ("tui/guides/carry_out.py", "space picks"), ("tui/guides/carry_out.py", "b builds"),
    ("tui/guides/carry_out.py", "(p)"), ("tui/screens/outgoing/bundle_fields.py", "space picks"),
    ("tui/screens/outgoing/bundle_fields.py", "enter opens"), ("tui/guides/bring_in.py", "enter saves"),
}  # fmt: skip
"""Keys that a text names of the screen that it leads to."""


def screen_of(module: str) -> tuple[str, ...]:
    """The screens on which the texts of a module stand; empty for all of them."""
    if module in ELSEWHERE:
        return ELSEWHERE[module]
    for name, place in _CLASSES.items():
        if module == f"tui/screens/{place.partition(':')[0].replace('.', '/')}.py":
            return (name,)
    return ()


@functools.cache
def texts() -> tuple[tuple[str, str], ...]:
    """Each text of the console, but for docstrings, with its module."""
    return tuple(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted(TUI.rglob("*.py")):
        if "demo" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield f"tui/{path.relative_to(TUI)}", node.value


@functools.cache
def named() -> dict[tuple[str, str], tuple[str, str]]:
    """What texts say of keys: (module, words) to (key, verb)."""
    found = {}
    for module, text in texts():
        for match in SAID.finditer(text):
            key, verb = match["key"] or "", match["verb"] or ""
            if match["bare"]:
                key = f"({match['bare']})"
            elif match["pressed"]:
                key = f"press {match['pressed']}"
            found[module, f"{key} {verb}".strip()] = (key, verb)
    return found


@functools.cache
def answered_in_lines() -> frozenset[str]:
    """The words that prompts of the plain console hear: what is typed is compared with them, or looked up."""
    heard: set[str] = {"enter"}
    for path in sorted((TUI / "plain").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            compared: list[ast.expr] = []
            match node:
                case ast.MatchValue(value=value):
                    compared = [value]
                case ast.Compare(comparators=comparators):
                    compared = comparators
                case ast.Dict(keys=keys):
                    compared = [key for key in keys if key is not None]
                case ast.Tuple(elts=elements):
                    compared = elements
            heard |= {one.value for one in compared if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return frozenset(heard)


@pytest.mark.parametrize(("module", "words"), sorted(named()))
def test_a_key_does_what_a_text_says_on_the_screen_that_shows_it(module: str, words: str) -> None:
    said = named()[module, words]
    if module.startswith(PLAIN):
        assert said[0].strip("()") in answered_in_lines(), f"{module} says `{words}`, and nothing there hears it"
        return
    if said in NO_KEYS:
        return
    assert said in VERBS, f"{module} says `{words}`: say in this module which action that is"
    actions = [BY_NAME[name] for name in VERBS[said].split(" ")]
    pressed = said[0].strip("()").removeprefix("press ")
    printed = {"/": "slash", "?": "question_mark", "esc": "escape"}.get(pressed, pressed)
    assert all(printed in action.keys for action in actions)
    if (module, words) not in ON_ITS_WAY:
        missing = [screen for screen in screen_of(module) if not any(action.on(screen) for action in actions)]
        assert not missing, f"{module} says `{words}` on {missing}, where it does nothing"


def test_every_screen_that_a_text_names_by_its_key_exists() -> None:
    numbers = {action.keys[0]: action.label for action in BY_NAME.values() if action.keys and action.keys[0].isdigit()}
    for module, text in texts():
        for number, verb in re.findall(r"(?<![\w.-])([1-9]) (shows|comes|lists|leads)\b", text):
            assert number in numbers, (module, verb)
    assert set(BY_SCREEN) <= set(TITLES)
