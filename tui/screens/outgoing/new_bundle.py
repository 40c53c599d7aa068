"""New bundle: a form, a plan with bytes and a bar per volume before anything is written, then the build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.bundles import Plan
from appliance.api.jobs import Job
from bundles.io.display import safe
from tui.decisions.building import carries
from tui.guides.new_bundle import FULL, LAST, Draft
from tui.screens.outgoing.bundle_fields import BundleFields
from tui.station.link import SLOW
from tui.terminal.look import Look
from tui.terminal.texts import count, fit, words
from tui.widgets.panel import Panel
from tui.widgets.plan_rows import PlanRows
from tui.widgets.rows import RowList, Span

FIELDS = (
    ("references", "Artifacts"),
    ("to", "Destination"),
    ("since", "Based on"),
    ("media", "Medium"),
    ("volume", "Largest volume"),
    ("key", "Signing key"),
    ("cosigners", "Co-signers"),
    ("purpose", "Purpose"),
    ("authorisation", "Authorisation"),
    ("classification", "Classification"),
)
"""The form's rows: what is needed first, paperwork last."""

NEEDED = ("references", "to", "media", "key")


def value_of(draft: Draft, field: str) -> str:
    """A field's value in words; empty when nothing is chosen."""
    match field:
        case "references":
            return _chosen(draft)
        case "media":
            return ", then ".join(safe(path) for path in draft.media)
        case "since":
            words_of = {FULL: "nothing: a full bundle", LAST: "what is known to be there: a delta"}
            return words_of.get(draft.since) or safe(draft.since)
        case "key":
            return f"{safe(draft.key)}  {draft.keyid}" if draft.key else ""
        case "cosigners":
            return words(draft.cosigners) if draft.cosigners else "nobody else"
        case _:
            return safe(str(getattr(draft, field)))


def _chosen(draft: Draft) -> str:
    """What is to be carried, in words."""
    names = draft.references
    if not names:
        return "everything that has changed since it was sent" if draft.changed else ""
    said = f"{len(names)} picked"
    if draft.is_open and not draft.changed:
        said = count(len(names), "name or pattern", "names and patterns")
    return f"{'changed of ' if draft.changed else ''}{said}: {words(names)}"


class FormRows(RowList):
    """The form: a mark, a name, a value; enter changes it."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, "New bundle", ident="form")
        self.draft = Draft()

    @property
    def row_count(self) -> int:
        return len(FIELDS)

    def row(self, index: int, width: int) -> Sequence[Span]:
        field, name = FIELDS[index]
        value = value_of(self.draft, field)
        role = "ok" if value else "need" if field in NEEDED else "wait"
        shown = value or ("choose" if field in NEEDED else "not given")
        return [
            (f"{self.look.mark(role)} ", role),
            (f"{name:<15} ", "plain"),
            (fit(shown, max(width - 21, 4), self.look.ellipsis).rstrip(), "title" if value else "plain"),
        ]

    @property
    def field(self) -> str:
        return FIELDS[self.cursor][0]


class NewBundleScreen(BundleFields):
    name_of: ClassVar[str] = "new_bundle"

    def body(self) -> ComposeResult:
        yield FormRows(self.look)
        yield Panel(self.look, ident="next")
        yield PlanRows(self.look)

    @property
    def form(self) -> FormRows:
        return self.query_one("#form", FormRows)

    def __init__(self) -> None:
        super().__init__()
        self._planned_at = self._planned_for = ""

    def load(self) -> None:
        self.draft_changed()

    def draft_changed(self) -> None:
        if self.ready and len(self.query("#form, #next, PlanRows")) < 3:
            return  # not all there: the application closes, from the inside out
        draft = self.console_app.draft
        self.form.draft = draft
        self.form.refresh()
        self.query_one("#next", Panel).show([[(f"[>>] Next: {_next_step(draft)}", "need")]])
        rows = self.query_one(PlanRows)
        if draft.plan is not rows.plan:
            rows.show(draft.plan)
        rows.title = self._plan_title()
        rows.refresh()
        self.frame_changed()

    def _plan_title(self) -> str:
        """When the plan was made, and whether anything on the station was changed since."""
        if self.console_app.draft.plan is None or not self._planned_at:
            return "Plan"
        changed = "; the station has changed since" if self._revision() != self._planned_for else ""
        return f"Plan made {self._planned_at}{changed}"

    def _revision(self) -> str:
        status = self.console_app.status
        return status.revision if status is not None else ""

    def item(self) -> object | None:
        return self.form.field

    def do_change(self) -> None:
        if self.focused is self.form:
            self.change(self.form.field)

    def do_plan(self) -> None:
        self.say("busy", "planning; nothing is written")
        draft = self.console_app.draft
        self.ask(
            lambda station: station.plan(draft.plan_params()),
            lambda plan: self._planned(draft, plan),
            group="plan",
            patience=SLOW,
        )

    def _planned(self, draft: Draft, plan: Plan) -> None:
        if self.console_app.draft != draft:
            return
        self._take(draft, plan)
        if plan.nothing:
            self.say("note", safe(plan.nothing))
            return
        word = "b builds it" if draft.keyid else "choose the key that signs, then b builds it"
        self.say("ok", f"planned, nothing is written yet; {word}")

    def _take(self, draft: Draft, plan: Plan) -> None:
        self._planned_at, self._planned_for = self.console_app.now()[11:19], self._revision()
        self.console_app.set_draft(draft.change(plan=plan))
        self.draft_changed()

    def do_build(self) -> None:
        """Begin it. The plan is made again first: what is built is what was shown."""
        draft = self.console_app.draft
        self.say("busy", "looking whether the plan still holds")
        self.ask(
            lambda station: station.plan(draft.plan_params()),
            lambda plan: self._looked_again(draft, plan),
            group="act",
            patience=SLOW,
        )

    def _looked_again(self, draft: Draft, plan: Plan) -> None:
        if self.console_app.draft != draft or draft.plan is None:
            return
        if carries(plan) == carries(draft.plan):
            self._start(draft)
            return
        self._take(draft, plan)
        self.say("need", "what would be carried has changed: look at the new plan, then b builds it")

    def _start(self, draft: Draft) -> None:
        self.ask(lambda station: station.start_job("build", draft.build_params()), self._begun, group="act")

    def _begun(self, job: Job) -> None:
        self.console_app.set_draft(self.console_app.draft.again())
        self.draft_changed()
        self.console_app.open_begun(job)

    def do_clear(self) -> None:
        self.console_app.set_draft(Draft())
        self.draft_changed()
        self.say("ok", "the form is empty")

    def as_text(self) -> str:
        names = "\n".join(f"  {safe(one)}" for one in self.console_app.draft.references)
        return super().as_text() + (f"\nArtifacts\n{names}\n" if names else "")


def _next_step(draft: Draft) -> str:
    if draft.plan is None:
        return draft.missing_for_plan() or "p plans it; nothing is written"
    return draft.missing_for_build() or "look at the plan, then b builds it"
