"""Trust: whose signatures count for what, the keys this station can sign with, and what is demanded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.trust import OwnKey, TrustedKey, TrustRule
from bundles.io.display import safe
from tui.screens.trust.acts import TrustActs
from tui.terminal.texts import words
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.fingerprints import word_lines
from tui.wording.keys import key_state, rule_text, searched, validity

RULES = 4
"""Rules that the screen shows; a station has one or two."""


class TrustScreen(TrustActs):
    name_of: ClassVar[str] = "trust"
    beside_from: ClassVar[int] = 136
    """Below, an owner is cut before it is known from another one."""

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
            empty="no keys are pinned: p pins one from a file",
            also=searched,
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
            key=lambda key: key.name,
            ident="own",
            empty="no keys: lockgate key create NAME",
        )
        yield Panel(look, "Demanded beyond one good signature", ident="rules")
        yield Panel(look, ident="detail")

    def _state(self, key: TrustedKey) -> tuple[str, str]:
        return key_state(key, self.console_app.now())

    @property
    def table(self) -> Table[TrustedKey]:
        return self.query_one("#trusted", Table)

    @property
    def own(self) -> Table[OwnKey]:
        return self.query_one("#own", Table)

    def load(self) -> None:
        self.ask(lambda station: station.trust(), self.show_trust, group="trust", places=[self.table])
        self.ask(lambda station: station.keys(), self.own.show, group="keys", places=[self.own])
        self.ask(lambda station: station.rules(), self.show_rules, group="rules",
                 places=[self.query_one("#rules", Panel)])  # fmt: skip

    def show_rules(self, rules: Sequence[TrustRule]) -> None:
        lines: list[list[Span]] = [[(rule_text(rule), "plain")] for rule in rules[:RULES]]
        if len(rules) > RULES:
            lines.append([(f"and {len(rules) - RULES} more: lockgate key policy", "plain")])
        self.query_one("#rules", Panel).show(lines or [[("no extra rules: one valid signature is enough", "plain")]])

    def show_trust(self, keys: Sequence[TrustedKey]) -> None:
        self.trusted = keys
        self.table.show(keys)
        if self._wanted:
            self.reveal(self._wanted)

    def filter_changed(self, text: str) -> None:
        self.narrow(self.table, text)

    def reveal(self, reference: str) -> None:
        self._wanted = reference
        if not self.ready:
            return  # the first answer puts it there
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
            spoken = word_lines(key.fingerprint)
            lines = [
                fact("valid", f"{validity(key)}; sites: {words(key.sites)}; {safe(key.algorithm)}", name_width=7),
                fact(
                    "words", f"{spoken[0] if spoken else ''} ...  enter shows all, and what stands on it", name_width=7
                ),
            ]
        elif isinstance(key, OwnKey):
            lines = [fact("public", f"its public half: lockgate key export {safe(key.name)}", name_width=7)]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        focused = self.focused
        if focused is self.own:
            return self.own.current
        return self.table.current

    def do_open(self) -> None:
        key = self.item()
        if isinstance(key, TrustedKey):
            self.console_app.open_further("key", key.keyid)
        elif isinstance(key, OwnKey):
            pinned = [one for one in self.trusted if one.keyid == key.keyid]
            if pinned:
                self.console_app.open_further("key", key.keyid)
            else:
                self.say("note", f"{key.name} is not pinned here; its public half: lockgate key export {key.name}")

    def do_next_pane(self) -> None:
        target: RowList = self.table if self.focused is self.own else self.own
        target.focus()

    def copied(self) -> str:
        key = self.item()
        return key.fingerprint if isinstance(key, TrustedKey) else key.keyid if isinstance(key, OwnKey) else ""

    def as_text(self) -> str:
        pinned = (safe(f"{key.keyid} {key.fingerprint}") for key in self.trusted)
        return "\n".join([super().as_text(), *pinned]) + "\n"
