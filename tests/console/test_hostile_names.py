"""Names from media and clients are shown as they are, as text: no control code, no bidi, no markup acts."""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec

from appliance.api.common import Page
from appliance.api.content import Artifact, Component, Repository, Tag
from appliance.api.intake import IntakeDetail, IntakeEntry
from appliance.api.jobs import Job
from tests.console.doubles.station import DemoStation

ESCAPE, BIDI, ZERO_WIDTH = "\x1b]0;owned\x07\x1b[2J", "\u202egnp.exe", "safe\u200bname"
MARKUP = "[@click=app.quit]x[/] [bold]y[/bold]"
NAMES = (ESCAPE, BIDI, ZERO_WIDTH, MARKUP, "wide 漢字 name", "e\u0301combining", "line\nbreak\ttab")


class Hostile(DemoStation):
    """A station on which everything that can have a name has a hostile one."""

    async def repositories(self, **query: Any) -> Page[Repository]:
        return Page(tuple(Repository(name=name, tags=1, manifests=1, bytes=1) for name in NAMES))

    async def tags(self, repository: str, **query: Any) -> Page[Tag]:
        digest = "sha256:" + "0" * 64
        made = (
            Tag(tag=name, digest=digest, media_type=ESCAPE, kind=BIDI, size=1, total_size=1, updated=ESCAPE + "0" * 20)
            for name in NAMES
        )
        return Page(tuple(made))

    async def artifact(self, reference: str) -> Artifact:
        found = await super().artifact("team/web-portal:7.1.1")
        return msgspec.structs.replace(
            found, reference=ESCAPE, kind=BIDI, annotations={name: name for name in NAMES}, raw="\n".join(NAMES)
        )

    async def sbom(self, digest: str, **query: Any) -> Page[Component]:
        return Page(tuple(Component(name=n, version=n, type=n, purl=n, licenses=(n,)) for n in NAMES))

    async def jobs(self, **query: Any) -> Page[Job]:
        page = await super().jobs()
        return Page(
            tuple(
                msgspec.structs.replace(job, kind=ESCAPE, phase=BIDI, params={"paths": list(NAMES)}, actor=MARKUP)
                for job in page.items
            )
        )

    async def intake(self, **query: Any) -> Page[IntakeEntry]:
        page = await super().intake()
        return Page(tuple(msgspec.structs.replace(entry, id=ESCAPE + MARKUP) for entry in page.items))

    async def intake_entry(self, bundle: str) -> IntakeDetail:
        entry = self.entries[0]
        artifacts = [{"repository": name, "tags": [name], "kind": name, "digest": name} for name in NAMES]
        sections = [{"inspector": n, "outcome": "note", "summary": n, "details": {n: [n]}} for n in NAMES]
        return msgspec.structs.replace(
            entry, manifest={"artifacts": artifacts, "purpose": ESCAPE}, report={"sections": sections, "site": BIDI}
        )


async def _clean(console: Any) -> str:
    """The screen, held against every character that does something."""
    for strip in console.app.screen._compositor.render_strips():
        line = "".join(segment.text for segment in strip)
        for character in line:
            assert unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"), repr(line)
            assert not unicodedata.combining(character), repr(line)
    return str(console.screen())


async def test_hostile_names_are_shown_and_do_nothing(drive: Any) -> None:
    for size in ((80, 24), (120, 40)):
        async with drive(station=Hostile(), size=size) as console:
            await _clean(console)
            for key in ("2", "enter", "3", "4", "5", "6", "7", "8", "question_mark"):
                await console.press(key)
                await _clean(console)
            await console.press("2")
            text = await _clean(console)
            assert "\\x1b]0;owned\\x07" in text
            assert "\\u202egnp.exe" in text
            await console.press("down", "down", "down")
            text = await _clean(console)
            assert MARKUP in text, "what is cut in its column is shown whole below"
            await console.press("enter")
            for key in ("b", "m", "t", "down", "end", "right"):
                await console.press(key)
                await _clean(console)
            console.app.open_thing("intake", "any")
            await console.rest()
            for key in ("end", "o", "end"):
                await console.press(key)
                await _clean(console)
            assert console.app.return_code is None


async def test_hostile_names_stay_text_in_dialogs_and_messages(drive: Any) -> None:
    async with drive(station=Hostile()) as console:
        await console.press("2", "enter", "down", "space")
        await _clean(console)
        await console.press("3", "enter")
        await _clean(console)
        await console.press("escape", "4", "x")
        await _clean(console)


async def test_a_saved_page_holds_no_control_codes(drive: Any) -> None:
    async with drive(station=Hostile()) as console:
        for key in ("2", "4", "5"):
            await console.press(key)
            text = console.app.shown.as_text()
            assert "\x1b" not in text
            assert "\u202e" not in text
