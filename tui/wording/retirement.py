"""A retirement in words."""

from __future__ import annotations

from appliance.api.retirement import Retired
from bundles.io.display import safe


def retirement(one: Retired) -> str:
    """From when on, what takes its place, and why; safe for a terminal."""
    said = "retired since" if one.over else "to be retired on"
    why = f" ({one.reason})" if one.reason else ""
    return safe(f"{said} {one.after[:10]}, successor {one.successor}{why}")
