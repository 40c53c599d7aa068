"""Whether a bundle's source may write where a release would: by policy, and by whose the tags are by the audit log.

Claims in the database are rows, which somebody may have deleted. The release's transaction asks them once more, for
what was released since the log was read.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.intake.content import Checked
from appliance.release_check.tag_owners import TagOwners
from appliance.settings.approvals import FILE, Policy
from appliance.settings.sources import Writes
from appliance.station import Station
from appliance.store.reads.tag_claims import foreign_claim
from bundles.errors import RefusedError
from bundles.format.manifest import BundleManifest


def require_may_write(
    station: Station, policy: Policy, manifest: BundleManifest, checked: Sequence[Checked]
) -> tuple[str, ...]:
    """The repositories that the policy names for the bundle's source, among those of the artifacts to be released: the
    source may move other sources' tags there.

    Raises RefusedError for a repository that the policy does not let the source write, or a tag that another source's
    release stands for and that would move where the policy does not name its repository.
    """
    writes = Writes(manifest.source, policy.sources)
    for one in checked:
        repository = one.artifact.repository
        if not writes.allows(repository):
            raise RefusedError(
                f"{FILE} does not let {manifest.source} write this repository",
                thing=f"{manifest.id}: {repository}",
                remedy=_remedy(manifest.source, repository),
            )
    named = {one.artifact.repository for one in checked if writes.names(one.artifact.repository)}
    owners = TagOwners(station, {one.artifact.repository for one in checked} - named)
    for one in checked:
        if one.artifact.repository not in named:
            _require_own_tags(station, owners, manifest, one)
    return tuple(sorted(named))


def _require_own_tags(station: Station, owners: TagOwners, manifest: BundleManifest, one: Checked) -> None:
    repository = one.artifact.repository
    for tag in one.artifact.tags:
        if station.metadata.tag_target(repository, tag) == one.artifact.digest:
            continue
        owner = foreign_claim(owners(repository, tag), manifest.source)
        if owner is not None:
            raise RefusedError(
                "the tag was released from another source",
                thing=f"{manifest.id}: {repository}:{tag}, put at {owner.digest} by {owner.bundle} of {owner.source}",
                remedy=_remedy(manifest.source, repository),
            )


def _remedy(source: str, repository: str) -> str:
    return f"name {repository} for {source} under [[sources]] of {FILE}, or release the rest alone with --only"
