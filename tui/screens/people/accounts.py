"""Accounts: people and robots, their roles by repository, their keys and state; and what an administrator does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import quote

from textual.app import ComposeResult
from textual.widgets import Input

from appliance.api.common import Page
from appliance.api.people import Account, Asked, Explained, GivenSecret, HeldRole
from appliance.api.trust import TrustedKey
from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.dialogs.choose import Choose, Option
from tui.dialogs.confirm import Confirm
from tui.dialogs.password import ask_new
from tui.dialogs.prompt import Prompt, needed
from tui.dialogs.told import SecretDialog
from tui.screens.people.waiting_changes import WaitingChangesScreen
from tui.terminal.texts import moment, words
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.widgets.text_rows import TextRows
from tui.wording.account_changes import confirmers, effect

ROLES: Final = (
    ("reader", "pull"),
    ("writer", "pull, push"),
    ("maintainer", "pull, push, delete"),
    ("collector", "collect, build, sign, receipts, media; never decides"),
    ("courier", "import, media, receipts; never decides"),
    ("security-officer", "quarantine, approve, release, keys; never carries"),
    ("auditor", "reads the audit log; never changes anything"),
    ("administrator", "accounts, upkeep; never decides"),
)
"""What there is to give, in the order of docs/howto/access.md."""

_DAYS: Final = 90
_KEYID: Final = frozenset("0123456789abcdef")


def roles_of(account: Account) -> str:
    """The roles in words; where a role does not count everywhere, its pattern."""
    return words(role_text(held) for held in account.roles)


def role_text(held: HeldRole) -> str:
    """A role, and where it counts."""
    return held.role if held.pattern == "**" else f"{held.role} {held.pattern}"


def state_of(account: Account) -> tuple[str, str]:
    """Mark and word, and their role."""
    if account.disabled:
        return "[!!] disabled", "bad"
    return ("[!!] locked out", "bad") if account.locked_until else ("[ok]", "ok")


class AccountsScreen(WaitingChangesScreen):
    name_of: ClassVar[str] = "accounts"
    AUTO_FOCUS = "#accounts"
    listed_at: ClassVar[str] = "/v1/accounts"
    pages_of: ClassVar[type[Page[Account]]] = Page[Account]
    needs: ClassVar[str] = "account"

    def __init__(self) -> None:
        super().__init__()
        self._made = ""
        """The account that was just made: the cursor goes to it, so that the next key is about it."""

    def body(self) -> ComposeResult:
        look = self.look
        yield self.changes_table(look)
        yield Table[Account](
            look,
            "Accounts",
            (
                Column("state", lambda one: state_of(one)[0], 15, role=lambda one: state_of(one)[1]),
                Column("account", lambda one: safe(one.name), 16),
                Column("roles", roles_of),
                Column("last seen", lambda one: moment(one.seen), 16),
            ),
            key=lambda one: one.name,
            ident="accounts",
            empty="there is no account",
        )
        explained = TextRows(look, "What it may do", ident="explained")
        explained.display = False
        yield explained
        yield Panel(look, ident="detail")

    @property
    def table(self) -> Table[Account]:
        return self.query_one("#accounts", Table)

    def load(self) -> None:
        super().load()
        self.load_page()

    def show_page(self, page: Page[Account]) -> None:
        super().show_page(page)
        made, self._made = self._made, ""
        names = [one.name for one in self.table.records]
        if made in names:
            self.table.move_to(names.index(made))

    def reveal(self, reference: str) -> None:
        """Put the cursor on an account; one that is on a later page is filtered for."""
        names = [one.name for one in self.table.records] if self.ready else []
        if reference in names:
            self.table.focus()
            self.table.move_to(names.index(reference))
            return
        self._made = reference
        if self.ready:
            self.do_filter()
            self.query_one("#filter", Input).value = reference
            self.close_filter(keep=True)

    def moved(self, rows: RowList | None) -> None:
        self._detail()

    def _detail(self) -> None:
        account, change = self.table.current, self.change_now
        lines: list[list[Span]] = [[("", "plain")]]
        if change is not None:
            lines = self.change_facts(change)
        elif account is not None:
            shut = ""
            if account.disabled:
                shut = f"disabled since {moment(account.disabled)}"
            elif account.locked_until:
                shut = f"locked until {moment(account.locked_until)} after failed log-ins; e unlocks it"
            lines = [
                fact("who", f"{safe(account.full_name or 'not said')}; a {safe(account.kind)}", name_width=8),
                fact("roles", roles_of(account), name_width=8),
                fact("keys", words(account.keys), name_width=8),
                fact("system", "no account" if account.uid is None else f"uid {account.uid}", name_width=8),
                fact("state", shut or f"good; made {moment(account.created)}", name_width=8),
            ]
        self.query_one("#detail", Panel).show(lines)

    def copied(self) -> str:
        if self.change_now is not None:
            return self.change_now.id
        return self.table.current.name if self.table.current else ""

    def go_back(self) -> bool:
        explained = self.query_one("#explained", TextRows)
        if explained.display:
            self.table.display, explained.display = True, False
            self.changes.display = bool(self.changes.records)
            self.table.focus()
            return True
        return super().go_back()

    def _change(self, name: str, what: str, body: Mapping[str, Any], done: str) -> None:
        """A change of an account, and the sentence when it is done."""
        path = f"/v1/accounts/{quote(name, safe='')}/{what}"

        def changed(answer: Asked) -> None:
            self.load()
            waits = answer.waits
            if not waits:
                self.say("ok", done)
            else:
                self.say("need", f"not done yet: {waits.text}. It waits for {confirmers(waits)}; {effect(waits)}")

        self.ask(lambda station: station.send(Asked, path, body), changed, group="act")

    def do_account_new(self) -> None:
        options = [
            Option("person", "a person", "logs in with a password"),
            Option("robot", "a robot", "logs in with a secret that ends"),
        ]
        self.console_app.push_screen(Choose("An account for whom?", options), self._kind_chosen)

    def _kind_chosen(self, chosen: tuple[str, ...] | None) -> None:
        if not chosen:
            return
        kind, app = chosen[0], self.console_app
        form = "a-z, 0-9, '.', '_' and '-'; it is never used again for another"
        explain = f"robot-…: {form}." if kind == "robot" else f"{form}."

        def named(name: str | None) -> None:
            if name:
                title = (
                    f"{safe(name.strip())}: Whose is it?"
                    if kind == "person"
                    else (f"{safe(name.strip())}: What is it for?")
                )
                about = Prompt(title, "It may be left empty.")
                app.push_screen(about, lambda text: self._make(kind, name.strip(), text))

        start = "robot-" if kind == "robot" else ""
        app.push_screen(Prompt(f"New {kind}: Its name?", explain, value=start, check=needed), named)

    def _make(self, kind: str, name: str, full_name: str | None) -> None:
        if full_name is None:
            return
        body = {"name": name, "kind": kind, "full_name": full_name.strip()}
        if kind == "robot":
            self.ask(
                lambda station: station.send(GivenSecret, "/v1/accounts", {**body, "days": _DAYS}),
                self._given,
                group="act",
            )
            return

        def made(_: object) -> None:
            self._show_made(name)
            self.say("ok", f"Created {name}. No roles yet: a gives one")

        ask_new(
            self.console_app,
            name,
            lambda password: self.ask(
                lambda station: station.send(dict[str, Any], "/v1/accounts", {**body, "password": password}),
                made,
                group="act",
            ),
        )

    def _show_made(self, name: str) -> None:
        self._made = name
        if self.filter_text and self.filter_text not in name:
            self.close_filter(keep=False)
        self.load()

    def _given(self, given: GivenSecret) -> None:
        self._show_made(given.name)
        explain = f"Good until {moment(given.expires)}. It is shown now and never again: y copies it."
        self.console_app.push_screen(SecretDialog(f"The secret of {safe(given.name)}", explain, Secret(given.secret)))

    def do_account_secret(self) -> None:
        account = self.table.current
        if account is None:
            return
        path = f"/v1/accounts/{quote(account.name, safe='')}/secret"
        question = Confirm(f"A new secret for {safe(account.name)}?", "The old one is good for a day more.")
        self.console_app.push_screen(
            question,
            lambda yes: (
                self.ask(lambda station: station.send(GivenSecret, path, {"days": _DAYS}), self._given, group="act")
                if yes
                else None
            ),
        )

    def do_account_grant(self) -> None:
        account = self.table.current
        if account is None:
            return
        options = [Option(name, name, gives) for name, gives in ROLES]
        self.console_app.push_screen(
            Choose(f"{safe(account.name)}: Which role?", options),
            lambda chosen: self._role_chosen(account, chosen[0]) if chosen else None,
        )

    def _role_chosen(self, account: Account, role: str) -> None:
        explain = "team/app, team/* (one level), team/** (all below), ** (everything). It bounds pull, push and delete."
        prompt = Prompt(f"{safe(account.name)}: {role} on which repositories?", explain, value="**", check=needed)

        def on(pattern: str | None) -> None:
            if pattern:
                text = role_text(HeldRole(role=role, pattern=pattern.strip()))
                self._change(
                    account.name, "grant", {"role": role, "pattern": pattern.strip()}, f"{account.name} is {text}"
                )

        self.console_app.push_screen(prompt, on)

    def do_account_withdraw(self) -> None:
        account = self.table.current
        if account is None:
            return
        by_text = {f"{held.role} {held.pattern}": held for held in account.roles}
        options = [Option(text, safe(role_text(held))) for text, held in by_text.items()]

        def chosen(texts: tuple[str, ...] | None) -> None:
            if texts:
                held = by_text[texts[0]]
                body = {"role": held.role, "pattern": held.pattern}
                self._change(account.name, "withdraw", body, f"{account.name} is no {role_text(held)} any more")

        self.console_app.push_screen(
            Choose(f"{safe(account.name)}: Take which role away?", options, "It counts at once."), chosen
        )

    def do_account_disable(self) -> None:
        self._confirmed("Disable", "It is shut out at once, with every token it has.", "disable", "is disabled")

    def do_account_enable(self) -> None:
        account = self.table.current
        if account is not None:
            self._change(account.name, "enable", {}, f"{account.name} may log in")

    def do_account_end(self) -> None:
        self._confirmed("End every log-in of", "Tokens and refresh tokens are void; it may log in anew.", "revoke",
                        "has no token any more")  # fmt: skip

    def _confirmed(self, ask: str, explain: str, what: str, done: str) -> None:
        account = self.table.current
        if account is not None:
            question = Confirm(f"{ask} {safe(account.name)}?", explain)
            self.console_app.push_screen(
                question, lambda yes: self._change(account.name, what, {}, f"{account.name} {done}") if yes else None
            )

    def do_account_password(self) -> None:
        account = self.table.current
        if account is not None:
            done = f"the password of {account.name} is another one; its log-ins are over"
            ask_new(
                self.console_app,
                account.name,
                lambda password: self._change(account.name, "password", {"password": password}, done),
            )

    def do_account_bind(self) -> None:
        account = self.table.current
        if account is not None:
            self.ask(lambda station: station.trust(), lambda keys: self._ask_key(account, keys), group="field")

    def _ask_key(self, account: Account, keys: Sequence[TrustedKey]) -> None:
        other = "another key"
        options = [
            Option(key.keyid, key.keyid, safe(key.owner))
            for key in keys
            if "release" in key.purposes and not key.revoked and key.keyid not in account.keys
        ]
        options.append(Option(other, other, "type its id"))

        def bind(keyid: str | None) -> None:
            if keyid:
                self._change(account.name, "bind-key", {"keyid": keyid}, f"{keyid} stands for {account.name}")

        def chosen(values: tuple[str, ...] | None) -> None:
            if values and values[0] == other:
                explain = "Its id: 16 hexadecimal digits, as `lockgate key list` shows it."
                prompt = Prompt(f"{safe(account.name)}: Which key?", explain, check=_check_keyid)
                self.console_app.push_screen(prompt, bind)
            elif values:
                bind(values[0])

        self.console_app.push_screen(Choose(f"Which key is {safe(account.name)}'s?", options), chosen)

    def do_account_unbind(self) -> None:
        account = self.table.current
        if account is None:
            return
        options = [Option(keyid, safe(keyid)) for keyid in account.keys]

        def chosen(values: tuple[str, ...] | None) -> None:
            if values:
                self._change(account.name, "unbind-key", {"keyid": values[0]}, f"{values[0]} stands for nobody")

        self.console_app.push_screen(Choose(f"{safe(account.name)}: Which key is theirs no more?", options), chosen)

    def do_account_explain(self) -> None:
        account = self.table.current
        if account is None:
            return
        path = f"/v1/accounts/{quote(account.name, safe='')}/explain"

        def answered(repository: str | None) -> None:
            if repository:
                self.ask(
                    lambda station: station.fetch(Page[Explained], path, repository=repository.strip()),
                    lambda page: self._explain(account.name, repository.strip(), page.items),
                    group="explain",
                )

        prompt = Prompt(f"{safe(account.name)}: In which repository?", "A name such as team/app.", check=needed)
        self.console_app.push_screen(prompt, answered)

    def _explain(self, name: str, repository: str, items: Sequence[Explained]) -> None:
        lines = [f"{self.look.mark('ok' if one.allowed else 'wait')} {one.permission:<11} {one.why}" for one in items]
        explained = self.query_one("#explained", TextRows)
        explained.title = f"{safe(name)} in {safe(repository)}"
        explained.show("\n".join(lines))
        self.table.display, self.changes.display, explained.display = False, False, True
        explained.focus()


def _check_keyid(text: str) -> str:
    return "" if len(text) == 16 and set(text) <= _KEYID else "a key's id has 16 of 0-9 and a-f"
