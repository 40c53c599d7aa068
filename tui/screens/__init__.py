"""One module a screen. A screen's module is imported when it is first shown, which keeps the first paint fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from tui.actions.further_screens import MORE

if TYPE_CHECKING:
    from tui.screens.base import StationScreen

_CLASSES: Final = {
    "home": "HomeScreen",
    "repositories": "RepositoriesScreen",
    "artifact": "ArtifactScreen",
    "new_bundle": "NewBundleScreen",
    "intake": "IntakeScreen",
    "intake_entry": "IntakeEntryScreen",
    "jobs": "JobsScreen",
    "job": "JobScreen",
    "trust": "TrustScreen",
    "ledger": "LedgerScreen",
    "guides": "GuidesScreen",
    "guide": "GuideScreen",
    "more": "MoreScreen",
    "help": "HelpScreen",
    **{further.name: further.screen for further in MORE},
}


def make(name: str, *arguments: str) -> StationScreen:
    """A new screen by its name; `arguments` say what it is about: a reference, a bundle's id, a job's id."""
    module = import_module(f"tui.screens.{name}")
    screen: StationScreen = getattr(module, _CLASSES[name])(*arguments)
    return screen
