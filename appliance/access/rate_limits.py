"""Token buckets: how often an account or an address may ask. One process's own, in memory."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from appliance.limits import access as limits


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float
    warned: bool = False


@dataclass(frozen=True, slots=True)
class Empty:
    """A bucket that is empty: seconds until it is worth asking again, and whether nobody has been told yet."""

    seconds: int
    first: bool


class Buckets:
    """A bucket a key, each filled at `rate` a second up to `burst`."""

    def __init__(
        self,
        rate: float,
        burst: float,
        kept: int = limits.BUCKETS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._kept, self._now = rate, burst, kept, now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str) -> Empty | None:
        """Take one from the key's bucket; None where there was one."""
        bucket = self._fill(key)
        if bucket.level >= 1.0:
            bucket.level -= 1.0
            bucket.warned = False
            return None
        first, bucket.warned = not bucket.warned, True
        return Empty(max(1, math.ceil((1.0 - bucket.level) / self._rate)), first)

    def has(self, key: str) -> bool:
        """Whether `take` would find one now; takes none."""
        return self._fill(key).level >= 1.0

    def give(self, key: str) -> None:
        """Put back one that was taken for what turned out not to count."""
        bucket = self._fill(key)
        bucket.level = min(bucket.level + 1.0, self._burst)

    def _fill(self, key: str) -> _Bucket:
        moment = self._now()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._burst, moment)
            if len(self._buckets) > self._kept:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(key)
        level = bucket.level + (moment - bucket.at) * self._rate
        bucket.level = level if level < self._burst else self._burst
        bucket.at = moment
        return bucket
