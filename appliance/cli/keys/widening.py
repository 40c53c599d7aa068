"""Pinning a key that is pinned already: said, and asked for where it would count for more than before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bundles.io.display import safe

widen_option = click.option(
    "--widen", is_flag=True, help="A key that is pinned already may count for more than it does (else asked for)."
)


def confirm_widening(
    trust: Path,
    keyid: str,
    *,
    widen: bool,
    purpose: str,
    owner: str,
    sites: Sequence[str] = (),
    not_before: str | None = None,
    not_after: str | None = None,
) -> None:
    """Go on where the key is not pinned yet, gains nothing by it, or is to gain it. Raises UsageError."""
    from bundles.errors import UsageError
    from bundles.signing.trust import TrustFolder
    from bundles.signing.widening import widening

    found = widening(
        TrustFolder.load(trust), keyid,
        purpose=purpose, owner=owner, sites=sites, not_before=not_before, not_after=not_after,
    )  # fmt: skip
    if found is None:
        return
    added = ", ".join(found.added)
    if added and not widen and not sys.stdin.isatty():
        raise UsageError(
            f"the key is pinned already, for {found.pinned}, and would count for more",
            thing=f"{keyid}: {added}",
            remedy="give --widen where that is meant, or pin a key for each purpose",
        )
    more = f"this adds {added}" if added else "it counts for no more by this"
    told = safe(f"key {keyid} of {owner} is pinned already, for {found.pinned}; {more}")
    if not added or widen:
        click.echo(told, err=True)
    elif str(click.prompt(f"{told}. Type the purpose to add that ({purpose})", err=True)).strip() != purpose:
        raise UsageError("nothing was pinned", thing=keyid, remedy="type the purpose where it is to be added")
