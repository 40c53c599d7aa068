"""Cached findings of layers are keyed by the number of the looking (`layer_cache.LOOK`): it goes up with its code."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import appliance
from appliance.intake.inspectors import layer_cache

ROOT = Path(appliance.__file__).parent
LOOKING = sorted((ROOT / "archives").rglob("*.py"))
HELD = (10, "623040661299475ea2442cd2e8775633f2558d61351de82dd5ba8ac5096038d6")
"""The number, and the digest of the code that it stands for."""


def code_of(source: str) -> str:
    """A file's syntax tree, without docstrings and comments: other words change nothing that is found."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [one for one in node.body if not _is_text(one)]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def test_the_number_of_the_looking_goes_up_with_its_code() -> None:
    code = "".join(f"{path.relative_to(ROOT)} {code_of(path.read_text())}\n" for path in LOOKING)
    now = hashlib.sha256(code.encode()).hexdigest()
    assert (layer_cache.LOOK, now) == HELD, (
        "the code that looks through layers changed: a finding that an older program cached must not count where this"
        " one may find something else. Count `layer_cache.LOOK` up, unless what is found is provably the same, and"
        f" write HELD = ({layer_cache.LOOK + 1}, {now!r})"
    )


def test_other_words_are_not_other_code() -> None:
    one = '"""One."""\n\ndef f(x):\n    """Two."""\n    return x + 1  # three\n'
    assert code_of(one) == code_of("def f(x):\n    return (x\n        + 1)\n") != code_of(one.replace("x + 1", "x + 2"))
