"""The index of packages: what each image holds, and which images hold a package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from appliance.advisories.licenses import Licensed, decode, licenses_seal
from appliance.advisories.packages import Package
from appliance.advisories.seals import is_sealed, list_sum, package_part, row_of, sbom_seal, sum_of_rows
from appliance.store.ports import Reader
from bundles.oci.attached_tags import is_attached
from bundles.oci.kinds import ATTESTATION_TYPES, SBOM_TYPES
from bundles.oci.manifest import DOCKER_CONFIG, DOCKER_MANIFEST, INDEX_TYPES, OCI_CONFIG, OCI_MANIFEST

IMAGE_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
_PACKAGE: Final = "p.purl, p.label, p.version, p.ecosystem, p.release, p.name, p.source, p.source_version"

_ENVELOPES: Final = (*sorted(ATTESTATION_TYPES), "application/vnd.dev.sigstore.bundle.v0.3+json")

_TOGETHER: Final = 200_000
"""Packages that are held at once: some 50 MB."""

_KEPT: Final = 4096
"""Packages that are kept while an answer is made."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """An SBOM in the index: `origin` is `own` where this station made it, else `carried`; `why` says what could not be
    read of one that is `unreadable`. `sealed`: the row is what this station wrote; `listed` is the sum of what it lists
    (appliance.advisories.seals)."""

    number: int
    sbom: str
    origin: str
    state: str
    why: str
    at: str
    packages: int
    listed: str
    sealed: bool


def sboms_of(reader: Reader, key: bytes, image: str) -> list[Indexed]:
    """What is indexed of an image, the station's own first; `key` is the station's (`index_key`)."""
    rows = reader.execute(
        "SELECT number, sbom, origin, state, why, at, packages, listed, seal FROM sboms WHERE image = ?"
        " ORDER BY origin = 'own' DESC, number",
        (image,),
    )
    return [_indexed(key, image, row) for row in rows]


def _indexed(key: bytes, image: str, row: Sequence[Any]) -> Indexed:
    number, sbom, origin, state, why, at, packages, listed, seal = row
    sealed = is_sealed(seal, sbom_seal(key, image, sbom, origin, state, why, at, listed))
    return Indexed(number, sbom, origin, state, why, at, packages, listed, sealed)


def packages_of(reader: Reader, sbom: Indexed) -> list[tuple[Package, str]] | None:
    """The packages of an indexed SBOM, each with its path; None where they are not what was written."""
    found = numbered_packages(reader, sbom)
    return None if found is None else [(package, path) for _, package, path in found]


def licenses_of(reader: Reader, key: bytes, image: str, sbom: Indexed) -> tuple[Licensed, ...] | None:
    """What an SBOM of the station's own says of the licenses of its packages; None where that is not what was written:
    an earlier version wrote none."""
    row = reader.execute("SELECT licenses, seal FROM sbom_licenses WHERE sbom = ?", (sbom.number,)).fetchone()
    if row is None or not sbom.sealed:
        return None
    licenses, seal = row
    return decode(licenses) if is_sealed(seal, licenses_seal(key, image, sbom.sbom, sbom.listed, licenses)) else None


def numbered_packages(reader: Reader, sbom: Indexed) -> list[tuple[int, Package, str]] | None:
    """As `packages_of`, each with its number before it."""
    if not sbom.sealed:
        return None
    rows = reader.execute(
        f"SELECT p.number, {_PACKAGE}, i.path FROM image_packages i JOIN packages p ON p.number = i.package"  # noqa: S608
        " WHERE i.sbom = ? ORDER BY p.label, p.version",
        (sbom.number,),
    )
    found = [(row[0], Package(*row[1:-1]), row[-1]) for row in rows]
    return found if list_sum((package, path) for _, package, path in found) == sbom.listed else None


def packages_by_number(reader: Reader) -> Callable[[int], Package | None]:
    """What gives a package of the index by its number; None for one that is not there any more."""

    @lru_cache(maxsize=_KEPT)
    def package(number: int) -> Package | None:
        row = reader.execute(f"SELECT {_PACKAGE} FROM packages p WHERE p.number = ?", (number,)).fetchone()  # noqa: S608
        return None if row is None else Package(*row)

    return package


def packages_named(reader: Reader, name: str) -> list[tuple[int, Package]]:
    """The packages with this name, or built from the source package of this name, whatever the case of its letters."""
    rows = reader.execute(
        f"SELECT p.number, {_PACKAGE} FROM packages p WHERE p.label = ?1 COLLATE NOCASE"  # noqa: S608
        f" UNION SELECT p.number, {_PACKAGE} FROM packages p WHERE p.source = ?1 COLLATE NOCASE"
        f" UNION SELECT p.number, {_PACKAGE} FROM packages p WHERE p.name = ?1",
        (name,),
    )
    return [(row[0], Package(*row[1:])) for row in rows]


def packages_by_purl(reader: Reader, purl: str) -> list[tuple[int, Package]]:
    """The packages with this package URL, without qualifiers where it names none."""
    last = purl + chr(0x10FFFF)
    rows = reader.execute(
        f"SELECT p.number, {_PACKAGE} FROM packages p WHERE p.purl >= ? AND p.purl < ?",  # noqa: S608
        (purl, last),
    )
    found = [(row[0], Package(*row[1:])) for row in rows]
    return [one for one in found if one[1].purl[len(purl) :][:1] in ("", "?", "#", *("@" if "@" not in purl else ""))]


def packages_looked_up(reader: Reader, ecosystem: str, name: str) -> list[tuple[int, Package]]:
    """The packages that advisories about this name would be held against."""
    rows = reader.execute(
        f"SELECT p.number, {_PACKAGE} FROM packages p WHERE p.name = ?1 AND p.ecosystem = ?2"  # noqa: S608
        f" UNION SELECT p.number, {_PACKAGE} FROM packages p WHERE p.source = ?1 COLLATE NOCASE AND p.ecosystem = ?2",
        (name, ecosystem),
    )
    return [(row[0], Package(*row[1:])) for row in rows]


def uses_of(reader: Reader, package: int) -> Iterator[tuple[str, str, str]]:
    """Image, path and origin of each use of a package, read as the caller goes."""
    return iter(
        reader.execute(
            "SELECT s.image, i.path, s.origin FROM image_packages i JOIN sboms s ON s.number = i.sbom"
            " WHERE i.package = ? ORDER BY s.image, s.origin DESC",
            (package,),
        )
    )


def all_packages(reader: Reader) -> Iterator[tuple[int, Package]]:
    """Every package of the index, those that advisories know by one name together, read as the caller goes."""
    order = "p.ecosystem, p.source, p.name"
    rows = reader.execute(f"SELECT p.number, {_PACKAGE} FROM packages p ORDER BY {order}")  # noqa: S608
    return ((row[0], Package(*row[1:])) for row in rows)


def packages_count(reader: Reader) -> int:
    """How many packages the index has."""
    return int(reader.execute("SELECT count(*) FROM packages").fetchone()[0])


def images_indexed(reader: Reader, key: bytes) -> list[tuple[str, Indexed]]:
    """Each image that a repository shows and that has an SBOM of the station's own, and that."""
    rows = reader.execute(
        "SELECT s.image, s.number, s.sbom, s.origin, s.state, s.why, s.at, s.packages, s.listed, s.seal FROM sboms s"
        " WHERE s.origin = 'own' AND s.state = 'indexed' AND EXISTS"
        " (SELECT 1 FROM links l WHERE l.digest = s.image AND l.kind = 'manifest') ORDER BY s.image"
    )
    return [(str(row[0]), _indexed(key, row[0], row[1:])) for row in rows]


def damaged_images(reader: Reader, key: bytes) -> list[str]:
    """The images of `images_indexed` whose rows are not what was written. Each package is read once, so that this takes
    a third of the time of `packages_of` for each."""
    images = images_indexed(reader, key)
    if packages_count(reader) > _TOGETHER:
        return [image for image, sbom in images if packages_of(reader, sbom) is None]
    parts = {number: package_part(package) for number, package in all_packages(reader)}
    return [image for image, sbom in images if not _is_whole(reader, sbom, parts)]


def _is_whole(reader: Reader, sbom: Indexed, parts: Mapping[int, bytes]) -> bool:
    if not sbom.sealed:
        return False
    uses = reader.execute("SELECT package, path FROM image_packages WHERE sbom = ?", (sbom.number,))
    return sum_of_rows(row_of(parts.get(number, b""), path) for number, path in uses) == sbom.listed


def not_indexed(reader: Reader, limit: int) -> list[tuple[str, str]]:
    """SBOM manifests that a repository shows and that the index does not have: (manifest, the image it refers to)."""
    marks = ", ".join("?" for _ in SBOM_TYPES)
    rows = reader.execute(
        "SELECT m.digest, m.subject FROM manifests m WHERE m.subject IS NOT NULL"  # noqa: S608  marks alone
        f" AND m.artifact_type IN ({marks})"
        " AND EXISTS (SELECT 1 FROM links l WHERE l.digest = m.digest AND l.kind = 'manifest')"
        " AND NOT EXISTS (SELECT 1 FROM sboms s WHERE s.image = m.subject AND s.sbom = m.digest) LIMIT ?",
        (*sorted(SBOM_TYPES), limit),
    )
    return [(str(digest), str(subject)) for digest, subject in rows]


def carried_sboms(reader: Reader) -> set[tuple[str, str]]:
    """What the index has of SBOMs from elsewhere: (image, SBOM)."""
    rows = reader.execute("SELECT image, sbom FROM sboms WHERE origin = 'carried'")
    return {(str(image), str(sbom)) for image, sbom in rows}


def evidence_beside(reader: Reader) -> Iterator[tuple[str, str]]:
    """What may hold an SBOM of an image, as (image, manifest), read as the caller goes: at cosign's tags, and
    attestations that refer to it."""
    for tag, digest in reader.execute(
        "SELECT DISTINCT tag, digest FROM tags WHERE tag LIKE 'sha256-%.sbom' OR tag LIKE 'sha256-%.att'"
    ):
        image = str(tag).partition(".")[0].replace("-", ":", 1)
        if is_attached(str(tag)):
            yield image, str(digest)
    marks = ", ".join("?" for _ in _ENVELOPES)
    rows = reader.execute(
        f"SELECT m.subject, m.digest FROM manifests m WHERE m.subject IS NOT NULL AND m.artifact_type IN ({marks})"  # noqa: S608
        " AND EXISTS (SELECT 1 FROM links l WHERE l.digest = m.digest AND l.kind = 'manifest')",
        _ENVELOPES,
    )
    yield from ((str(subject), str(digest)) for subject, digest in rows)


def indexes_shown(reader: Reader) -> Iterator[str]:
    """Each index that a repository shows, read as the caller goes."""
    marks = ", ".join("?" for _ in INDEX_TYPES)
    rows = reader.execute(
        f"SELECT m.digest FROM manifests m WHERE m.media_type IN ({marks})"  # noqa: S608  marks alone
        " AND EXISTS (SELECT 1 FROM links l WHERE l.digest = m.digest AND l.kind = 'manifest')",
        tuple(sorted(INDEX_TYPES)),
    )
    return (str(digest) for (digest,) in rows)


def images_not_scanned(reader: Reader) -> Iterator[str]:
    """Manifests of images' media types, with no type of their own and no subject, that a repository shows and of which
    the station has no SBOM of its own, read as the caller goes."""
    marks = ", ".join("?" for _ in IMAGE_TYPES)
    rows = reader.execute(
        f"SELECT m.digest FROM manifests m WHERE m.media_type IN ({marks})"  # noqa: S608  marks alone
        " AND m.artifact_type IN ('', ?, ?) AND m.subject IS NULL"
        " AND EXISTS (SELECT 1 FROM links l WHERE l.digest = m.digest AND l.kind = 'manifest')"
        " AND NOT EXISTS (SELECT 1 FROM sboms s WHERE s.image = m.digest AND s.origin = 'own'"
        " AND s.state = 'indexed')",
        (*sorted(IMAGE_TYPES), OCI_CONFIG, DOCKER_CONFIG),
    )
    return (str(digest) for (digest,) in rows)


def is_tried(reader: Reader, key: bytes, image: str) -> bool:
    """Whether the station made an SBOM of an image, or found that none can be made."""
    return any(one.origin == "own" and one.sealed for one in sboms_of(reader, key, image))


def images_never_described(reader: Reader) -> Iterator[str]:
    """As `images_not_scanned`, those alone of which the station never tried to make an SBOM."""
    marks = ", ".join("?" for _ in IMAGE_TYPES)
    rows = reader.execute(
        f"SELECT m.digest FROM manifests m WHERE m.media_type IN ({marks})"  # noqa: S608  marks alone
        " AND m.artifact_type IN ('', ?, ?) AND m.subject IS NULL"
        " AND EXISTS (SELECT 1 FROM links l WHERE l.digest = m.digest AND l.kind = 'manifest')"
        " AND NOT EXISTS (SELECT 1 FROM sboms s WHERE s.image = m.digest AND s.origin = 'own')",
        (*sorted(IMAGE_TYPES), OCI_CONFIG, DOCKER_CONFIG),
    )
    return (str(digest) for (digest,) in rows)


def images_shown(reader: Reader) -> Iterator[tuple[str, str]]:
    """Repository and digest of each image that is shown, as in `images_not_scanned`, read as the caller goes."""
    marks = ", ".join("?" for _ in IMAGE_TYPES)
    rows = reader.execute(
        f"SELECT r.name, m.digest FROM manifests m JOIN links l ON l.digest = m.digest AND l.kind = 'manifest'"  # noqa: S608  marks alone
        f" JOIN repositories r ON r.id = l.repository_id WHERE m.media_type IN ({marks})"
        " AND m.artifact_type IN ('', ?, ?) AND m.subject IS NULL ORDER BY r.name, m.digest",
        (*sorted(IMAGE_TYPES), OCI_CONFIG, DOCKER_CONFIG),
    )
    return ((str(name), str(digest)) for name, digest in rows)


def shown_in(reader: Reader, image: str) -> Sequence[tuple[str, str]]:
    """Repository and tag of each place that shows an image: itself, or an index that lists it; "" for no tag."""
    rows = reader.execute(
        "SELECT r.name, coalesce(t.tag, '') FROM links l JOIN repositories r ON r.id = l.repository_id"
        " LEFT JOIN tags t ON t.repository_id = l.repository_id AND t.digest = l.digest"
        " WHERE l.digest = ? AND l.kind = 'manifest' ORDER BY 1, 2",
        (image,),
    )
    return [(str(name), str(tag)) for name, tag in rows]
