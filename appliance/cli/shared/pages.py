"""Lists of any length, asked for page by page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from appliance.cli.shared.context import call
from bundles.io.display import safe

Command = TypeVar("Command", bound=Callable[..., Any])
PAGE: Final = 1000
"""The largest page that the control API gives (appliance.limits.control, CONTROL_PAGE)."""


def limit_option(usual: int | None = None) -> Callable[[Command], Command]:
    """`--limit N` as `limit: int | None`, 1 at least; None is all."""
    text = "At most so many." if usual is not None else "At most so many; all without it."
    return click.option(
        "--limit", type=click.IntRange(min=1), default=usual, show_default=usual is not None, metavar="N", help=text
    )


def whole_list(root: Path | None, path: str, limit: int | None = None, **query: str) -> dict[str, Any]:
    """A list's items, as many as `limit` says, and `next`: where to go on, None at the end.

    Where more follow, stderr says so. Raises as `appliance.cli.shared.context.call`.
    """

    items: list[Any] = []
    document = _ask(root, path, limit, query, items.extend)
    return document | {"items": items}


def show_list(
    root: Path | None, path: str, row: Callable[[Any], Sequence[object]], head: Sequence[str], *,
    limit: int | None, as_json: bool, none: str = "", **query: str,
) -> None:  # fmt: skip
    """Print a list: as one JSON document, or as a table that grows while pages come. `row` makes the cells of an item.

    Where more follow than `limit`, stderr says so; where nothing is listed it says `none`. Raises as
    `appliance.cli.shared.context.call`.
    """
    if as_json:
        click.echo(json.dumps(whole_list(root, path, limit, **query), indent=2, sort_keys=True))
        return
    widths = [len(name) for name in head]
    waiting = [head]
    rows = 0

    def take(items: Sequence[Any]) -> None:
        nonlocal rows
        rows += len(items)
        cells = [[safe(str(cell)) for cell in line] for line in [*waiting, *map(row, items)]]
        waiting.clear()
        for line in cells:
            widths[:] = map(max, widths, map(len, line))
        for line in cells:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    _ask(root, path, limit, query, take)
    if none and not rows:
        click.echo(safe(none), err=True)


def _ask(
    root: Path | None, path: str, limit: int | None, query: dict[str, str], take: Callable[[list[Any]], object]
) -> dict[str, Any]:
    """Ask for page after page, and hand the items of each to `take`. Returns the last page, with `next`."""

    async def ask(client: Any) -> tuple[dict[str, Any], int]:
        count, after = 0, query.pop("after", "")
        while True:
            wanted = PAGE if limit is None else min(PAGE, limit - count)
            page: dict[str, Any] = await client.get(path, limit=wanted, after=after, **query)
            take(page["items"])
            count += len(page["items"])
            after = page["next"]
            if not after or (limit is not None and count >= limit):
                return page | {"next": after or None}, count

    document, count = call(root, ask)
    if document["next"]:
        click.echo(f"{count} shown; more follow: give a larger --limit, or none", err=True)
    return document
