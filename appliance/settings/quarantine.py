"""How much of the store a source may fill with what nobody has decided: `[quarantine]` of config.toml
(docs/reference/configuration.md)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from appliance.settings.form_kinds import Form, passes, whole
from bundles.oci.reference import check_site

_BYTES: Final = whole(0, 1 << 50, " of bytes")


class SiteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[quarantine.sites.SITE]`: the bytes of that site in the place of `source_bytes`, 0 for any number."""

    bytes: int = 0


class QuarantineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[quarantine]`. `source_bytes`: bytes of a source's undecided bundles at most, 0 for any number."""

    source_bytes: int = 0
    sites: dict[str, SiteSettings] = {}

    def quota(self, site: str) -> int:
        """The bytes of a site, 0 for any number."""
        named = self.sites.get(site)
        return self.source_bytes if named is None else named.bytes


QUARANTINE: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "quarantine.source_bytes": _BYTES,
        "quarantine.sites": Form(
            "a table for each site, as [quarantine.sites.alpha]", lambda value: isinstance(value, dict),
            name=passes(check_site), inside={"bytes": _BYTES},
        ),
    }
)  # fmt: skip
"""What its settings may be."""
