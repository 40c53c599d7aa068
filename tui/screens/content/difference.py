"""Difference: what is different between two artifacts: platforms, layers, configuration, packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult

from appliance.api.content import Artifact, Component
from bundles.errors import NotFoundError
from bundles.io.display import safe, some
from tui.screens.station_screen import StationScreen
from tui.station.port import Station
from tui.widgets.line_rows import LineRows
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import Span
from tui.wording.difference import difference

_PAGES: Final = 50
"""Pages of an SBOM that are compared, of 200 components each."""
Packages = Sequence[Component] | None
Compared = tuple[Artifact, Artifact, tuple[Packages, Packages], bool]


class DifferenceScreen(StationScreen):
    """`references` are two of them, with a space between."""

    name_of: ClassVar[str] = "difference"

    def __init__(self, references: str) -> None:
        super().__init__()
        self.one, _, self.other = references.partition(" ")
        self._lines: list[tuple[str, str]] = []

    def body(self) -> ComposeResult:
        yield Panel(self.look, "Difference", ident="facts")
        yield LineRows(self.look, "From the first to the second", ident="lines", empty="nothing is different")

    def load(self) -> None:
        self.query_one("#facts", Panel).show([
            fact("-", safe(self.one), "title", name_width=2), fact("+", safe(self.other), "title", name_width=2),
        ])  # fmt: skip
        self.ask(lambda station: _compared(station, self.one, self.other), self._show,
                 places=[self.query_one("#lines", LineRows)])  # fmt: skip

    def _show(self, found: Compared) -> None:
        one, other, packages, whole = found
        self._lines = difference(one, other, packages)
        if not whole:
            self._lines.append(("need", f"only the first {some(_PAGES * 200, 'component')} of each SBOM were compared"))
        self.filter_changed(self.filter_text)

    def filter_changed(self, text: str) -> None:
        """Heads of sections stay, so that what is left is known by them."""
        rows, sought = self.query_one("#lines", LineRows), text.casefold()
        shown: list[list[Span]] = [
            [(line, role or "title")] for role, line in self._lines if not role or sought in line.casefold()
        ]
        rows.note = f'holding "{safe(text)}"' if text else ""
        rows.show(shown)
        rows.refresh()

    def copied(self) -> str:
        return f"{self.one} {self.other}"


async def _compared(station: Station, one: str, other: str) -> Compared:
    """Both artifacts and the packages of their SBOMs; whether these are whole. Of an index the first platform that both
    have stands for its packages."""
    before, after = await station.artifact(one), await station.artifact(other)
    first, second = before.digest, after.digest
    if before.platforms and after.platforms:
        known = {platform.platform: platform.digest for platform in after.platforms}
        both = next((platform for platform in before.platforms if platform.platform in known), None)
        if both is not None:
            first, second = both.digest, known[both.platform]
    packages, whole = [], True
    for digest in (first, second) if before.digest != after.digest else ():
        found, all_of_it = await _packages(station, digest)
        packages.append(found)
        whole = whole and all_of_it
    return before, after, (packages[0], packages[1]) if packages else (None, None), whole


async def _packages(station: Station, digest: str) -> tuple[Packages, bool]:
    components: list[Component] = []
    after: str | None = None
    for _ in range(_PAGES):
        try:
            page = await station.sbom(digest, after=after)
        except NotFoundError:
            return None, True
        components += page.items
        after = page.next
        if after is None:
            return components, True
    return components, False
