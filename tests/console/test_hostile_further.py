"""Whatever a station says on the screens about people, keys and records is shown as text: every string is hostile."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import pytest

from appliance.api.bundles import OutgoingBundle
from appliance.api.common import Page
from appliance.api.intake import LedgerRow, Stream
from appliance.api.trust import OwnKey, TrustedKey, TrustRule
from tests.console.doubles.station import DemoStation

T = TypeVar("T")
HOSTILE = "\x1b]0;owned\x07\u202egnp.exe\u200b[@click=app.quit]x[/] \n\t漢e\u0301"


def hostile(value: Any) -> Any:
    """The same document, with another text wherever there is one."""
    match value:
        case str():
            return HOSTILE
        case Mapping():
            return {name: None if name == "next" else hostile(one) for name, one in value.items()}
        case list() | tuple():
            return [hostile(one) for one in value]
    return value


def turned(shape: type[T], value: Any) -> T:
    return msgspec.convert(hostile(msgspec.to_builtins(value)), shape)


class Hostile(DemoStation):
    """The demo's inside, on which every text that can be asked for is hostile."""

    async def fetch(self, shape: type[T], path: str, **query: object) -> T:
        known = {"limit": query.get("limit", 200)}
        for asked, answered in (
            ("/v1/approvals/", "/v1/approvals/alpha.bravo-000007"),
            ("/v1/bundles/", "/v1/bundles/alpha.bravo-000006/custody"),
        ):
            if path.startswith(asked):
                return turned(shape, await super().fetch(shape, answered, keyid="a434ee58eb00eea7"))
        if path == "/v1/recall":
            return turned(shape, await super().fetch(shape, path, thing="30f2c341ae8cd9a4"))
        return turned(shape, await super().fetch(shape, path, **known))

    async def trust(self) -> Sequence[TrustedKey]:
        made = turned(tuple[TrustedKey, ...], tuple(await super().trust()))
        named = [msgspec.structs.replace(key, purposes=("release", HOSTILE)) for key in made]
        return (*named, *await super().trust())

    async def keys(self) -> Sequence[OwnKey]:
        return turned(tuple[OwnKey, ...], tuple(await super().keys()))

    async def rules(self) -> Sequence[TrustRule]:
        return turned(tuple[TrustRule, ...], tuple(await super().rules()))

    async def streams(self) -> tuple[Stream, ...]:
        made = turned(tuple[Stream, ...], await super().streams())
        return tuple(msgspec.structs.replace(one, direction=way) for one, way in zip(made, ("in", "out"), strict=False))

    async def ledger(self, **query: Any) -> Page[LedgerRow]:
        return turned(Page[LedgerRow], await super().ledger(**query))

    async def bundles(self) -> Sequence[OutgoingBundle]:
        return turned(tuple[OutgoingBundle, ...], tuple(await super().bundles()))


def clean(console: Any) -> str:
    """The screen, held against every character that does something."""
    for strip in console.app.screen._compositor.render_strips():
        line = "".join(segment.text for segment in strip)
        for character in line:
            assert unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"), repr(line)
            assert not unicodedata.combining(character), repr(line)
    return str(console.screen())


@pytest.mark.parametrize("screen", ["trust", "ledger", "approvals", "audit", "custody"])
async def test_a_screen_and_what_it_opens_show_hostile_texts_as_text(drive: Any, screen: str) -> None:
    for size in ((80, 24), (120, 40)):
        async with drive(station=Hostile(), size=size) as console:
            console.app.show_root(screen)
            await console.rest()
            assert "\\x1b]0;owned\\x07" in clean(console)
            for key in ("down", "tab", "end", "home"):
                await console.press(key)
                clean(console)
            text = console.app.shown.as_text()
            assert "\x1b" not in text
            assert "\u202e" not in text
            assert console.app.return_code is None


@pytest.mark.parametrize("name", ["key", "approval", "custody_record"])
async def test_a_page_about_one_thing_shows_hostile_texts_as_text(drive: Any, name: str) -> None:
    async with drive(station=Hostile()) as console:
        console.app.open_further(name, HOSTILE)
        await console.rest()
        assert "\\x1b]0;owned\\x07" in clean(console)
        await console.press("end")
        clean(console)
        for key in ("a", "h", "x"):
            await console.press(key)
            clean(console)
            await console.press("escape")
        text = console.app.shown.as_text()
        assert "\x1b" not in text
        assert "\u202e" not in text
