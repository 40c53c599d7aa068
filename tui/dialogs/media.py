"""The media to choose from, wherever a bundle is looked for on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.api.bundles import Medium
from bundles.io.display import safe
from tui.dialogs.choose import Option

ELSEWHERE: Final = "another folder"
"""The option for what is no mounted medium."""


def media_options(media: Sequence[Medium]) -> list[Option]:
    """Each bundle on each medium, then the media without one, then ELSEWHERE."""
    options = [
        Option(f"{medium.path}/{bundle}", safe(bundle), f"on {safe(medium.path)}  {safe(medium.label)}")
        for medium in media
        for bundle in medium.bundles
    ]
    options += [
        Option(medium.path, safe(medium.path), safe(medium.label), "no bundle is on it")
        for medium in media
        if not medium.bundles
    ]
    return [*options, Option(ELSEWHERE, ELSEWHERE, "type its path")]
