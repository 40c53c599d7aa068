"""Which workloads of clusters were admitted with a digest."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import NamedTuple

from appliance.limits import admission as limits
from appliance.store.errors import UnavailableEngineError
from appliance.store.ports import Reader


class Workload(NamedTuple):
    """An image that was admitted, and when last; the fields are those of appliance.store.writes.workloads."""

    cluster: str
    namespace: str
    workload: str
    repository: str
    digest: str
    at: str


def every_workload(reader: Reader) -> Iterator[Workload]:
    """All that are remembered, the last ones first, read as the caller goes."""
    rows = reader.execute(
        "SELECT cluster, namespace, workload, repository, digest, at FROM workloads"
        " ORDER BY at DESC, cluster, namespace, workload, repository, digest"
    )
    return (Workload(*row) for row in rows)


def workloads_with(reader: Reader, digests: Collection[str]) -> list[Workload]:
    """The workloads that were admitted with any of some digests, the last ones first; so many at most. A database of an
    earlier version, which a folder command may read before the station was started again, remembers none."""
    try:
        rows = reader.execute(
            "SELECT w.cluster, w.namespace, w.workload, w.repository, w.digest, w.at FROM json_each(?) j"
            " JOIN workloads w ON w.digest = j.value ORDER BY w.at DESC, w.cluster, w.namespace, w.workload LIMIT ?",
            (json.dumps(sorted(digests)), limits.WORKLOADS_NAMED),
        )
        return [Workload(*row) for row in rows]
    except UnavailableEngineError as error:
        if "no such table" in str(error):
            return []
        raise
