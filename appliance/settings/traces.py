"""Spans of requests and jobs: `[traces]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from appliance.limits import station as limits
from appliance.settings.form_kinds import Form, whole


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`percent`: the share of requests whose spans are recorded; 0: none, and none of jobs. `megabytes`: what the files
    of all the station's processes may have together."""

    percent: float = 0.0
    megabytes: int = 100


def _is_percent(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value <= 100


TRACES: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "traces.percent": Form("a number of percent from 0 to 100", _is_percent),
        "traces.megabytes": whole(*limits.TRACE_MEGABYTES, " of megabytes"),
    }
)
"""What its settings may be."""
