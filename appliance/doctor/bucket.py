"""The bucket that has a station's blobs, as this machine reaches it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.doctor.examined import Examined
from appliance.paths import StationPaths
from appliance.store.bucket_note import noted
from appliance.store.opening import open_store


def look_at_bucket(paths: StationPaths) -> Iterator[Examined]:
    """The check `bucket`: whether it answers with the station's access key, and is the station's. One request; changes
    nothing."""
    found = noted(paths)
    if found is None:
        return
    open_store(paths).require_here()
    yield Examined(name="bucket", state="ok", detail=f"{found.url} at {found.endpoint} answers, and is this station's")
