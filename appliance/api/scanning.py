"""Vulnerabilities: verdicts on images, where a vulnerability or a package is, and the advisories behind them."""

from __future__ import annotations

from appliance.api.common import Shape


class AdvisorySource(Shape, frozen=True, kw_only=True):
    """A source of advisories: `dated` is its newest record's time, `age_days` the days since; `ecosystems` counts its
    entries by ecosystem (`Debian:12`), `malformed` the records that could not be read. `damaged`: rows of it are not
    what was loaded, or gone."""

    source: str
    digest: str
    dated: str
    age_days: int
    loaded: str
    actor: str
    records: int
    withdrawn: int
    malformed: int
    entries: int
    ecosystems: dict[str, int] = {}
    damaged: bool = False


class RemovedSource(Shape, frozen=True, kw_only=True):
    """DELETE /v1/advisories/{source}."""

    source: str


class Vex(Shape, frozen=True, kw_only=True):
    """What a VEX document says of a finding: `status` is not_affected, fixed, affected or under_investigation,
    `justification` a label of the VEX working group or "", `why` the author's text, `at` when it was said, `document`
    its id and `source` the source of advisories. `contradicted`: another source says otherwise, and no better."""

    status: str
    justification: str = ""
    why: str = ""
    at: str
    document: str
    source: str
    contradicted: bool = False


class Finding(Shape, frozen=True, kw_only=True):
    """A package and an advisory about it. `state` is `affected`, or `undecided` where versions could not be compared;
    `severity` is critical, high, medium, low, none or unknown, `score` the CVSS base score or None, `fix` the lowest
    later version that the advisory calls fixed or "", `source` the source of the advisory. `exploited` is whether the
    KEV catalogue names it, since the day `exploited_since`; None where no catalogue is loaded. `epss` is the EPSS
    score, of the time `epss_dated`; None where none is held. `vex` is what a VEX document says of it, or None; a
    finding that is not_affected or fixed by it is shown, and counts for nothing."""

    id: str
    aliases: tuple[str, ...] = ()
    state: str
    severity: str
    score: float | None = None
    vector: str = ""
    package: str
    version: str
    purl: str
    ecosystem: str
    path: str = ""
    fix: str = ""
    summary: str = ""
    source: str
    modified: str = ""
    exploited: bool | None = None
    exploited_since: str = ""
    epss: float | None = None
    epss_dated: str = ""
    vex: Vex | None = None


class ScannedImage(Shape, frozen=True, kw_only=True):
    """The verdict on one image. `state` is `scanned` (by an SBOM that this station made, at `at`), `carried` (others'
    SBOMs alone are here: what they would mean is in `findings`, and counts for nothing), `not-scanned`, or `not-held`.
    `unmatched` counts packages by what no advisories are loaded for, `unnamed` those without a package URL,
    `superseded` findings in whose place a distribution's advisories decided."""

    digest: str
    platform: str = ""
    state: str
    why: str = ""
    at: str = ""
    packages: int = 0
    findings: tuple[Finding, ...] = ()
    unmatched: dict[str, int] = {}
    unnamed: int = 0
    superseded: int = 0


class Scan(Shape, frozen=True, kw_only=True):
    """GET /v1/scan: what is known of an artifact. `counts` are findings of scanned images by severity, without those
    that VEX documents call not_affected or fixed: `set_aside` counts these by that status. `complete` is
    true where nothing in `gaps` says what was not looked at (not-scanned, not-held, unread-layers, no-packages,
    no-advisories, unnamed-packages, undecided, malformed-advisories, damaged-packages,
    damaged-advisories)."""

    reference: str
    digest: str
    complete: bool
    gaps: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    set_aside: dict[str, int] = {}
    images: tuple[ScannedImage, ...] = ()
    advisories: tuple[AdvisorySource, ...] = ()


class Use(Shape, frozen=True, kw_only=True):
    """A package in an image: `references` are the places where a caller may pull it, `origin` is `own` where this
    station's own SBOM says so and `carried` where others' do alone."""

    package: str
    version: str
    purl: str
    path: str = ""
    origin: str
    image: str
    references: tuple[str, ...] = ()


class ComponentsFound(Shape, frozen=True, kw_only=True):
    """GET /v1/components: where a package is. `complete` is false where SBOMs are still to be indexed, the station made
    no SBOM of `not_scanned` images, or `left_out` images were too many to name."""

    name: str
    items: tuple[Use, ...] = ()
    left_out: int = 0
    not_scanned: int = 0
    complete: bool = True


class Hit(Shape, frozen=True, kw_only=True):
    """An image with a vulnerability: the use of the package, and the finding."""

    use: Use
    finding: Finding


class VulnerabilityFound(Shape, frozen=True, kw_only=True):
    """GET /v1/scan/find: what holds a vulnerability. `known` is false where no advisory about it is loaded, `ids` are
    all its names; `not_scanned` counts images that the caller may pull and that have no SBOM of the station's own."""

    id: str
    known: bool
    ids: tuple[str, ...] = ()
    items: tuple[Hit, ...] = ()
    left_out: int = 0
    not_scanned: int = 0
    complete: bool = True
    advisories: tuple[AdvisorySource, ...] = ()


class NewFindings(Shape, frozen=True, kw_only=True):
    """GET /v1/scan/new: findings that the newest load of a source of advisories was the first to make, of severity
    critical, high or unknown, or exploited. `not_scanned` counts images that the caller may pull and that have no SBOM
    of the station's own: nothing is known of them."""

    items: tuple[Hit, ...] = ()
    left_out: int = 0
    not_scanned: int = 0
    complete: bool = True
    advisories: tuple[AdvisorySource, ...] = ()


class ListedPackage(Shape, frozen=True, kw_only=True):
    """A package that an SBOM lists; `purl` and `path` are "" where it names none."""

    name: str
    version: str
    purl: str = ""
    path: str = ""


class CarriedSbom(Shape, frozen=True, kw_only=True):
    """An SBOM from elsewhere, held against the station's own: `left_out` names packages that the station found in the
    image and that this one does not list, the first of `left_out_count`. `why` says why it could not be read."""

    digest: str
    packages: int = 0
    why: str = ""
    left_out: tuple[str, ...] = ()
    left_out_count: int = 0


class ImagePackages(Shape, frozen=True, kw_only=True):
    """The packages of one image. `state` as of `ScannedImage`: by the station's own SBOM (`scanned`), or by others'
    alone (`carried`), which may leave out what they like. `carried` are those from elsewhere, where there is an own."""

    digest: str
    platform: str = ""
    state: str
    why: str = ""
    at: str = ""
    packages: tuple[ListedPackage, ...] = ()
    carried: tuple[CarriedSbom, ...] = ()


class Packages(Shape, frozen=True, kw_only=True):
    """GET /v1/packages: what an artifact is made of. `complete` is false where an image has no SBOM of the station's
    own, or one with gaps."""

    reference: str
    digest: str
    complete: bool
    images: tuple[ImagePackages, ...] = ()
