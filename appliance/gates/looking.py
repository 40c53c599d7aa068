"""What the station knows of content, as facts for gates: from its index and its advisories, without reading a layer.

Asked by digest alone, so that content that no repository shows yet is known as well.
"""

from __future__ import annotations

from appliance.advisories.exploitation import KEV
from appliance.advisories.packages import Package
from appliance.advisories.vex.statements import SET_ASIDE
from appliance.content_records import standing_of as looks_of
from appliance.gates.facts import ContentFacts, FindingFacts, Knowledge, MalwareFacts, SourceFacts
from appliance.image_verdicts import Advisories, ImageVerdict, gaps_of, verdict_on
from appliance.malware_records import known_of
from appliance.store.ports import Reader
from appliance.store.reads.components import licenses_of, sboms_of
from bundles.oci.digest import Digest
from bundles.oci.kinds import is_runnable, kind_of_manifest
from bundles.oci.manifest import Manifest


class Looking:
    """Looks things up, by what is known while it is used. Blocking."""

    def __init__(self, reader: Reader, key: bytes) -> None:
        """`key` is the station's, by which it knows its own rows (`index_key`)."""
        self._reader = reader
        self._known = Advisories(reader, key)

    @property
    def knowledge(self) -> Knowledge:
        """What is known at all."""
        return Knowledge(next((one.dated for one in self._known.sources if one.source == KEV), None))

    def content(
        self, digest: Digest, manifest: Manifest, platform: str = "", also: frozenset[str] = frozenset()
    ) -> ContentFacts:
        """What is known of a manifest that is no index, which is in indexes of the digests `also`."""
        name, kind, runs = str(digest), kind_of_manifest(manifest), is_runnable(manifest)
        listed = sboms_of(self._reader, self._known.key, name)
        indexed = [one.origin for one in listed if one.state == "indexed" and one.sealed]
        sbom = "own" if "own" in indexed else "carried" if indexed else ""
        looks = looks_of(self._reader, self._known.key, [name, *_blobs_of(manifest)])
        if not runs:
            seen = self._malware(manifest)
            return ContentFacts(
                name, kind, runs, "not-scanned", platform, sbom=sbom, malware=seen, looks=looks, also=also
            )
        found = verdict_on(self._reader, name, self._known)
        own = next((one for one in listed if one.origin == "own"), None)
        licenses = licenses_of(self._reader, self._known.key, name, own) if own is not None else None
        return ContentFacts(
            digest=name, kind=kind, runs=runs, state=found.state, platform=platform, why=found.why,
            scanned_at=found.at, sbom=sbom, findings=self._findings(found, also | {name}),
            gaps=tuple(gaps_of(found, self._known)), sources=self._sources(found), also=also,
            malware=self._malware(manifest), looks=looks, licenses=licenses,
        )  # fmt: skip

    def _malware(self, manifest: Manifest) -> MalwareFacts:
        known = known_of(self._reader, self._known.key, _blobs_of(manifest))
        return MalwareFacts(
            known.blobs, known.missing, known.since, known.found.malware, known.found.uninspected_count,
            known.found.uninspected,
        )  # fmt: skip

    def _findings(self, found: ImageVerdict, digests: frozenset[str]) -> tuple[FindingFacts, ...]:
        return tuple(
            FindingFacts(
                id=match.entry.id, ids=match.entry.ids, severity=match.entry.severity, package=match.package.label,
                version=match.package.version, exploited=self._known.exploitation(match.entry.ids).exploited,
                published=match.entry.published, fix=match.fix,
                answered=self._answered(digests, match.package, match.entry.ids),
            )
            for match, _ in (found.verdict.findings if found.verdict is not None else ())
        )  # fmt: skip

    def _answered(self, digests: frozenset[str], package: Package, ids: frozenset[str]) -> str:
        claim = self._known.vex(digests, package, ids)
        return claim.statement.status if claim is not None and claim.statement.status in SET_ASIDE else ""

    def _sources(self, found: ImageVerdict) -> tuple[SourceFacts, ...]:
        """The sources that have advisories of what the image is made of."""
        kinds = found.verdict.ecosystems if found.verdict is not None else set()
        return tuple(
            SourceFacts(source.source, source.dated)
            for source in self._known.sources
            if any(name.partition(":")[0] in kinds for name, _ in source.ecosystems)
        )


def _blobs_of(manifest: Manifest) -> list[str]:
    return list(dict.fromkeys(str(blob.digest) for blob in (*manifest.blobs, *manifest.foreign)))
