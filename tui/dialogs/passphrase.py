"""A key's passphrase, asked for until it opens the key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from textual.widgets import Input, Static

from appliance.api.trust import OwnKey
from bundles.errors import LockgateError
from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.dialogs.prompt import Prompt
from tui.terminal.workers import begin


class Passphrase(Prompt):
    """Stays open, with its field empty, where a passphrase is wrong: the next try must not be read as keys of the
    screen below. `opens` blocks, and raises LockgateError where the passphrase does not open the key."""

    def __init__(
        self, what: str, key: OwnKey, explain: str, opens: Callable[[str, str], None], opens_with: str = ""
    ) -> None:
        super().__init__(f"{what}: {opens_with or f'Passphrase of the key {safe(key.name)}'}", explain, masked=True)
        self._key, self._opens, self._trying = key, opens, False

    def accept(self) -> None:
        if self._trying:
            return
        self._trying = True
        self.query_one("#hint", Static).update("opening the key")
        begin(self, partial(self._try, Secret(self.query_one("#answer", Input).value)), "open")

    async def _try(self, text: Secret) -> None:
        try:
            await asyncio.to_thread(self._opens, self._key.name, text)
        except LockgateError as error:
            self.query_one("#answer", Input).value = ""
            self.query_one("#hint", Static).update(f"[!!] {safe(error.diagnostics())}   esc: back")
            self._trying = False
        else:
            self.call_later(self._opened, text)

    def _opened(self, text: Secret) -> None:
        self.dismiss(text)
