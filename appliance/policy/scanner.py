"""The scanner of SBOMs that a station runs: `[sbom]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import os
import re
from typing import Final

import msgspec

from bundles.errors import UsageError

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")


class SbomSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sbom]`. `syft`: the path of a binary in the place of the installed one, with its `sha256`; empty: the installed
    one."""

    syft: str = ""
    sha256: str = ""

    def check(self) -> None:
        """Raises UsageError naming what is wrong."""
        if not self.syft and not self.sha256:
            return
        if not self.syft.startswith("/") or os.path.normpath(self.syft) != self.syft or "\0" in self.syft:
            raise UsageError("[sbom] syft is not a whole path", thing=repr(self.syft)[:80])
        if not _SHA256.match(self.sha256):
            raise UsageError("[sbom] sha256 is not 64 lower-case hex digits", thing=repr(self.sha256)[:80])
