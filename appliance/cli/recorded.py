"""Acts on a station's folder that need no running station (see `appliance.audit.folder_acts`)."""

from __future__ import annotations

from appliance.audit.folder_acts import actor, recorded

__all__ = ["actor", "recorded"]
