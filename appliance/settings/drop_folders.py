"""Folders that bundles are dropped into: `[drop_folders.NAME]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import msgspec


class DropFolderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A drop folder: `path` is its whole path, without links on the way."""

    path: str = ""
