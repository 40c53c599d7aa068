"""YAML that nobody here wrote, as plain trees: mappings, lists and texts.

Read by events, so that nothing in it makes an object, deep nesting takes no stack, and an anchor stays one object
however often it is named (YAML 1.1, 3.2.2.2: a document of a kilobyte can stand for gigabytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from bundles.errors import MalformedError

NODES: Final = 200_000
"""Mappings, lists and texts of one text."""

DEPTH: Final = 64
_WAY: Final = 2 * DEPTH
"""Keys on the way to a mapping: names of anchors may lead much deeper than a text is nested."""
_DIRECTIVES: Final = 64
"""`%TAG` in a text: the parser holds each against all before it."""
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(raw: bytes, what: str) -> Iterator[Any]:
    """The documents of a text, each a dict, a list, a str or None. `what` names it.

    Raises MalformedError: no YAML in UTF-8, too deep, too many nodes.
    """
    _check_text(raw, what)
    stack: list[Any] = []
    keys: list[Any] = []
    anchors: dict[str, Any] = {}
    count = 0
    document: Any = None

    def put(value: Any) -> None:
        nonlocal document
        if not stack:
            document = value
        elif isinstance(stack[-1], list):
            stack[-1].append(value)
        elif keys[-1] is _NO_KEY:
            keys[-1] = value if isinstance(value, str) else ""
        else:
            stack[-1][keys[-1]] = value
            keys[-1] = _NO_KEY

    try:
        for event in yaml.parse(raw, Loader=_Loader):
            count += 1
            if count > 3 * NODES:
                raise MalformedError(f"{what} has too many values", thing=what, remedy=f"the ceiling is {NODES}")
            if isinstance(event, yaml.DocumentStartEvent):
                document, anchors = None, {}
            elif isinstance(event, yaml.DocumentEndEvent):
                yield document
            elif isinstance(event, yaml.AliasEvent):
                put(anchors.get(str(event.anchor)))
            elif isinstance(event, yaml.ScalarEvent):
                is_null = event.implicit[0] and event.value in ("", "~", "null", "Null", "NULL")
                value = None if is_null else event.value
                if event.anchor:
                    anchors[event.anchor] = value
                put(value)
            elif isinstance(event, yaml.CollectionStartEvent):
                made: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                if event.anchor:
                    anchors[event.anchor] = made
                put(made)
                if len(stack) >= DEPTH:
                    raise MalformedError(f"{what} is nested too deep", thing=what, remedy=f"the ceiling is {DEPTH}")
                stack.append(made)
                keys.append(_NO_KEY)
            elif isinstance(event, yaml.CollectionEndEvent):
                stack.pop()
                keys.pop()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        place = str(getattr(error, "problem", "") or error).splitlines()
        raise MalformedError(f"{what} is no YAML ({place[0] if place else 'it ends too early'})"[:200]) from None


_NO_KEY: Final = object()
"""In the place of a mapping's key that has not come yet."""


def _check_text(raw: bytes, what: str) -> None:
    try:
        raw.decode()
    except UnicodeDecodeError:
        raise MalformedError(f"{what} is no YAML in UTF-8", thing=what) from None
    if raw.count(b"%TAG") > _DIRECTIVES:
        raise MalformedError(f"{what} has too many directives", thing=what, remedy=f"the ceiling is {_DIRECTIVES}")


def below(tree: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every mapping of a tree once, with the way to it: keys, and the numbers of a list's entries. Raises
    MalformedError where that is too long."""
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    while waiting:
        way, node = waiting.pop()
        if not isinstance(node, dict | list) or id(node) in seen:
            continue
        seen.add(id(node))
        if len(way) > _WAY:
            raise MalformedError("YAML that leads too deep by its anchors", remedy=f"the ceiling is {_WAY}")
        if isinstance(node, dict):
            yield way, node
            waiting += [((*way, key), value) for key, value in reversed(node.items())]
        else:
            waiting += [((*way, str(number)), value) for number, value in reversed(list(enumerate(node)))]
