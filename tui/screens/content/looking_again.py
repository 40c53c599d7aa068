"""Screens about what changes without the station's state: keys are pinned and revoked, and policies applied, on the
folder. While such a screen is shown, it asks again by itself."""

from __future__ import annotations

from typing import Final

from tui.screens.station_screen import StationScreen

LOOKS: Final = 5.0
"""Seconds between two looks. A look reads the signatures of an artifact: some milliseconds of the station's."""


class LooksAgain(StationScreen):
    """The base of such screens."""

    def opened(self) -> None:
        super().opened()
        self.set_interval(LOOKS, self._look_again)

    def _look_again(self) -> None:
        if self.ready and self.is_current:
            self.load()
