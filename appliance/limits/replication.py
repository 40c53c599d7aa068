"""Ceilings of following another station."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

REPLICAS: Final = 8
"""Stations that one config.toml names to be followed."""

REPLICA_EVERY: Final = (2, 86_400)
"""Seconds between two looks at a primary, at least and at most."""

REPLICA_AT_ONCE: Final = 6
"""Repositories that are compared at once, and artifacts that are taken at once; the client bounds its requests."""

REPLICA_TOLD: Final = 20
"""Tags of a repository that are told with what stands in their way; the others are counted."""

REPLICA_TAKEN: Final = 200
"""Tags that one sync is told to take as the primary has them."""

REPLICA_GONE: Final = (10, 0.1)
"""Tags that may go at one look, and the share of those that were followed: more is a primary that lost its content."""

REPLICA_STATE: Final = 32 * MIB
"""What is kept of how a replica stands."""

REPLICA_SECRET: Final = 4 * KIB
"""A file with a robot's secret."""

REPLICA_BEGIN: Final = 5.0
"""Seconds between two looks whether each replica is followed."""

REPLICA_BEGIN_AGAIN: Final = 60.0
"""Seconds until a replica is followed again whose job failed."""

REPLICA_LATE: Final = 600
"""Seconds without a look that found everything equal after which a replica's health is not well."""

REPLICA_SERIES: Final = 100
"""Repositories of one replica that have a metric of their own: those that lag the most."""
