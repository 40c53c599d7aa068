"""A bundle's custody record as the form that is printed: every step, signature, decision, hand-over and event of it."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

import msgspec
from textual.app import ComposeResult

from appliance.api.audit import CustodyRecord
from bundles.documents.custody_form import as_html, as_text
from bundles.io.display import safe
from tui.dialogs.save import ask_and_save
from tui.screens.asking import Place
from tui.screens.record.custody_acts import CustodyActs
from tui.terminal.texts import count, moment, words
from tui.widgets.panel import Panel, fact
from tui.widgets.text_rows import TextRows


class CustodyRecordScreen(CustodyActs):
    name_of: ClassVar[str] = "custody_record"

    def __init__(self, bundle: str) -> None:
        super().__init__()
        self.bundle = bundle
        self.record: CustodyRecord | None = None

    def body(self) -> ComposeResult:
        yield Panel(self.look, f"Custody of {safe(self.bundle)}", ident="facts")
        yield TextRows(self.look, "Record", ident="record", empty="nothing is on record")

    def load(self) -> None:
        path = f"/v1/bundles/{quote(self.bundle, safe='')}/custody"
        places: list[Place] = [self.query_one("#facts", Panel), self.query_one("#record", TextRows)]
        self.ask(lambda station: station.fetch(CustodyRecord, path), self.show_record, places=places, needs="custody")

    def show_record(self, record: CustodyRecord) -> None:
        self.record = record
        hands = record.handovers
        last = "no hand-over was written down"
        if hands:
            who, medium = safe(hands[-1]["taker"]), safe(hands[-1]["medium"])
            last = f"{count(len(hands), 'hand-over')}; {who} has it, medium {medium}"
        lines = [fact("hands", last, name_width=7), fact("digest", safe(record.digest or "") or "none", name_width=7)]
        if record.made is not None:
            said = [record.made.get(name, "") for name in ("purpose", "authorisation", "classification")]
            made = f"at {safe(str(record.made.get('source', '')))}, {moment(str(record.made.get('created', '')))}"
            lines.append(fact("made", f"{made}; {words(str(one) for one in said if one)}", name_width=7))
        if record.other is not None:
            lines.append(fact("there", f"{words([str(record.other.get('site', ''))])} says it is "
                              f"{safe(str(record.other.get('state', '')))}, by its receipt", name_width=7))  # fmt: skip
        lines.append(fact("head", safe(record.head), name_width=7))
        self.query_one("#facts", Panel).show(lines)
        self.query_one("#record", TextRows).show(_text(record))

    def item(self) -> object | None:
        return self.record

    def bundle_named(self) -> str:
        return self.bundle

    def copied(self) -> str:
        return self.record.head if self.record else ""

    def as_text(self) -> str:
        return as_text(msgspec.structs.asdict(self.record)) + "\n" if self.record else super().as_text()

    def do_page(self) -> None:
        if self.record is not None:
            page = as_html(msgspec.structs.asdict(self.record))
            ask_and_save(self.console_app, f"custody-{self.bundle}", page, suffix="html")


def _text(record: CustodyRecord) -> str:
    """What happened in one order, a line each, then the form's tables."""
    told = [
        f"  {one['at']} {one['site']} {one['what']}: {one['who']}" + (f" ({one['note']})" if one["note"] else "")
        for one in record.timeline
    ]
    form = as_text(msgspec.structs.asdict(record))
    return (
        "\n".join(["Both sides, by time", *(told or ["  none"]), "", "Steps"]) + "\n" + form.partition("\nSteps\n")[2]
    )
