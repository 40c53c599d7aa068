"""Changes of accounts that wait for a second person: the list above Accounts, confirming and cancelling."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from appliance.api.common import Page
from appliance.api.people import AccountChange
from bundles.errors import LockgateError
from bundles.io.display import safe
from tui.dialogs.confirm import Confirm
from tui.screens.paged import PagedScreen
from tui.terminal.look import Look
from tui.terminal.texts import moment
from tui.widgets.panel import fact
from tui.widgets.rows import Span
from tui.widgets.table import Column, Table
from tui.wording.account_changes import confirmers, credential, effect, not_the_persons, until

_ROWS = 4
"""Changes that are shown at once: at 24 rows the accounts keep the larger part."""
_HEADS = 2


class WaitingChangesScreen(PagedScreen):
    """A screen whose upper list are the changes that the account that is logged in may see."""

    changes_at: ClassVar[str] = "/v1/account-changes"

    def changes_table(self, look: Look) -> Table[AccountChange]:
        """The list, hidden while nothing waits."""
        table = Table[AccountChange](
            look,
            "Waiting changes",
            (
                Column("change", lambda one: safe(one.text)),
                Column("asked for by", lambda one: safe(one.asked_by), 14),
                Column("waits", until, 26),
            ),
            key=lambda one: one.id,
            ident="changes",
        )
        table.note = "tab leads here and back"
        table.display = False
        return table

    @property
    def changes(self) -> Table[AccountChange]:
        return self.query_one("#changes", Table)

    @property
    def change_now(self) -> AccountChange | None:
        """The change under the cursor, where its list has the focus."""
        return self.changes.current if self.last_list is self.changes else None

    def load(self) -> None:
        self.ask(lambda station: station.fetch(Page[AccountChange], self.changes_at), self.show_changes,
                 group="changes", places=[self.changes])  # fmt: skip

    def show_changes(self, page: Page[AccountChange]) -> None:
        """Show what waits. Without anything the list goes, and the accounts get the focus."""
        changes, table = self.changes, self.table
        changes.styles.height = _HEADS + min(max(len(page.items), 1), _ROWS)
        changes.display = bool(page.items) and table.display
        changes.show(page.items)
        if not page.items and self.last_list is changes:
            self.set_focus(table)
        elif page.items and not table.records and "account" in self.console_app.presence.denied:
            self.set_focus(changes)
        self.moved(None)

    def item(self) -> object | None:
        return self.change_now or self.table.current

    def change_facts(self, change: AccountChange) -> list[list[Span]]:
        """The change under the cursor, whole."""
        return [
            fact("change", safe(change.text), name_width=9),
            fact("asked", f"by {safe(change.asked_by)}, {moment(change.asked)}", name_width=9),
            fact("confirm", confirmers(change), name_width=9),
            fact("effect", effect(change), name_width=9),
            fact("id", safe(change.id), name_width=9),
            *(fact("held", credential(one), name_width=9) for one in change.credentials),
        ]

    def do_change_confirm(self) -> None:
        change = self.change_now
        ends = " Every log-in of the account ends." if change is not None and change.what == "password" else ""
        foreign = f" {not_the_persons(change)}" if change is not None and change.credentials else ""
        self._decide("confirm", "Confirm", f"It takes effect at once.{ends}{foreign}", "confirmed")

    def do_change_cancel(self) -> None:
        self._decide("cancel", "Cancel", "It will not be done; it may be asked for anew.", "cancelled")

    def _decide(self, word: str, ask: str, explain: str, done: str) -> None:
        change = self.change_now
        if change is None:
            return
        asked = f"Asked for by {safe(change.asked_by)} {moment(change.asked)}. {explain}"
        self.console_app.push_screen(
            Confirm(f"{ask}: {safe(change.text)}?", asked),
            lambda yes: self._send(change, word, done) if yes else None,
        )

    def _send(self, change: AccountChange, word: str, done: str) -> None:
        path = f"{self.changes_at}/{quote(change.id, safe='')}/{word}"

        def decided(answer: AccountChange) -> None:
            self.load()
            waits = "; ".join(f"{one.text}, set by {one.asked_by}" for one in answer.then or ())
            self.say("need" if waits else "ok", f"{done}: {change.text}" + (f". Waits too: {waits}" if waits else ""))

        def refused(error: LockgateError) -> None:
            self.load()
            self.say("bad", error.diagnostics())

        self.ask(lambda station: station.send(AccountChange, path, {}), decided, group="act", otherwise=refused)
