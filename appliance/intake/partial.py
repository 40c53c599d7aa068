"""Whether a bundle may be taken in without all its volumes: the streams that config.toml names."""

from __future__ import annotations

from fnmatch import fnmatchcase

from appliance.station import Station
from bundles.errors import RefusedError


def require_partial_allowed(station: Station, stream: str) -> None:
    """Raises RefusedError where the configuration does not allow it for the stream."""
    if not any(fnmatchcase(stream, pattern) for pattern in station.config.partial_imports):
        raise RefusedError(
            "bundles of this stream are taken in whole",
            thing=stream,
            remedy="bring the volumes that are missing, or name the stream in config.toml's partial_imports",
        )
