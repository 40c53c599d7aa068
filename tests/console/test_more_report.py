"""The page that officers sign for: what is on it, how it folds and is filtered, and that nothing else is signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles.documents.signed import Approval, encode
from bundles.errors import RefusedError
from tests.console.doubles.data import digest
from tests.console.keys import PASSPHRASE
from tui.decisions.deciding import Signed, require_seen

WAITING = "alpha.bravo-000007"


async def opened(console: Any) -> None:
    console.app.open_further("report", WAITING)
    await console.rest()


async def test_a_verdict_per_section_stands_first_and_names_stand_before_digests(drive: Any) -> None:
    async with drive(size=(120, 120)) as console:
        await opened(console)
        shown = console.screen()
        assert shown.index("Verdict: 4 note, 3 ok of 7 sections") < shown.index("Findings to look at")
        for line in ("[ok] ok   integrity", "[ i] note layers", "setuid: files that run as their owner or group (3)",
                     "what helps: see that each program needs it", "libssl3 3.0.14-1 to 3.0.15-1",
                     "platform/postgres:16.6  index", "► Carried evidence, not counted"):  # fmt: skip
            assert line in shown
        tag = shown.splitlines().index(next(line for line in shown.splitlines() if "platform/postgres:16.6" in line))
        assert f"was {digest('platform/postgres:16.6 before')}" in shown.splitlines()[tag + 1]


async def test_branches_fold_and_t_opens_everything(drive: Any) -> None:
    async with drive(size=(100, 30)) as console:
        await opened(console)
        rows = console.app.shown.rows
        first = rows.row_count
        await console.press("left")
        assert rows.row_count < first
        await console.press("enter")
        assert rows.row_count == first
        await console.press("t", "end")
        assert rows.row_count > first
        assert "syft 1.4.1" in rows.as_text()
        await console.press("t")
        assert rows.row_count == first


async def test_a_filter_shows_what_it_finds_with_what_that_stands_under_whatever_its_case(drive: Any) -> None:
    async with drive(size=(100, 30)) as console:
        await opened(console)
        await console.press("slash", *"LIBSSL3", "enter")
        await console.until(lambda: console.app.shown.rows.wanted == "libssl3", "the filter")
        shown = console.screen()
        assert "libssl3 3.0.14-1 to 3.0.15-1" in shown
        assert "What differs inside the moved tags" in shown
        assert "setuid" not in shown
        await console.press("slash", *"nowhere", "enter")
        await console.shows("no match")


async def test_a_report_that_is_not_the_one_its_digest_names_is_neither_shown_nor_signed(drive: Any) -> None:
    async with drive() as console:
        entry = console.inside.entries[0]
        forged = msgspec.structs.replace(entry, report=entry.report | {"sections": []})
        console.inside.entries[0] = forged
        await opened(console)
        assert "the report that came is not the one that its digest names" in console.screen()
        assert not console.app.shown.rows.row_count
        await console.press("a")
        assert console.name == "report"
        assert console.app.screen is console.app.shown, "no dialog asks for a passphrase"


async def test_a_report_that_was_made_anew_behind_the_page_is_not_signed(drive: Any) -> None:
    async with drive() as console:
        await opened(console)
        await console.press("a", "enter")
        entry = console.inside.entries[0]
        console.inside.entries[0] = msgspec.structs.replace(entry, report_digest=digest("another report"))
        await console.press(*PASSPHRASE, "enter")
        await console.shows("inspected anew")
        assert console.inside.entries[0].approvals == 0


async def test_s_saves_the_whole_report_whatever_is_folded(drive: Any, tmp_path: Path) -> None:
    async with drive() as console:
        await opened(console)
        await console.press("s")
        console.app.focused.value = str(tmp_path / "report.txt")
        await console.press("enter")
        await console.shows("saved to")
        saved = (tmp_path / "report.txt").read_text()
        assert "syft 1.4.1" in saved
        assert console.inside.entries[0].report_digest in saved


@pytest.mark.parametrize(
    ("field", "value"), [("bundle", "alpha.bravo-000009"), ("digest", digest("b")), ("decision", "reject"),
                         ("report", digest("r"))]
)  # fmt: skip
def test_nothing_else_than_what_was_shown_is_signed(field: str, value: str) -> None:
    said = Approval(site="bravo", bundle=WAITING, digest=digest("a"), report=digest("p"), decision="approve", why="",
                    keyid="0" * 16, created="2026-05-04T14:00:00Z", not_after="2026-05-07T14:00:00Z")  # fmt: skip
    seen = Signed(digest("a"), digest("p"))
    require_seen(encode(said), WAITING, "approve", seen)
    with pytest.raises(RefusedError):
        require_seen(encode(msgspec.structs.replace(said, **{field: value})), WAITING, "approve", seen)
