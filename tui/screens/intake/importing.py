"""How a bundle is brought in: from which media, and the job that imports it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from appliance.api.bundles import Medium
from appliance.api.jobs import Job
from tui.dialogs.choose import Choose
from tui.dialogs.media import ELSEWHERE, media_options
from tui.dialogs.path_prompt import PathPrompt
from tui.screens.station_screen import StationScreen

_WHOLE: Final = (
    "Import what?",
    "Media are only read. Mark a bundle on each medium that is here. Nothing becomes visible before a release.",
)
_PART: Final = (
    "Import what is whole of which bundle?",
    "For volumes that are lost for good: artifacts that need one stay out, and the bundle's number is used up. Mark "
    "every medium that is here.",
)
"""The question, and what is said below it."""


class ImportingScreen(StationScreen):
    """The base of screens from which a bundle is imported."""

    def do_bring_in(self) -> None:
        self._ask_media(partial=False)

    def do_import_next(self) -> None:
        self.do_bring_in()

    def do_import_part(self) -> None:
        """Take in what is whole without the volumes that are lost for good."""
        self._ask_media(partial=True)

    def _ask_media(self, *, partial: bool) -> None:
        self.ask(lambda station: station.media(), functools.partial(self._ask_medium, partial), group="media to import")

    def _ask_medium(self, partial: bool, media: Sequence[Medium]) -> None:
        options = media_options(media)
        title, explain = _PART if partial else _WHOLE
        question = Choose(title, options, explain, several=True, or_current=True)
        self.console_app.push_screen(question, functools.partial(self._medium_chosen, partial))

    def _medium_chosen(self, partial: bool, chosen: tuple[str, ...] | None) -> None:
        if not chosen:
            return
        paths = tuple(path for path in chosen if path != ELSEWHERE)
        if len(paths) == len(chosen):
            self.start_import(*paths, partial=partial)
            return
        prompt = PathPrompt("Import: Which folder?", "A bundle's folder, or one that holds it.")
        self.console_app.push_screen(
            prompt, lambda path: self.start_import(*paths, path, partial=partial) if path else None
        )

    def start_import(self, *paths: str, partial: bool = False) -> None:
        """Begin the import job, of one medium or of several at once, and show it. A `partial` one waits for no volume
        that is not there."""
        params = {"paths": list(paths), **({"partial": True} if partial else {})}
        self.ask(lambda station: station.start_job("import", params), self._import_begun, group="act")

    def _import_begun(self, job: Job) -> None:
        self.console_app.open_begun(job)
