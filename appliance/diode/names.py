"""Diodes by the names that people type, and the folders that config.toml names for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appliance.settings.diodes import DiodeSettings
from appliance.settings.drop_folders import DropFolderSettings
from appliance.settings.transfer_form import NAME
from bundles.errors import UsageError
from bundles.io.display import safe


def find_diode(diodes: dict[str, DiodeSettings], name: str) -> DiodeSettings:
    """The settings of a diode. Raises UsageError."""
    settings = diodes.get(name) if NAME.match(name) else None
    if settings is None:
        known = f"there are {', '.join(sorted(diodes))}" if diodes else "there is none yet"
        raise UsageError(
            "no such diode", thing=safe(name[:80]),
            remedy=f"{known}; it is named in config.toml as [diodes.NAME]",
        )  # fmt: skip
    return settings


def drop_folder(settings: DiodeSettings, folders: Mapping[str, DropFolderSettings]) -> Path | None:
    """The drop folder that a diode's bundles are delivered into; None of one that sends."""
    found = folders.get(settings.drop_folder)
    return None if found is None else Path(found.path)
