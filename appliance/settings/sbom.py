"""The scanner of SBOMs that a station runs: `[sbom]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import msgspec


class SbomSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sbom]`. `syft`: the path of a binary in the place of the installed one, with its `sha256`; empty: the installed
    one. `on_push`: whether images that are shown and have no SBOM made here get one by themselves."""

    syft: str = ""
    sha256: str = ""
    on_push: bool = False
