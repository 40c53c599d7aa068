"""The canary image that the station pulls from itself: `[probe]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import msgspec

from bundles.oci.reference import Reference


class ProbeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`image`: the reference of the canary, "" for none. `minutes` between two probes, 0: by hand alone. `account`: the
    robot that pulls, "" for nobody. `host`: the name that the certificate must be for, "" for none. `client_cert` and
    `client_key`: what is shown where clients show certificates; files relative to the station's folder, or whole
    paths."""

    image: str = ""
    minutes: int = 5
    account: str = ""
    host: str = ""
    client_cert: str = ""
    client_key: str = ""

    @property
    def reference(self) -> Reference | None:
        """The canary; None where there is none."""
        return Reference.parse(self.image) if self.image else None
