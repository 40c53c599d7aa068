"""What a collection or a scrub found, in words: what is damaged stands first, and a number never stands for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bundles.io.display import safe
from tui.terminal.texts import count, size
from tui.widgets.panel import fact
from tui.widgets.rows import Span

Lines = list[list[Span]]
_LISTED: Final = 20
"""Things of a kind that are named; the command line's --json has all."""
_WIDTH: Final = 11


def collection_lines(result: Mapping[str, Any]) -> Lines:
    """The facts of a `gc` job's result (appliance.lifecycle.gc.run). One of an earlier version has fewer."""
    verb = "would take" if result.get("dry_run") else "took"
    lines = [_fact(verb, _held(result))]
    if untagged := result.get("untagged"):
        lines.append(_fact("", f"{count(untagged['manifests'], 'manifest')} without a tag"))
    doubtful = result.get("doubtful") or {}
    if doubtful.get("rows"):
        stay = f"{count(doubtful['blobs'], 'blob')}, since damaged rows may stand for them; nothing is removed for good"
        lines += [_fact("left", stay, "bad"), *_listed("damaged", doubtful["rows"])]
    if kept := result.get("kept"):
        lines.append(_fact("kept", f"{count(kept, 'blob')} that the audit log alone keeps", "need"))
    waiting = result.get("waiting") or {}
    if waiting.get("blobs"):
        young = count(waiting["blobs"], "blob")
        lines.append(_fact("waits", f"{young} that no manifest names, until {safe(str(waiting['until']))}"))
    if graveyard := result.get("graveyard"):
        lines.append(_fact("graveyard", _held(graveyard)))
    return lines


def scrub_lines(result: Mapping[str, Any]) -> Lines:
    """The facts of a `scrub` job's result (appliance.lifecycle.scrub.run). One of an earlier version has fewer."""
    metadata = result.get("metadata") or {}
    damaged = [f"{one['digest']} {one['why']}" for one in result.get("damaged") or ()]
    unread = [f"{one['digest']} ({one['why']})" for one in result.get("unread") or ()]
    described = [f"{one['digest']}: {', '.join(one['fields'])}" for one in result.get("described") or ()]
    state, role = _METADATA.get(metadata.get("state", ""), ("was not checked: give it more time", "need"))
    end = "the pass is complete" if result.get("complete") else "stopped at its time; the next one goes on here"
    return [
        *_listed("damaged", damaged),
        _fact("metadata", state, role),
        *_listed("", metadata.get("found") or ()),
        *_listed("unread", unread, "need"),
        *_listed("corrected", described, "need"),
        _fact("read", f"{_held(result)}: {end}"),
        *([_fact("healed", count(result["healed"], "blob"), "ok")] if result.get("healed") else []),
    ]


def _held(result: Mapping[str, Any]) -> str:
    return f"{count(result.get('blobs', 0), 'blob')}, {size(result.get('bytes', 0))}"


def has_damage(result: Mapping[str, Any]) -> bool:
    """Whether a scrub found damage: of content, of the metadata, or what it could not read."""
    return bool(result.get("damaged") or result.get("unread") or result.get("metadata", {}).get("found"))


_METADATA: Final[Mapping[str, tuple[str, str]]] = {
    "ok": ("is whole", "ok"), "damaged": ("is damaged", "bad"),
}  # fmt: skip


def _listed(name: str, texts: Iterable[Any], role: str = "bad") -> Lines:
    shown = [safe(str(text)) for text in texts]
    lines = [_fact(name if at == 0 else "", text, role) for at, text in enumerate(shown[:_LISTED])]
    rest = len(shown) - _LISTED
    return [*lines, _fact("", f"and {rest} more: lockgate scrub --json lists them", role)] if rest > 0 else lines


def _fact(name: str, text: str, role: str = "plain") -> list[Span]:
    return fact(name, text, role, name_width=_WIDTH)
