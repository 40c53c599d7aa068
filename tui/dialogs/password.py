"""A new password, typed twice; it is used once and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from bundles.errors import LockgateError
from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.dialogs.prompt import Prompt
from tui.station.port import Station
from tui.terminal.workers import begin

if TYPE_CHECKING:
    from tui.console_port import ConsolePort

LEAST = 12
"""Characters of a password; the station holds to the same."""


def ask_new(app: ConsolePort, name: str, then: Callable[[Secret], None]) -> None:
    """Ask for a new password of an account, twice, and hand it on."""

    def first(password: str | None) -> None:
        if password is None:
            return
        again = Prompt(
            f"New password of {safe(name)}, once more",
            masked=True,
            check=lambda text: "" if text == password else "it is not the same: type it again, or esc",
        )
        app.push_screen(again, lambda text: then(Secret(password)) if text is not None else None)

    title = f"New password of {safe(name)}"
    app.push_screen(Prompt(title, f"{LEAST} characters or more.", masked=True, check=_long_enough), first)


def _long_enough(text: str) -> str:
    return "" if len(text) >= LEAST else f"{LEAST} characters or more"


def change_own(app: ConsolePort) -> None:
    """Another password for whoever is logged in; they stay logged in, with the new one."""
    name = app.presence.name

    def old_given(old: str | None) -> None:
        if old is not None:
            ask_new(app, name, lambda new: begin(app, partial(_change, app, name, Secret(old), new), "password"))

    explain = "Log-ins and tokens that were made with it end everywhere but here."
    app.push_screen(Prompt(f"Old password of {safe(name)}", explain, masked=True), old_given)


async def _change(app: ConsolePort, name: str, old: Secret, new: Secret) -> None:
    async def change(station: Station) -> None:
        await station.send(dict[str, Any], f"/v1/accounts/{name}/password", {"old": old, "password": new})
        await station.log_in(name, new)

    app.presence.changing = True  # the old log-in ends before the new one begins: nobody is to be sent away for it
    try:
        await app.link.ask(change)
    except LockgateError as error:
        app.call_later(app.tell, "bad", error.diagnostics())
    else:
        app.call_later(app.tell, "ok", f"the password of {name} was changed")
    finally:
        app.presence.changing = False
