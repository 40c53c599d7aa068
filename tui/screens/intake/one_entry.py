"""A screen about one bundle of the intake."""

from __future__ import annotations

from appliance.api.intake import IntakeDetail
from appliance.api.people import AccountChange
from tui.screens.intake.deciding import DecidingScreen


class OneEntryScreen(DecidingScreen):
    """Shows the entry of `bundle`; what is decided here shows it as it is then."""

    def __init__(self, bundle: str) -> None:
        super().__init__()
        self.bundle = bundle
        self.entry: IntakeDetail | None = None

    def show_entry(self, entry: IntakeDetail) -> None:
        """Show an entry that the station gave."""
        raise NotImplementedError

    def item(self) -> object | None:
        return self.entry

    def bundle_now(self) -> IntakeDetail | None:
        return self.entry

    def changes_now(self) -> tuple[AccountChange, ...] | None:
        return self.entry.account_changes if self.entry else None

    def bundle_decided(self, entry: IntakeDetail) -> None:
        self.show_entry(entry)
        super().bundle_decided(entry)
