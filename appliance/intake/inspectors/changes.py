"""Changes: what the release would change in what this station serves, and what is new since the last bundle."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.intake.inspectors.port import Listing, Subject, listed
from appliance.settings.sources import Writes
from appliance.store.reads.tag_claims import TagClaim, foreign_claim
from bundles.documents.signed import Section
from bundles.format.manifest import BundleManifest
from bundles.io.display import some


def inspect(subject: Subject) -> Section:
    """Each tag as new, moved (with the digest it leaves, and the bundle and source that put it there) or unchanged.

    A moved tag is worth a look: `note`. `fail` where the policy does not let the source write a repository, or where a
    tag of another source would move and the policy does not name its repository for this one.
    """
    manifest = subject.opened.manifest
    writes = Writes(manifest.source, subject.sources)
    new, moved, unchanged = (Listing[dict[str, str]](name) for name in ("new", "moved", "unchanged"))
    foreign = Listing[dict[str, str]]("of_another_source")
    not_allowed = 0
    for entry in subject.checked:
        artifact = entry.artifact
        for tag in artifact.tags:
            reference = f"{artifact.repository}:{tag}"
            served = subject.metadata.tag_target(artifact.repository, tag)
            if served == artifact.digest:
                unchanged.add({"reference": reference, "digest": artifact.digest})
                continue
            claims = subject.owners(artifact.repository, tag)
            if served is None:
                new.add({"reference": reference, "digest": artifact.digest})
            else:
                moved.add({"reference": reference, "from": served, "to": artifact.digest, **_put_by(claims, served)})
            if owner := foreign_claim(claims, manifest.source):
                foreign.add({"reference": reference, "from": owner.digest, "source": owner.source,
                             "bundle": owner.bundle})  # fmt: skip
                not_allowed += not writes.names(artifact.repository)
    outside = sorted({one.artifact.repository for one in subject.checked if not writes.allows(one.artifact.repository)})
    details = new.details() | moved.details() | unchanged.details()
    details |= (foreign.details() if foreign else {}) | (listed("not_allowed", outside) if outside else {})
    summary = f"{len(new)} new, {len(moved)} moved, {len(unchanged)} unchanged tags"
    if foreign:
        verdict = ", which the policy does not let it move" if not_allowed else ""
        summary += f"; {some(len(foreign), 'tag')} of another source than {manifest.source}{verdict}"
    if outside:
        summary += (
            f"; {some(len(outside), 'repository', 'repositories')} that the policy does not let {manifest.source} write"
        )
    if subject.previous is not None:
        before, now = _names(subject.previous), _names(manifest)
        added, gone = sorted(now - before), sorted(before - now)
        details["since"] = {"bundle": subject.previous.id, **listed("added", added), **listed("not_carried", gone)}
        summary += f"; {some(len(added), 'artifact')} that {subject.previous.id} did not have"
    outcome = "fail" if outside or not_allowed else "note" if moved else "ok"
    return Section(inspector="changes", outcome=outcome, summary=summary, details=details)


def _put_by(claims: Iterable[TagClaim], served: str) -> dict[str, str]:
    """The newest release that put a tag where it is; nothing where no release did."""
    found = [claim for claim in claims if claim.digest == served]
    return {"source": found[-1].source, "bundle": found[-1].bundle} if found else {}


def _names(manifest: BundleManifest) -> set[str]:
    return {f"{artifact.repository}@{artifact.digest}" for artifact in manifest.artifacts}
