"""Repositories says how many manifests of the one under the cursor no tag leads to, and what lists them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.api.common import Page
from appliance.api.content import Repository
from tests.console.doubles.station import DemoStation


class Overwritten(DemoStation):
    """A station whose repositories have manifests without a tag."""

    count: int | None = 1_234

    async def repositories(self, **query: Any) -> Page[Repository]:
        page = await super().repositories(**query)
        return Page(tuple(msgspec.structs.replace(one, untagged=self.count) for one in page.items))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_manifests_without_a_tag_are_counted_below_the_list(drive: Any, size: tuple[int, int]) -> None:
    async with drive(station=Overwritten(), size=size) as console:
        await console.press("2")
        text = str(console.screen())
    assert "1,234 without a tag: lockgate repo show --untagged" in text


@pytest.mark.parametrize("count", [0, None])
async def test_none_of_them_says_nothing(drive: Any, count: int | None) -> None:
    station = Overwritten()
    station.count = count
    async with drive(station=station) as console:
        await console.press("2")
        assert "without a tag" not in str(console.screen())
