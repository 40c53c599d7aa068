"""Layer: the files in a layer of an image, shown as the station reads them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.message import Message

from appliance.api.content import LayerFile, LayerFiles
from bundles.io.display import safe
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import count, size
from tui.widgets.nothing import Known
from tui.widgets.panel import Panel
from tui.widgets.rows import RowList
from tui.widgets.table import Column, Table


class FilesHeard(Message):
    """A line of the listing that was asked for as `asked`."""

    def __init__(self, line: LayerFiles, asked: int) -> None:
        super().__init__()
        self.line, self.asked = line, asked


class LayerScreen(StationScreen):
    """`reference` is `repository@digest layer-digest`."""

    name_of: ClassVar[str] = "layer"

    def __init__(self, reference: str) -> None:
        super().__init__()
        self.reference, _, self.digest = reference.partition(" ")
        self._asked = 0
        """The listing that is shown: lines of one before it are dropped."""

    def body(self) -> ComposeResult:
        yield Panel(self.look, "Layer", ident="facts")
        yield Table[LayerFile](
            self.look,
            "Files",
            (
                Column("path", lambda one: safe(one.path)),
                Column("kind", lambda one: safe(one.kind), 9),
                Column("mode", lambda one: safe(one.mode), 4),
                Column("bytes", lambda one: size(one.size), 9, right=True, order=lambda one: one.size),
                Column("leads to", lambda one: safe(one.link), 24, least=100),
            ),
            key=lambda one: one.path,
            ident="files",
            empty="the layer is empty",
            also=lambda one: safe(one.link),
        )
        yield Panel(self.look, ident="detail")

    @property
    def table(self) -> Table[LayerFile]:
        return self.query_one("#files", Table)

    def load(self) -> None:
        """Read the layer anew, for what the filter asks of the station."""
        self.query_one("#facts", Panel).show([[(safe(self.reference), "plain")], [(safe(self.digest), "plain")]])
        self._asked += 1
        self.table.forget()
        self.table.answered = False
        asked, query = self._asked, {"ref": self.reference, "layer": self.digest, "filter": self.table.held}
        self.say("busy", "the layer is being read")
        self.ask(
            lambda station: station.lines(
                LayerFiles, "/v1/layer/files", lambda line: self.post_message(FilesHeard(line, asked)), **query
            ),
            lambda _: None,
            places=[self.table],
        )

    def state_changed(self) -> None:
        """A layer is its digest: nothing of it changes."""

    def on_files_heard(self, message: FilesHeard) -> None:
        if message.asked != self._asked:
            return
        line = message.line
        if not self.table.loaded and not line.end and not line.files:
            self.say("busy", f"read so far: {count(line.looked, 'entry', 'entries')}")
            return  # still to be said what is in it
        self.table.stands(Known.SHOWN)
        self.table.extend(line.files, None)
        if not line.end:
            self.say("busy", f"read so far: {count(line.looked, 'entry', 'entries')}")
        elif line.why:
            self.say("need", f"not the whole layer: {line.why}")
        else:
            self.say("ok", f"read to its end: {count(line.looked, 'entry', 'entries')}")
        self.moved(None)

    def filter_changed(self, text: str) -> None:
        before = self.table.held
        if self.share(self.table, text) != before:
            self.load()

    def moved(self, rows: RowList | None) -> None:
        one = self.table.current
        leads = f" leads to {safe(one.link)}" if one is not None and one.link else ""
        self.query_one("#detail", Panel).show([[(f"{safe(one.path)}{leads}" if one is not None else "", "plain")]])

    def item(self) -> object | None:
        return self.table.current

    def copied(self) -> str:
        return self.table.current.path if self.table.current is not None else ""
