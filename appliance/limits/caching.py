"""Ceilings of pull-through caches."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

CACHES: Final = 32
"""Pull-through caches of one station."""

CACHE_TAG_MINUTES: Final = 60 * 24 * 365
CACHE_MISSING_SECONDS: Final = 24 * 60 * 60
"""The longest for which a tag stands, and for which what an upstream does not have is not asked for again: a year, and
a day."""

CACHE_STALE_WAIT: Final = 10.0
"""Seconds that a client waits for the upstream where the station has the tag as it stood: nodes that start wait no
longer for a registry that does not answer. The upstream is waited for all the same, and the next client is told."""

CACHE_WAIT: Final = 90.0
"""As CACHE_STALE_WAIT, where the station has nothing; clients give a registry a minute or two."""

CACHE_AWAY: Final = 15.0
"""Seconds for which an upstream that failed is not asked again: each client that waited would wait for nothing."""

CACHE_LINE: Final = 60 * 60.0
"""Seconds after which an upstream's connections and tokens are begun anew: what was counted of it begins anew too."""

CACHE_SOURCES: Final = 500
"""Repositories of one upstream whose tokens are at hand."""

CACHE_AT_ONCE: Final = 256
"""Things that are fetched for all caches together, each of which has an equal part: each has a task, and a large blob
a file."""

CACHE_MEMORY: Final = 20_000
"""What is remembered of failures and of what upstreams do not have, and the sizes of blobs that manifests named."""

CACHE_PASSED: Final = 4 * MIB
"""Blobs from this size on are sent to a client while they arrive; smaller ones are there before it matters."""

CACHE_LOOK: Final = 0.1
"""Seconds between two looks how far an arriving blob is."""

CACHE_WARMED: Final = 500
"""References of one warm-up: the images of a large roll-out."""

CACHE_WARM_AT_ONCE: Final = 4
"""References, and then blobs, that a warm-up asks for at once: an upstream's other slots are for clients."""

CACHE_WARM_LOOK: Final = 0.5
"""Seconds between two looks of a warm-up whether it was cancelled."""

CACHE_ASK: Final = 4 * KIB
CACHE_ANSWER: Final = 16 * KIB
"""Bytes of a worker's question to the process that fetches, and of an answer's line."""
