"""The rules of Textual's style sheets, parsed once for all consoles of a test process.

Each application parses the same sheets: an eighth of the time that a console takes to start. Rules are only read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from textual.css import stylesheet

_parsed: dict[tuple[Any, ...], list[Any]] = {}


def keep_parsed_styles(patch: pytest.MonkeyPatch) -> None:
    """Parse a sheet with the same variables once."""
    parse = stylesheet.parse
    last: list[Any] = [None, ()]  # an application's sheets have one object of variables, one after another

    def parse_once(
        scope: str, css: str, read_from: Any, *, variable_tokens: dict[str, list[Any]] | None, **how: Any
    ) -> Iterable[Any]:
        if last[0] is None or last[0] is not variable_tokens:
            last[:] = variable_tokens, _values(variable_tokens or {})
        key = (scope, css, read_from, last[1], *sorted(how.items()))
        if key not in _parsed:
            _parsed[key] = list(parse(scope, css, read_from, variable_tokens=variable_tokens, **how))
        return _parsed[key]

    patch.setattr(stylesheet, "parse", parse_once)


def _values(variables: dict[str, list[Any]]) -> tuple[Any, ...]:
    """What tells variables from others."""
    return tuple((name, tuple(token.value for token in tokens)) for name, tokens in sorted(variables.items()))
