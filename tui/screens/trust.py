"""Trust: whose signatures count for what, and the keys this station can sign with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from bundles.display import safe
from tui.screens.base import StationScreen
from tui.station import OwnKey, TrustedKey
from tui.texts import words
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table


class TrustScreen(StationScreen):
    name_of: ClassVar[str] = "trust"

    def __init__(self) -> None:
        super().__init__()
        self.trusted: Sequence[TrustedKey] = ()
        self._wanted = ""

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[TrustedKey](
            look,
            "Pinned keys",
            (
                Column("state", lambda key: self._state(key)[0], 12, role=lambda key: self._state(key)[1]),
                Column("key", lambda key: safe(key.keyid), 16),
                Column("owner", lambda key: safe(key.owner)),
                Column("purposes", lambda key: words(key.purposes), 14),
            ),
            key=lambda key: key.keyid,
            ident="trusted",
            empty="no keys are pinned: lockgate key trust FILE --purpose PURPOSE --owner WHO",
        )
        yield Table[OwnKey](
            look,
            "Keys this station can sign with",
            (
                Column("name", lambda key: safe(key.name)),
                Column("key", lambda key: safe(key.keyid), 16),
                Column("algorithm", lambda key: safe(key.algorithm), 12),
                Column("passphrase", lambda key: "needed" if key.encrypted else "none", 10),
            ),
            key=lambda key: key.keyid,
            ident="own",
            empty="no keys: lockgate key create NAME",
        )
        yield Panel(look, ident="detail")

    def _state(self, key: TrustedKey) -> tuple[str, str]:
        now = self.console_app.now()
        if key.revoked:
            return "[!!] revoked", "bad"
        if key.not_after is not None and key.not_after < now:
            return "[!!] expired", "bad"
        if key.not_before is not None and key.not_before > now:
            return "[--] not yet", "wait"
        return "[ok] valid", "ok"

    @property
    def table(self) -> Table[TrustedKey]:
        return self.query_one("#trusted", Table)

    @property
    def own(self) -> Table[OwnKey]:
        return self.query_one("#own", Table)

    def load(self) -> None:
        self.ask(lambda station: station.trust(), self.show_trust, group="trust")
        self.ask(lambda station: station.keys(), self.own.show, group="keys")

    def show_trust(self, keys: Sequence[TrustedKey]) -> None:
        self.trusted = keys
        wanted = self.filter_text.lower()
        shown = [key for key in keys if wanted in f"{key.keyid} {key.owner} {key.purposes} {key.sites}".lower()]
        self.table.note = f'holding "{safe(self.filter_text)}"' if wanted else ""
        self.table.show(shown)
        if self._wanted:
            self.reveal(self._wanted)

    def filter_changed(self, text: str) -> None:
        self.show_trust(self.trusted)

    def reveal(self, reference: str) -> None:
        self._wanted = reference
        ids = [key.keyid for key in self.table.records]
        if reference in ids:
            self._wanted = ""
            self.table.focus()
            self.table.move_to(ids.index(reference))

    def moved(self, rows: RowList | None) -> None:
        self._detail()

    def _detail(self) -> None:
        key = self.item()
        lines: list[list[Span]] = [[("", "plain")]]
        if isinstance(key, TrustedKey):
            lines = [
                fact("owner", safe(key.owner), name_width=10),
                fact("purposes", f"{words(key.purposes)}; for sites: {words(key.sites)}", name_width=10),
                fact("valid", f"{_date(key.not_before)} to {_date(key.not_after)}", name_width=10),
                fact("sha256", safe(key.fingerprint), name_width=10),
            ]
        elif isinstance(key, OwnKey):
            lines = [
                fact("key", f"{safe(key.name)} {key.keyid}; its public half: lockgate key export {safe(key.name)}")
            ]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        focused = self.focused
        if focused is self.own:
            return self.own.current
        return self.table.current

    def do_open(self) -> None:
        self._detail()
        key = self.item()
        if isinstance(key, TrustedKey):
            self.say("note", "the whole record is shown below the lists; y copies the fingerprint")

    def do_next_pane(self) -> None:
        target: RowList = self.table if self.focused is self.own else self.own
        target.focus()

    def copied(self) -> str:
        key = self.item()
        return key.fingerprint if isinstance(key, TrustedKey) else key.keyid if isinstance(key, OwnKey) else ""

    def as_text(self) -> str:
        return super().as_text() + "\n" + "\n".join(f"{key.keyid} {key.fingerprint}" for key in self.trusted) + "\n"


def _date(time: str | None) -> str:
    return safe(time[:10]) if time else "always"
