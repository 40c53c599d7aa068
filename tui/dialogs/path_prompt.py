"""A question answered with a path: the mounted media stand below it, and the folders and files that it can go on with.

Enter goes on with what stands in the field, and nothing else does. `tab` completes it as a shell does; the arrows put
the paths that are offered into it, one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.suggester import Suggester
from textual.widgets import Input

from appliance.api.bundles import Medium
from bundles.errors import LockgateError
from bundles.io.display import safe
from tui.dialogs.choose import Option, OptionRows
from tui.dialogs.prompt import Prompt, needed
from tui.terminal import paths
from tui.terminal.workers import begin

_ROWS = 6


class PathRows(OptionRows):
    """The paths that are offered: at most six rows at once."""

    DEFAULT_CSS = "PathRows { height: auto; }"
    can_focus = False

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return min(len(self.options), _ROWS)


class PathPrompt(Prompt):
    """See `Prompt`; `check` is told the whole path. Where the station has no folder on this machine, only its media are
    offered."""

    hint = "enter: go on   tab: complete   up/down: the paths below   esc: back"

    def __init__(self, title: str, explain: str = "", *, value: str = "", check: Callable[[str], str] = needed) -> None:
        super().__init__(title, explain, value=value, check=check)
        self._media: tuple[Medium, ...] = ()
        self._chosen = ""
        """The path that an arrow put into the field: it is not completed anew."""

    def body(self) -> ComposeResult:
        yield from super().body()
        rows = PathRows(self.console_app.look, ())
        rows.followed = False
        yield rows

    def answer(self, typed: str) -> str:
        return paths.whole(typed)

    def opened(self) -> None:
        begin(self, self._hear_media, "media")

    async def _hear_media(self) -> None:
        if "media" in self.console_app.presence.denied:
            return  # a question that is refused would stand in the audit log
        try:
            self._media = tuple(await self.console_app.link.ask(lambda station: station.media()))
        except LockgateError:
            self._media = ()
        self._offer_anew()

    @property
    def _field(self) -> Input:
        return self.query_one("#answer", Input)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value != self._chosen:
            self._offer_anew()

    def _offer_anew(self) -> None:
        if self.is_whole():
            begin(self, self._look, "paths")

    async def _look(self) -> None:
        if not self.is_whole():
            return
        typed = self._field.value
        here = bool(self.console_app.link.station.folder)
        found = await asyncio.to_thread(paths.entries, typed) if here and typed else []
        if self.is_whole() and typed == self._field.value:
            self._offer(self._media_of(typed), found)

    def _media_of(self, typed: str) -> list[Option]:
        return [
            Option(f"{one.path}/", safe(f"{one.path}/"), safe(f"medium {one.label}".strip()))
            for one in self._media
            if f"{one.path}/".startswith(typed) and f"{one.path}/" != typed and one.path == safe(one.path)
        ]

    def _offer(self, media: Sequence[Option], found: Sequence[str]) -> None:
        rows = self.query_one(PathRows)
        named = {option.value for option in media}
        rows.options = [*media, *(Option(path, path) for path in found if path not in named)]
        rows.cursor = rows.top = 0
        rows.followed, self._chosen = False, ""
        rows.refresh(layout=True)
        self.call_after_refresh(self.fit)

    def pressed(self, key: str) -> bool:
        rows = self.query_one(PathRows)
        if key == "tab":
            offered = [option.value for option in rows.options]
            self._chosen = ""
            longer = paths.common(offered)
            if rows.followed:
                self._offer_anew()
            elif len(longer) > len(self._field.value):
                self._put(longer)
            return True
        if key not in ("up", "down") or not rows.options:
            return key in ("up", "down")
        if rows.followed:
            rows.move_to(rows.cursor + (1 if key == "down" else -1))
        rows.followed = True
        rows.refresh()
        self._chosen = rows.options[rows.cursor].value
        self._put(self._chosen)
        return True

    def _put(self, path: str) -> None:
        self._field.value = path
        self._field.cursor_position = len(path)


class PathSuggester(Suggester):
    """The first path that a line of a form can go on with; `right` takes it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        found = await asyncio.to_thread(paths.entries, value)
        return found[0] if found else None
