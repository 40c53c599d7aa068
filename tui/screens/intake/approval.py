"""One bundle that waits for people: what it is, who has approved, what was found and changes, what a signature does."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.intake import Effect, EntrySummary, IntakeDetail, PendingDetail
from appliance.api.people import AccountChange
from bundles.errors import LockgateError, NotFoundError
from bundles.io.display import safe
from tui.decisions.deciding import effects_of, pending_path
from tui.decisions.signing import release_keys
from tui.screens.asking import Place
from tui.screens.intake.deciding import DecidingScreen
from tui.station.port import Station
from tui.widgets.mark_rows import Marked, MarkRows
from tui.widgets.panel import Panel, fact
from tui.wording.approvals import facts_of, lines_of
from tui.wording.checklists import next_step


class ApprovalScreen(DecidingScreen):
    name_of: ClassVar[str] = "approval"

    def __init__(self, bundle: str) -> None:
        super().__init__()
        self.bundle = bundle
        self.entry: PendingDetail | None = None
        self.effects: dict[str, Effect] = {}

    def body(self) -> ComposeResult:
        yield Panel(self.look, f"Approval of {safe(self.bundle)}", ident="facts")
        yield MarkRows(self.look, "What to know before you sign", ident="known", empty="nothing is to be known of it")

    def load(self) -> None:
        places: list[Place] = [self.query_one("#facts", Panel), self.query_one("#known", MarkRows)]
        self.ask(partial(_look, self.bundle), self.show_entry, places=places, needs="quarantine",
                 otherwise=self._gone)  # fmt: skip

    def _gone(self, error: LockgateError) -> None:
        """It waits for nobody any more: say how it stands, and offer nothing."""
        if not isinstance(error, NotFoundError):
            self.say("bad", error.diagnostics())
            return
        self.ask(lambda station: station.intake_entry(self.bundle), self._show_decided, group="decided")

    def _show_decided(self, entry: IntakeDetail) -> None:
        self.entry, self.effects = None, {}
        role, text = next_step(entry)
        self.query_one("#facts", Panel).show([[(f"{self.look.mark(role)} {text}", role)]])
        self.query_one("#known", MarkRows).show((Marked("note", "it waits for nobody any more; enter opens it"),))
        self.frame_changed()

    def show_entry(self, answer: tuple[PendingDetail, dict[str, Effect]]) -> None:
        self.entry, self.effects = answer
        self.query_one("#facts", Panel).show([fact(name, text, name_width=7) for name, text in facts_of(self.entry)])
        self.query_one("#known", MarkRows).show(tuple(lines_of(self.entry, self.effects)))

    def item(self) -> object | None:
        return self.entry

    def bundle_now(self) -> EntrySummary | None:
        return self.entry

    def changes_now(self) -> tuple[AccountChange, ...] | None:
        return self.entry.account_changes if self.entry else None

    def bundle_decided(self, entry: IntakeDetail) -> None:
        super().bundle_decided(entry)
        if entry.state == "rejected":
            self.console_app.open_thing("intake", entry.id)

    def do_open(self) -> None:
        self.console_app.open_thing("intake", self.bundle)

    def copied(self) -> str:
        return self.entry.digest if self.entry else ""

    def as_text(self) -> str:
        return "\n".join([self.query_one("#facts", Panel).as_text(), self.query_one("#known", MarkRows).as_text()])


async def _look(bundle: str, station: Station) -> tuple[PendingDetail, dict[str, Effect]]:
    """The entry, and what an approval by each of one's own keys will do, by the key's name."""
    entry = await station.fetch(PendingDetail, pending_path(bundle))
    return entry, await effects_of(station, bundle, await release_keys(station))
