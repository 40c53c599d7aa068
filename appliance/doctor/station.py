"""A whole station: its settings, what it says of itself, and what it relies on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from appliance.doctor.bucket import look_at_bucket
from appliance.doctor.engine import CONFIGURATION, look_at_engine
from appliance.doctor.examined import Examined, Look, State, examine
from appliance.doctor.keeping import look_at_certificates, look_at_permissions
from appliance.doctor.knowledge import look_at_advisories, look_at_syft
from appliance.doctor.machine import look_at_clock, look_at_disk, look_at_media, look_at_programs
from appliance.paths import StationPaths
from appliance.serve.preflight import objections
from appliance.settings.approvals import load_policy
from appliance.settings.station import Config, load_config
from bundles.errors import LockgateError, UsageError

CHECKS: Final = (
    "disk", "clock", "certificates", "key files", "malware", "syft", "advisories", "media", "programs",
)  # fmt: skip
"""The looks beside the settings and the station's own checks."""


def doctor(
    paths: StationPaths, asked: Mapping[str, Any] | LockgateError, clamd: Path = CONFIGURATION
) -> list[Examined]:
    """Examine a station's folder and machine. `asked` is what the station answered of its status
    (docs/reference/control-api.md, Status), or why it did not. Blocking; changes nothing."""
    try:
        config = load_config(paths.config)
    except LockgateError as error:
        unknown = "config.toml cannot be read"
        broken = Examined.of_error("config.toml", error, "wrong" if isinstance(error, UsageError) else "not-checked")
        skipped = [Examined(name=name, state="not-checked", detail=unknown) for name in CHECKS]
        return [broken, *of_station(asked), *skipped]
    looks = [
        Look("config.toml", lambda: _settings(paths, config)),
        Look("station", lambda: of_station(asked)),
        Look("disk", lambda: look_at_disk(paths)),
        *([Look("bucket", lambda: look_at_bucket(paths))] if config.blobs.url else []),
        Look("clock", lambda: look_at_clock(paths)),
        Look("certificates", lambda: look_at_certificates(paths, config)),
        Look("key files", lambda: look_at_permissions(paths, config)),
        Look("malware", lambda: look_at_engine(config.malware, _requires_malware(paths), clamd)),
        Look("syft", lambda: look_at_syft(config.sbom)),
        Look("advisories", lambda: look_at_advisories(paths)),
        Look("media", lambda: look_at_media(config.media_roots)),
        Look("programs", look_at_programs),
    ]
    return examine(looks)


def _settings(paths: StationPaths, config: Config) -> Iterator[Examined]:
    found = objections(paths, config)
    for error in found:
        yield Examined.of_error("config.toml", error)
    if not found:
        yield Examined(name="config.toml", state="ok", detail="nothing to correct")


def _requires_malware(paths: StationPaths) -> bool:
    try:
        return "malware" in load_policy(paths.approvals).required_inspectors
    except UsageError:  # the settings' own check tells that
        return False


def of_station(asked: Mapping[str, Any] | LockgateError) -> Iterator[Examined]:
    """The check `station`, a check `station NAME` for each that it makes of itself, and its further alerts."""
    if isinstance(asked, LockgateError):
        yield Examined.of_error("station", asked, "not-checked")
        return
    yield Examined(
        name="station", state="ok", detail=f"answers, version {asked['version']}, up since {asked['started']}"
    )
    told = set[str]()
    for check in asked["health"]["checks"]:
        state: State = "ok" if check["ok"] else "wrong"
        told.add(f"{check['name']}: {check['detail']}")
        yield Examined(name=f"station {check['name']}", state=state, detail=check["detail"])
    for alert in asked["alerts"]:
        if alert not in told:
            yield Examined(name="station alert", state="attention", detail=alert)
