"""One tag of a primary, taken as a collect takes it, and shown here only where the tag stands as it was compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.jobs.kinds import JobContext
from appliance.outgoing.collect.arrivals import Arrivals
from appliance.outgoing.collect.collector import Collector
from appliance.outgoing.collect.tasks import FirstAlone
from appliance.replication.look import Difference
from appliance.replication.primary import Primary
from appliance.settings.client_writes import ClientWrites
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.outgoing import AddArtifacts
from appliance.store.writes.replicas import FollowEnd, FollowTag
from bundles.errors import FailedError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.left_out import left_out_by
from bundles.oci.manifest import INDEX_TYPES, Manifest


class Follower(Collector):
    """Takes what a primary shows at one tag. Tags by which things are attached to it are followed for themselves: each
    is compared, and none moves here because another one does."""

    def __init__(
        self,
        context: JobContext,
        replica: str,
        primary: Primary,
        difference: Difference,
        arrivals: Arrivals,
        shows: FirstAlone,
    ) -> None:
        if difference.source is None or difference.root is None:
            raise LookupError("a tag that is gone there has nothing to be taken")
        super().__init__(context, difference.source, difference.root, arrivals, shows)
        self._replica, self._difference, self._primary = replica, difference, primary
        self._absent: frozenset[Digest] = frozenset()

    async def take(self) -> None:
        """As Collector. What was left out of an index when the primary collected it is not asked for."""
        root = self._root.descriptor
        if root.media_type in INDEX_TYPES:
            said = await self._primary.referrers(self._difference.repository, root.digest)
            self._absent = frozenset(
                digest for one in said for digest in left_out_by(one.artifact_type, one.annotations)
            )
        await super().take()

    def _children(self, index: Descriptor, manifest: Manifest) -> Sequence[Descriptor]:
        """As Collector, without what the primary left out."""
        return [child for child in super()._children(index, manifest) if child.digest not in self._absent]

    def _may_write(self) -> ClientWrites:
        """As Collector: here it is the settings of the replica that say what is followed."""
        return ClientWrites(None, keeps_released=self._station.config.side == "inside")

    def _show(self, detail: dict[str, Any], write: AddArtifacts) -> None:
        """As Collector, for the one tag."""
        if self._unasked_of:
            raise FailedError("the primary did not say what refers to it", thing=str(self._root.target))
        one = self._difference
        followed = FollowTag(
            repository=write.repository, blobs=write.blobs, manifests=write.manifests, at=write.at,
            tags=((one.tag, one.there),), keeps_released=write.keeps_released, stays=write.stays,
            replica=self._replica, stood=one.here,
        )  # fmt: skip
        detail = {key: value for key, value in detail.items() if key != "attached"}
        detail |= {"replica": self._replica, "before": one.here}
        if self._absent:
            detail["left_out"] = sorted(map(str, self._absent))
        event = AuditEvent(Act.REPLICA_FOLLOW, self._context.actor, f"{one.repository}:{one.tag}", "done", detail)
        with recording(self._station.audit, event):
            self._station.writer.submit(followed)


def follow_block(context: JobContext, replica: str, digest: str, why: str, at: str) -> None:
    """Block here what is blocked at the primary; recorded first. Blocking."""
    said = f"blocked at {replica}: {why}"
    event = AuditEvent(Act.BLOCK, context.actor, digest, "done", {"why": said, "at": at, "replica": replica})
    with recording(context.station.audit, event):
        context.station.writer.submit(Block(digest=digest, why=said, actor=context.actor, at=at))


def follow_end(context: JobContext, replica: str, difference: Difference, at: str) -> None:
    """Let a tag go here that is gone at its primary; recorded first. Blocking. Raises RefusedError where it moved."""
    event = AuditEvent(
        Act.DELETE_TAG, context.actor, f"{difference.repository}:{difference.tag}", "done",
        {"replica": replica, "before": difference.here},
    )  # fmt: skip
    write = FollowEnd(
        repository=difference.repository, tag=difference.tag, replica=replica, stood=difference.here, at=at,
        keeps_released=context.station.config.side == "inside",
    )  # fmt: skip
    with recording(context.station.audit, event):
        context.station.writer.submit(write)
