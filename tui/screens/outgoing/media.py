"""Media: what is plugged in, how much room it has, and the bundles on it; from here one is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.bundles import Medium
from bundles.io.display import safe
from tui.screens.intake.importing import ImportingScreen
from tui.terminal.texts import size, words
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table


class MediaScreen(ImportingScreen):
    name_of: ClassVar[str] = "media"

    def body(self) -> ComposeResult:
        look = self.look

        def used(medium: Medium) -> str:
            return look.bar(medium.size - medium.free, medium.size, 12) if medium.size else ""

        yield Table[Medium](
            look,
            "Media",
            (
                Column("medium", lambda one: safe(one.path)),
                Column("used", used, 12),
                Column("free", lambda one: size(one.free), 9, right=True),
                Column("writing", lambda one: "read-only" if one.read_only else "possible", 9),
                Column("bundles", lambda one: str(len(one.bundles)), 7, right=True),
            ),
            key=lambda one: one.path,
            ident="media",
            empty="nothing is plugged in; r looks again",
        )
        yield Panel(look, ident="detail")

    @property
    def table(self) -> Table[Medium]:
        return self.query_one("#media", Table)

    def load(self) -> None:
        self.ask(lambda station: station.media(), self.show_media, places=[self.table], needs="media")

    def show_media(self, media: Sequence[Medium]) -> None:
        self.table.show(tuple(media))
        self.moved(None)

    def moved(self, rows: RowList | None) -> None:
        medium = self.table.current
        lines: list[list[Span]] = [[("", "plain")]]
        if medium is not None:
            lines = [
                fact("label", safe(medium.label or "none"), name_width=9),
                fact("kind", f"{safe(medium.filesystem or 'unknown')}, {size(medium.size)}", name_width=9),
                fact("bundles", words(medium.bundles) if medium.bundles else "none", name_width=9),
            ]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.table.current

    def copied(self) -> str:
        return self.table.current.path if self.table.current else ""
