"""Recall: of a key that is no longer believed, or content that turned out bad, where it went and who has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from appliance.api.recall import Pull, Recall, RecalledBundle, RecalledTag, RecalledWorkload
from appliance.audit.acts import Act, mark
from appliance.audit.reading import begins, own_events
from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.paths import StationPaths
from appliance.store.opening import open_store
from appliance.store.ports import Blobs, Reader
from appliance.store.reads.blocks import blocked_of
from appliance.store.reads.intake import concerned, manifest_bytes
from appliance.store.reads.links import is_shown, put_by, showing, tag_target, tags_of, was_released
from appliance.store.reads.outgoing import built_bundles, carrying
from appliance.store.reads.workloads import workloads_with
from appliance.store.writes.custody import Withdraw
from bundles import limits
from bundles.errors import LockgateError, NotFoundError
from bundles.format.manifest import Artifact, BundleManifest
from bundles.format.manifest_codec import decode
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest

_EVERYTHING = "everything"
_OF_A_BUNDLE: Final = ("id", "digest", "state", "how", "direction")
_STILL: Final = 1_000


def recall(reader: Reader, paths: StationPaths, thing: str) -> Recall:
    """Where a keyid, a digest or a `repository:tag` went.

    `bundles` are those that the key signed or decided about, or that held the digest (as an artifact or a blob), in
    and out; `tags` where what holds it was released to, an index above an image too, each with the `bundle` whose
    release put it there, and where it is shown besides (`bundle` is empty: clients and collects). `shown` is yes, no,
    `now DIGEST` of a tag that stands elsewhere, or `blocked`: people blocked it, or what was asked about. `pulls` is
    who took any of that, the last time and how often, as far back as the audit log reaches (`pulls_since`), and
    `workloads` what clusters were admitted with it.
    Raises NotFoundError where no bundle and no workload has anything to do with it.
    """
    digest = _digest(reader, thing)
    bundles = [*_incoming(reader, digest), *_outgoing(reader, paths, digest)]
    if not bundles and not workloads_with(reader, {digest}):
        raise NotFoundError(
            "no bundle has anything to do with it",
            thing=thing,
            remedy="give the keyid or digest of what a bundle carried; see: lockgate key list",
        )
    blobs = open_store(paths)
    tags: dict[str, dict[str, str]] = {}
    holding = set[str]() if bundles else {digest}
    for bundle in bundles:
        manifest = _manifest(reader, paths, bundle)
        found = [] if manifest is None else _holders(blobs, manifest, _EVERYTHING if ":" not in digest else digest)
        for artifact in found:
            holding.add(artifact.digest)
            for tag in artifact.tags or ([""] if artifact.digest == digest else []):
                by = _put_by(reader, bundle, artifact, tag)
                if by is not None:  # of one that was made here nothing follows for a tag that another one brought
                    name = f"{artifact.repository}:{tag}" if tag else f"{artifact.repository}@{artifact.digest}"
                    by = by or tags.get(name, {}).get("bundle", "")
                    tags[name] = {"reference": name, "digest": artifact.digest, "bundle": by}
    for became in tags.values():
        became["shown"] = _shown(reader, became["reference"], became["digest"])
    for name, item in _elsewhere(reader, holding, tags):
        tags[name] = {"reference": name, "digest": item, "bundle": "", "shown": "yes"}
    blocked = blocked_of(reader, {digest, *holding})
    for became in tags.values():
        if became["shown"] == "yes" and not blocked.isdisjoint((digest, became["digest"])):
            became["shown"] = "blocked"
    pulls, since = _pulls(paths, holding)
    shown = (RecalledBundle(**{key: bundle[key] for key in _OF_A_BUNDLE}) for bundle in bundles)
    return Recall(
        thing=thing,
        bundles=tuple(shown),
        tags=tuple(RecalledTag(**tags[name]) for name in sorted(tags)),
        pulls=pulls,
        pulls_since=since,
        workloads=tuple(
            RecalledWorkload(
                cluster=one.cluster, namespace=one.namespace, workload=one.workload,
                reference=f"{one.repository}@{one.digest}", at=one.at,
            )
            for one in workloads_with(reader, {digest, *holding})
        ),
    )  # fmt: skip


def _digest(reader: Reader, thing: str) -> str:
    """What a `repository:tag` stands at; anything else is itself."""
    repository, _, tag = thing.rpartition(":")
    target = tag_target(reader, repository, tag)
    return thing.rpartition("@")[2] if target is None else target


def _incoming(reader: Reader, thing: str) -> list[dict[str, str]]:
    return [
        {"id": one.id, "digest": one.digest, "state": one.state, "how": one.how, "direction": "in"}
        for one in concerned(reader, thing)
    ]


def _outgoing(reader: Reader, paths: StationPaths, thing: str) -> list[dict[str, str]]:
    """The bundles of this station's own that carried it or were signed with it, with what the inside told of them."""
    carried = carrying(reader, thing)
    found = []
    for one in built_bundles(reader):
        how = "carried it" if one.id in carried else ""
        if not how and ":" not in thing:
            fixed = SealedBundle.load(paths.job(one.job)) if paths.job(one.job).is_dir() else None
            how = "signed it" if fixed is not None and fixed.manifest.id == one.id and thing in fixed.signed_by else ""
        if how:
            found.append(
                {"id": one.id, "digest": one.digest, "state": one.state, "how": how, "direction": "out", "job": one.job}
            )
    return found


def _manifest(reader: Reader, paths: StationPaths, bundle: dict[str, str]) -> BundleManifest | None:
    if bundle["direction"] == "in":
        try:
            return decode(manifest_bytes(reader, bundle["digest"]))
        except LockgateError:  # a row that was edited by hand hides nothing of the others
            return None
    fixed = SealedBundle.load(paths.job(bundle["job"])) if paths.job(bundle["job"]).is_dir() else None
    return fixed.manifest if fixed is not None and fixed.manifest.id == bundle["id"] else None


def _holders(blobs: Blobs, manifest: BundleManifest, digest: str) -> list[Artifact]:
    """The artifacts that are the digest, name it, or stand above one that does. Where a manifest's bytes are no longer
    here nobody can say, and the artifact is among them."""
    if digest == _EVERYTHING:
        return list(manifest.artifacts)
    named = {artifact.digest: _names(blobs, artifact) for artifact in manifest.artifacts}
    holding = {digest}
    size = 0
    while size != len(holding):
        size = len(holding)
        holding |= {one for one, names in named.items() if names is None or not holding.isdisjoint(names)}
    return [artifact for artifact in manifest.artifacts if artifact.digest in holding]


def _names(blobs: Blobs, artifact: Artifact) -> set[str] | None:
    try:
        with blobs.open_blob(Digest.parse(artifact.digest)) as file:
            found = parse_manifest(file.read(limits.OCI_MANIFEST + 1), artifact.mediaType)
    except LockgateError:
        return None
    return {str(one.digest) for one in (*found.blobs, *found.manifests)}


def _put_by(reader: Reader, bundle: dict[str, str], artifact: Artifact, tag: str) -> str | None:
    """Whose release put an artifact of a bundle there: another's too, where that one's was the last. "" for a bundle
    that was made here of what no release put there; None where this bundle's was never released there."""
    by = put_by(reader, artifact.repository, tag, artifact.digest)
    if by is None and bundle["direction"] == "out":
        return ""
    if by is None and bundle["state"] != "released" and was_released(reader, bundle["digest"]):
        return bundle["id"]  # it was taken back since
    return by


def _shown(reader: Reader, reference: str, digest: str) -> str:
    """`yes`, `no`, or where the tag stands now."""
    if "@" in reference:
        return "yes" if is_shown(reader, reference) else "no"
    repository, _, tag = reference.rpartition(":")
    target = tag_target(reader, repository, tag)
    return "no" if target is None else "yes" if target == digest else f"now {target}"


def _elsewhere(reader: Reader, digests: set[str], known: dict[str, dict[str, str]]) -> list[tuple[str, str]]:
    """Each (reference, digest) that is shown and that no bundle names: a client pushed or mounted it, or set a tag."""
    found = []
    named = {(name.rpartition(":")[0], one["digest"]) for name, one in known.items()}
    for repository, shown in sorted(showing(reader, digests).items()):
        tags = tags_of(reader, repository)
        for item in sorted(shown):
            names = [f"{repository}:{tag}" for tag, target in sorted(tags.items()) if target == item]
            if not names and (repository, item) not in named:
                names = [f"{repository}@{item}"]
            found += [(name, item) for name in names if name not in known]
    return found


def still_shown(reader: Reader, write: Withdraw) -> list[str]:
    """What a withdrawal took back and is shown all the same, since another release, a push or a collect stands for it:
    `repository@digest`, a thousand at most."""
    shown = showing(reader, {one.manifest for one in write.names})
    return sorted(f"{repository}@{item}" for repository, items in shown.items() for item in items)[:_STILL]


def _pulls(paths: StationPaths, digests: set[str]) -> tuple[tuple[Pull, ...], str]:
    """Who pulled any of the digests, and when the audit log begins."""
    who: dict[tuple[str, str], Pull] = {}
    for event in own_events(paths, mark(Act.PULL)):
        if event["act"] != Act.PULL or event["thing"].rpartition("@")[2] not in digests:
            continue
        key = (event["actor"], event["thing"])
        pull = who.get(key) or Pull(actor=event["actor"], thing=event["thing"], last=event["time"], count=0)
        address = event["detail"].get("from", "")
        addresses = (address,) if address and address not in pull.addresses else ()
        count = pull.count + event["detail"].get("count", 1)
        who[key] = msgspec.structs.replace(pull, count=count, addresses=pull.addresses + addresses)
    return tuple(sorted(who.values(), key=lambda pull: (pull.thing, pull.actor))), begins(paths.audit)


def lines(found: Recall) -> Iterable[tuple[list[tuple[object, ...]], tuple[str, ...]]]:
    """A recall as tables: rows and head of bundles, tags and pulls."""
    yield [(one.id, one.state, one.how, one.digest) for one in found.bundles], ("BUNDLE", "STATE", "AS", "DIGEST")
    yield [(one.reference, one.shown, one.bundle) for one in found.tags], ("TAG", "SHOWN", "FROM")
    yield (
        [(one.actor, one.count, one.last, " ".join(one.addresses), one.thing) for one in found.pulls],
        ("PULLED BY", "TIMES", "LAST", "FROM", "WHAT"),
    )
    yield (
        [(one.cluster, one.namespace, one.workload, one.at, one.reference) for one in found.workloads],
        ("CLUSTER", "NAMESPACE", "WORKLOAD", "ADMITTED", "WHAT"),
    )
