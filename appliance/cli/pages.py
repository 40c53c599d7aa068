"""Lists of any length, asked for page by page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from appliance.cli.context import call

Command = TypeVar("Command", bound=Callable[..., Any])
_PAGE: Final = 1000
"""The largest page that the control API gives (appliance.limits.CONTROL_PAGE)."""


def limit_option(usual: int | None = None) -> Callable[[Command], Command]:
    """`--limit N` as `limit: int | None`, 1 at least; None is all."""
    text = "At most so many." if usual is not None else "At most so many; all without it."
    return click.option(
        "--limit", type=click.IntRange(min=1), default=usual, show_default=usual is not None, metavar="N", help=text
    )


def whole_list(root: Path | None, path: str, limit: int | None = None, **query: str) -> dict[str, Any]:
    """A list's items, as many as `limit` says, and `next`: where to go on, None at the end.

    Where more follow, stderr says so. Raises as `appliance.cli.context.call`.
    """

    async def ask(client: Any) -> dict[str, Any]:
        items: list[Any] = []
        after = query.pop("after", "")
        while True:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(items))
            page = await client.get(path, limit=wanted, after=after, **query)
            items += page["items"]
            after = page["next"]
            if not after or (limit is not None and len(items) >= limit):
                document: dict[str, Any] = page | {"items": items, "next": after or None}
                return document

    document = call(root, ask)
    if document["next"]:
        click.echo(f"{len(document['items'])} shown; more follow: give a larger --limit, or none", err=True)
    return document
