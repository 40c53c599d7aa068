"""What stands on a key, or on content that turned out bad: bundles, the tags they became, and who pulled them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from appliance.api.recall import Recall, RecalledTag
from bundles.errors import NotFoundError
from tui.station.port import Station
from tui.terminal.texts import count, moment, words


class Recalled(Recall, frozen=True, kw_only=True):
    """A recall; `unknown` says why nothing is known."""

    unknown: str = ""


def asked(thing: str) -> Callable[[Station], Awaitable[Recalled]]:
    """The question to a station; nothing stands on what it knows nothing of."""

    async def ask(station: Station) -> Recalled:
        try:
            return await station.fetch(Recalled, "/v1/recall", thing=thing)
        except NotFoundError:
            return Recalled(thing=thing)

    return ask


def recalled_line(found: Recalled) -> str:
    """What stands on it, in a line."""
    if found.unknown:
        return f"What stands on it is not known: {words([found.unknown])}."
    if not found.bundles:
        return "No bundle here stands on it."
    shown = sum(tag.shown == "yes" for tag in found.tags)
    named = words(bundle.id for bundle in found.bundles[:3])
    more = f" and {len(found.bundles) - 3} more" if len(found.bundles) > 3 else ""
    return (
        f"{count(len(found.bundles), 'bundle')} on it: {named}{more}; {count(shown, 'tag')} shown now, "
        f"pulled by {count(len({pull.actor for pull in found.pulls}), 'client')}."
    )


def recall_text(found: Recalled) -> str:
    """Everything that stands on it, a line each: untrusted text, for a widget that makes it fit."""
    if found.unknown:
        return f"not known: {found.unknown}"
    if not (found.bundles or found.tags or found.pulls):
        return "no bundle here stands on it: there is nothing to recall"
    lines = [f"bundle  {one.id}  {one.state}: {one.how}" for one in found.bundles]
    lines += [f"tag     {one.reference}  {_where(one)}" for one in found.tags]
    lines += [
        f"pulled  {one.thing} by {one.actor}, {count(one.count, 'time')}, last {moment(one.last)}"
        for one in found.pulls
    ]
    return "\n".join(lines)


def _where(tag: RecalledTag) -> str:
    said = {"yes": "shown now", "no": "not shown", "blocked": "blocked: shown to nobody"}
    return said.get(tag.shown, f"stands elsewhere now: {tag.shown}")
