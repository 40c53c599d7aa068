"""The screens, by subject. A screen's module is imported when it is first shown, which keeps the first paint fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from tui.actions.further_screens import MORE

if TYPE_CHECKING:
    from tui.screens.station_screen import StationScreen

_CLASSES: Final = {
    "home": "start.home:HomeScreen",
    "repositories": "content.repositories:RepositoriesScreen",
    "artifact": "content.artifact:ArtifactScreen",
    "new_bundle": "outgoing.new_bundle:NewBundleScreen",
    "intake": "intake.list:IntakeScreen",
    "intake_entry": "intake.entry:IntakeEntryScreen",
    "jobs": "jobs.list:JobsScreen",
    "job": "jobs.job:JobScreen",
    "trust": "trust.list:TrustScreen",
    "ledger": "intake.ledger:LedgerScreen",
    "guides": "start.guides:GuidesScreen",
    "guide": "start.guide:GuideScreen",
    "more": "start.more:MoreScreen",
    "help": "start.help:HelpScreen",
    **{further.name: f"{further.subject}.{further.name}:{further.screen}" for further in MORE},
}
"""Where each screen is: its module below this package, and its class."""


def make(name: str, *arguments: str) -> StationScreen:
    """A new screen by its name; `arguments` say what it is about: a reference, a bundle's id, a job's id."""
    module, _, found = _CLASSES[name].partition(":")
    screen: StationScreen = getattr(import_module(f"tui.screens.{module}"), found)(*arguments)
    return screen
