"""Channels that passed the policy, kept while nothing changed that their verdicts rest on: the digest, the epoch, the
repository's manifests and tags. A refusal is never kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.api.promotion import Channel
from appliance.limits import registry as limits
from appliance.promotion.channels import standing_channels
from appliance.station import Station
from appliance.store.epoch import Epoch

Name = tuple[str, str]


class _Kept(NamedTuple):
    """A verdict, what it rests on, and until when it counts (time.monotonic): findings' grace and exceptions end, and
    advisories grow old, without a change."""

    mark: tuple[bytes, int, str | None]
    until: float
    channel: Channel


@dataclass(slots=True)
class KeptVerdicts:
    """Judges channels as `standing_channels` does, by the station's `epoch`."""

    epoch: Epoch
    _kept: dict[Name, _Kept] = field(default_factory=dict)

    def __call__(self, station: Station, names: Sequence[Name]) -> list[Channel]:
        """As `standing_channels`. Raises StaleError too."""
        seen = self.epoch.seen()  # before anything is judged: what changes meanwhile makes another mark
        marks = {
            name: (seen, station.metadata.change_of(name[0]), station.metadata.tag_target(*name)) for name in names
        }
        moment = time.monotonic()
        self._kept = {
            name: kept for name, kept in self._kept.items() if marks.get(name) == kept.mark and moment < kept.until
        }
        found = {name: kept.channel for name, kept in self._kept.items()}
        new = [name for name in names if name not in found]
        for name, channel in zip(new, standing_channels(station, new), strict=True):
            found[name] = channel
            if channel.verdict in ("passes", "warns"):
                self._kept[name] = _Kept(marks[name], moment + limits.PROMOTION_VERDICT_KEPT, channel)
        return [found[name] for name in names]
