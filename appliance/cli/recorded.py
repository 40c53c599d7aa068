"""Acts on a station's folder that need no running station (see `appliance.observe.recorded`)."""

from __future__ import annotations

from appliance.observe.recorded import actor, recorded

__all__ = ["actor", "recorded"]
