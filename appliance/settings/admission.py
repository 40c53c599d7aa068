"""What clusters may ask before they admit workloads: `[admission]` of config.toml."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from appliance.settings.form_kinds import Form, passes, texts
from bundles.errors import MalformedError
from bundles.oci.reference import check_registry


class AdmissionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[admission]`. `registries`: the registries, as images name them, whose images are this station's; empty: no
    review is answered."""

    registries: list[str] = msgspec.field(default_factory=list)


def _check_host(value: str) -> None:
    check_registry(value)
    if value != value.lower():
        raise MalformedError("a host in capitals", thing=value)


ADMISSION: Final[Mapping[str, Form]] = MappingProxyType(
    {"admission.registries": texts('registries, in lower case, as "registry.example:5000"', passes(_check_host))}
)
"""What its settings may be."""
