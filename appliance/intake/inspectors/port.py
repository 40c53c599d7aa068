"""The inspectors' port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.intake.content import Checked
from appliance.station import Station
from bundles.documents import Section
from bundles.verdict import Opened


@dataclass(frozen=True, slots=True)
class Subject:
    """What is inspected: the bundle as its signatures have it, and every artifact's manifest as it was read here."""

    station: Station
    opened: Opened
    checked: list[Checked]


Inspector = Callable[[Subject], Section]
"""Looks at the subject and says what it found; raises a LockgateError where it could not look."""
