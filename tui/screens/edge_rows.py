"""What the edge rows say: worked out from the application's state and the registry of actions, as plain spans."""

from __future__ import annotations

from dataclasses import replace

from rich.cells import cell_len

from appliance.api.jobs import Job
from appliance.api.status import Status
from bundles.io.display import safe
from tui.actions.further_screens import MORE
from tui.actions.keymap import Keymap
from tui.actions.registry import ACTIONS, BY_NAME, SCREENS, TITLES, Action, Context
from tui.guides.new_bundle import Draft
from tui.guides.steps import TITLES as GUIDES
from tui.guides.steps import GuideFacts, next_index, steps_of
from tui.terminal.look import Look
from tui.terminal.texts import fit, percent
from tui.widgets.rows import Span

HINTS = 7
"""Key hints in the footer."""

HELP_HINT = 7
_ALWAYS = ("palette", "help")
_SHORT = {"repositories": "Repo", "new_bundle": "Bundle", "guides": "Guide"}
_FAMILY = {
    "artifact": "repositories",
    "intake_entry": "intake",
    "job": "jobs",
    "guide": "guides",
    **{further.name: further.under for further in MORE},
}


def head(
    look: Look, status: Status | None, screen: str, job: Job | None, lost: bool, account: str, width: int
) -> list[Span]:
    """Row 1 up to the clock: site, side, screen; then the running job, the quarantine count, and who is logged in.

    Where that is too long, the screen's name is the short one, a long name of an account is cut, and last of all what
    is said of the job."""
    if status is None:
        return [(f" Lockgate {look.upright} {TITLES[screen]} {look.upright} looking for the station", "plain")]
    running = "no job"
    if job is not None and job.state == "to-sign":
        running = f"[>>] {safe(job.kind)} waits to be signed"
    elif job is not None:
        running = f"[..] {safe(job.kind)} {percent(job.done, job.total)}".rstrip()
    if lost:
        running = "[!!] station lost"
    bar = f" {look.upright} "
    name = safe(account)
    parts = [f"{safe(status.site)} {safe(status.side)}", TITLES[screen], running, f"quarantine {status.quarantine}"]
    over = _length(look, [*parts, name]) - width
    if over > 0:
        parts[1] = _SHORT.get(screen, parts[1])
        over = _length(look, [*parts, name]) - width
    if over > 0:
        name = fit(name, max(len(name) - over, 10), look.ellipsis).rstrip()
        over = _length(look, [*parts, name]) - width
    if over > 0:
        parts[2] = fit(running, max(len(running) - over, 4), look.ellipsis)
    return [(f" {bar.join([*parts, *([name] if name else [])])}{bar}", "plain")]


def _length(look: Look, parts: list[str]) -> int:
    """Cells of the first row's text."""
    return 1 + sum(cell_len(part) + 3 for part in parts if part)


def tabs(look: Look, screen: str, width: int) -> list[Span]:
    """Row 2: the screens and their keys; brackets stand around the current one, for terminals without bold."""
    current = _FAMILY.get(screen, screen)
    roomy = width >= 100
    spans: list[Span] = []
    for number, name in enumerate(SCREENS, 1):
        title = TITLES[name] if roomy else _SHORT.get(name, TITLES[name])
        if name == current:
            spans.append((f"[{number} {title}]", "title"))
        else:
            spans.append((f" {number} {title} ", "plain"))
    return spans


def tab_at(look: Look, screen: str, width: int, x: int) -> str:
    """The screen whose name stands at a cell of row 2; empty where there is none."""
    end = 0
    for name, (text, _) in zip(SCREENS, tabs(look, screen, width), strict=True):
        end += cell_len(text)
        if x < end:
            return name
    return ""


def ribbon(look: Look, keymap: Keymap, guide: str, facts: GuideFacts | None, draft: Draft) -> list[Span]:
    """While a guide is followed, its next step stands above every other screen."""
    if not guide or facts is None:
        return []
    steps = steps_of(guide, replace(facts, draft=draft))
    place = next_index(steps)
    back = keymap.shown(BY_NAME["guides"])
    text = f" {look.mark(steps[place].role)} {GUIDES[guide]}, step {place + 1} of {len(steps)}: {steps[place].name}"
    return [(f"{text}   {back}: back to the guide", "plain")]


def hints(keymap: Keymap, context: Context) -> list[Action]:
    """The footer's actions: those that can be done here and now, at most seven, the screen's own first, and always the
    two that lead to all others."""
    found = [
        action
        for action in ACTIONS
        if action.hint and action.on(context.screen) and keymap.keys(action) and not action.allowed(context)
    ]
    found.sort(key=lambda action: action.hint)
    always = [action for action in found if action.name in _ALWAYS]
    others = [action for action in found if action.name not in _ALWAYS]
    kept = others[: HINTS - len(always)]
    return [*(action for action in kept if action.hint < HELP_HINT), *always, *kept[_before(kept) :]]


def _before(actions: list[Action]) -> int:
    return sum(action.hint < HELP_HINT for action in actions)


def footer(look: Look, keymap: Keymap, context: Context, width: int) -> list[Span]:
    """The last row: key and label of each hint; those that do not fit are left out, never cut."""
    spans: list[Span] = [(" ", "plain")]
    used = 1
    for action in hints(keymap, context):
        key, label = keymap.shown(action), f" {action.label}"
        if used + len(key) + len(label) > width:
            break
        used += len(key) + len(label) + 3
        spans += [(key, "key"), (f"{label}   ", "plain")]
    return [*spans[:-1], (spans[-1][0].rstrip(), "plain")] if len(spans) > 1 else spans
