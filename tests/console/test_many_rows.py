"""Long lists: painted by the visible rows, paged from the station, and light to hold."""

from __future__ import annotations

from typing import Any

from appliance.api.common import Page
from appliance.api.content import Tag
from tests.console.doubles.station import DemoStation

MANY = 100_000
IMAGE = "application/vnd.oci.image.manifest.v1+json"


class Large(DemoStation):
    """A repository of a hundred thousand tags."""

    asked = 0

    async def tags(
        self, repository: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[Tag]:
        self.asked += 1
        start = int(after) + 1 if after else 0
        numbers = [n for n in range(start, min(start + limit, MANY)) if matching in f"build-{n:06d}"]
        made = (
            Tag(
                tag=f"build-{n:06d}", digest=f"sha256:{n:064x}", media_type=IMAGE, kind="image", size=n, total_size=n,
                updated="2026-05-04T14:00:00Z",
            )
            for n in numbers
        )  # fmt: skip
        last = min(start + limit, MANY)
        return Page(tuple(made), str(last - 1) if last < MANY else None)


async def test_a_page_is_asked_for_when_the_cursor_comes_near_its_end(drive: Any) -> None:
    station = Large()
    async with drive(station=station) as console:
        await console.press("2", "enter")
        before = station.asked
        table = console.app.shown.tags
        first = table.row_count
        assert first < MANY
        await console.press("pagedown")
        assert station.asked == before, "what is far from the end asks for nothing"
        await console.press("end")
        assert table.row_count > first
        assert table.cursor == first - 1


async def test_end_pressed_again_and_again_walks_through_everything(drive: Any) -> None:
    station = Large()
    async with drive(station=station) as console:
        await console.press("2", "enter")
        table = console.app.shown.tags
        for _ in range(12):
            await console.press("end")
        assert table.row_count == table.cursor + 1 + (table.row_count - table.cursor - 1)
        assert table.current.tag == f"build-{table.cursor:06d}"
        assert len({record.tag for record in table.records}) == table.row_count, "no row twice"


async def test_ten_thousand_rows_are_painted_by_the_visible_ones(drive: Any) -> None:
    async with drive() as console:
        await console.press("2", "enter")
        table = console.app.shown.tags
        painted: list[int] = []
        inner = table.row

        def counted(index: int, width: int) -> Any:
            painted.append(index)
            return inner(index, width)

        record = table.records[0]
        import msgspec

        table.show([msgspec.structs.replace(record, tag=f"t{n:05d}") for n in range(10_000)])
        await console.rest()
        table.row = counted
        await console.press("end")
        assert console.screen().count("t09") >= 15
        assert len(painted) < 100
        painted.clear()
        await console.press("up")
        assert len(painted) <= 4, "a cursor move paints the two rows it leaves and enters"


async def test_the_cursor_stays_on_its_row_when_the_list_is_loaded_again(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "down", "down")
        there = console.app.shown.table.current.id
        console.inside.entries.insert(0, console.inside.entries.pop())
        await console.press("r")
        assert console.app.shown.table.current.id == there
