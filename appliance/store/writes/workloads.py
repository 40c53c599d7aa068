"""The transaction of what clusters run."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from appliance.limits import admission as limits
from appliance.store.ports import Connection
from appliance.store.writes.write import Write


class WorkloadRow(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was admitted: `cluster` is the account that asked, `workload` KIND/NAME."""

    cluster: str
    namespace: str
    workload: str
    repository: str
    digest: str


class SawWorkloads(Write, frozen=True):
    """A cluster was told that it may run these. The oldest of more than `limits.WORKLOADS` are forgotten."""

    unrecorded: ClassVar[str] = "what clusters asked about; it decides nothing"
    rows: tuple[WorkloadRow, ...]
    at: str

    def apply(self, db: Connection) -> None:
        db.executemany(
            "INSERT INTO workloads (cluster, namespace, workload, repository, digest, at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (cluster, namespace, workload, repository, digest) DO UPDATE SET at = excluded.at",
            [(one.cluster, one.namespace, one.workload, one.repository, one.digest, self.at) for one in self.rows],
        )
        over = db.execute("SELECT count(*) FROM workloads").fetchone()[0] - limits.WORKLOADS
        if over > 0:
            db.execute(
                "DELETE FROM workloads WHERE (cluster, namespace, workload, repository, digest) IN"
                " (SELECT cluster, namespace, workload, repository, digest FROM workloads ORDER BY at LIMIT ?)",
                (over,),
            )
