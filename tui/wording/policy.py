"""What the policy for images says of an artifact, in lines: what stands in its way first, then what is met."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.api.policy import PolicyException, PolicyLine, PolicySaid
from bundles.io.display import safe
from tui.terminal.texts import moment
from tui.widgets.rows import Span


def verdict(said: PolicySaid) -> Span:
    """What it comes to."""
    if not said.policy:
        return "[--] no policy is in force", "plain"
    if "pull" in said.refused_at:
        return "[!!] refused: only who may push there pulls it", "bad"
    if said.refused_at:
        return f"[!!] pulled, and refused at: {', '.join(map(safe, said.refused_at))}", "need"
    if said.warned_at:
        return "[!!] let through, with a warning", "need"
    if not said.lines:
        return "[--] nothing is asked of it", "plain"
    return "[ok] everything that is asked is met", "ok"


def lines(said: PolicySaid) -> list[list[Span]]:
    """Each rule and gate about it with what would satisfy it, and the exceptions of its repository."""
    order = sorted(said.lines, key=lambda one: (one.met, one.mode != "enforce"))
    rows = [row for one in order for row in _line(one)]
    return rows + [row for one in said.exceptions for row in _exception(one)]


def _line(one: PolicyLine) -> Iterator[list[Span]]:
    role = "ok" if one.met else "bad" if one.mode == "enforce" else "need"
    asked = f", {safe(one.asked)}" if one.asked else ""
    mode = "" if one.mode == "enforce" else f" ({safe(one.mode)})"
    state = "is met" if one.met else f"is not met: {safe(one.why)}"
    yield [(f"{'[ok]' if one.met else '[!!]'} {safe(one.kind)} {one.number}{asked}{mode} {state}", role)]
    platform = f"{safe(one.platform)} " if one.platform else ""
    yield [(f"     of {platform}{safe(one.image)}", "plain")]
    if one.met and one.why:
        yield [(f"     {safe(one.why)}", "plain")]
    if one.asks:
        yield [(f"     {'asks for' if one.met or one.kind == 'rule' else 'to open it'}: {safe(one.asks)}", "plain")]
    if one.exceptions:
        yield [(f"     let through by exception {', '.join(map(safe, one.exceptions))}", "plain")]
    if one.grace:
        yield [(f"     let through until {moment(one.grace)}", "plain")]
    yield [(f"     held at: {', '.join(map(safe, one.at))}", "plain")]


def _exception(one: PolicyException) -> Iterator[list[Span]]:
    about = safe(one.advisory) or f"rule {safe(one.rule)}"
    state = "ended" if one.expired else "counts until"
    yield [(f"[--] exception {safe(one.id)} for {about} {state} {moment(one.until)}", "plain")]
    yield [(f"     {safe(one.owner)}: {safe(one.reason)}", "plain")]
    if one.digest:
        yield [(f"     of {safe(one.digest)} alone", "plain")]
