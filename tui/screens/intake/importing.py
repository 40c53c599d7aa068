"""How a bundle is brought in: from which media, and the job that imports it."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.api.bundles import Medium
from appliance.api.jobs import Job
from tui.dialogs.choose import Choose
from tui.dialogs.media import ELSEWHERE, media_options
from tui.dialogs.prompt import Prompt, needed
from tui.screens.station_screen import StationScreen


class ImportingScreen(StationScreen):
    """The base of screens from which a bundle is imported."""

    def do_bring_in(self) -> None:
        self.ask(lambda station: station.media(), self._ask_medium, group="media to import")

    def do_import_next(self) -> None:
        self.do_bring_in()

    def _ask_medium(self, media: Sequence[Medium]) -> None:
        options = media_options(media)
        self.console_app.push_screen(
            Choose("Import what?", options, "Media are only read. Mark a bundle on each medium that is here. Nothing "
                   "becomes visible before a release.", several=True, or_current=True),
            self._medium_chosen,
        )  # fmt: skip

    def _medium_chosen(self, chosen: tuple[str, ...] | None) -> None:
        if not chosen:
            return
        paths = tuple(path for path in chosen if path != ELSEWHERE)
        if len(paths) == len(chosen):
            self.start_import(*paths)
            return
        prompt = Prompt("Import: Which folder?", "A bundle's folder, or one that holds it.", check=needed)
        self.console_app.push_screen(prompt, lambda path: self.start_import(*paths, path) if path else None)

    def start_import(self, *paths: str) -> None:
        """Begin the import job, of one medium or of several at once, and show it."""
        self.ask(lambda station: station.start_job("import", {"paths": list(paths)}), self._import_begun, group="act")

    def _import_begun(self, job: Job) -> None:
        self.console_app.open_begun(job)
