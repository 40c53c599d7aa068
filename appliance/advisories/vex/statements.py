"""Statements: which findings they are about, and which one counts where several are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from appliance.advisories import purl as purls
from appliance.advisories.names import lookup_name
from appliance.limits import scanning as limits
from bundles.errors import MalformedError
from bundles.io.display import safe
from bundles.oci.digest import Digest

NOT_AFFECTED: Final = "not_affected"
FIXED: Final = "fixed"
UNDER_INVESTIGATION: Final = "under_investigation"
AFFECTED: Final = "affected"
STATUSES: Final = (AFFECTED, UNDER_INVESTIGATION, FIXED, NOT_AFFECTED)
"""From the worst on."""
SET_ASIDE: Final = frozenset({FIXED, NOT_AFFECTED})
"""Statuses that make a finding count for nothing."""
JUSTIFICATIONS: Final = frozenset({
    "component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
})  # fmt: skip
"""The labels of the VEX working group (Status Justifications, June 2022)."""


class Statement(NamedTuple):
    """One vulnerability in one product. `product` is the digest of an image (then `subcomponent` is a package URL, or
    "" for all of the image) or a package URL (then it is ""). `why` is the author's text, `at` the time by which later
    statements count, `document` the id of the document."""

    id: str
    product: str
    subcomponent: str
    status: str
    justification: str
    why: str
    at: str
    document: str

    @property
    def key(self) -> str:
        """What findings that it may be about are looked up by."""
        return package_key(self.subcomponent or self.product) or self.product


class Document(NamedTuple):
    """A document: `at` is its own time, `said` its statements as their author wrote them, `unmatched` how many pairs
    of product and subcomponent in them name nothing that could be compared."""

    id: str
    at: datetime
    said: int
    statements: tuple[Statement, ...]
    unmatched: int


class Claim(NamedTuple):
    """What counts of all that is said of a finding: the statement, its source, and whether another source says
    otherwise."""

    source: str
    statement: Statement
    contradicted: bool


def package_key(purl: str) -> str:
    """A package without its version: type and name as they are looked up; "" for no package URL."""
    found = purls.parse(purl)
    return "" if found is None else f"{found.type}/{lookup_name(found.ecosystem, found.name)}"


def image_of(purl: str) -> str:
    """The digest that a package URL of type `oci` names; "" for any other: an image without one is any image of that
    name, and anybody can give a name."""
    found = purls.parse(purl)
    return digest_or_none(found.version) if found is not None and found.type == "oci" and "#" not in purl else ""


def is_package(purl: str) -> bool:
    """Whether a package URL names a package that an SBOM lists. One with a subpath names a part of it."""
    found = purls.parse(purl)
    return found is not None and found.type != "oci" and "#" not in purl


def digest_or_none(text: str) -> str:
    """A digest as it is spelled here; "" for none."""
    try:
        return str(Digest.parse(text.lower()))
    except MalformedError:
        return ""


def purl_matches(stated: str, packaged: str) -> bool:
    """Whether a statement's package URL is a package's (OpenVEX, matching of package URLs): type, namespace and name
    are equal; so are the version and each qualifier, where the statement has one."""
    one, other = purls.parse(stated), purls.parse(packaged)
    if one is None or other is None or (one.type, one.namespace.lower()) != (other.type, other.namespace.lower()):
        return False
    if lookup_name(one.ecosystem, one.full_name) != lookup_name(other.ecosystem, other.full_name):
        return False
    return one.version in ("", other.version) and all(
        other.qualifiers.get(key) == value for key, value in one.qualifiers.items()
    )


def is_about(statement: Statement, images: frozenset[str], purl: str) -> bool:
    """Whether a statement is about a package in an image, which is known by these digests."""
    if statement.product not in images:
        return not statement.subcomponent and is_package(statement.product) and purl_matches(statement.product, purl)
    return not statement.subcomponent or purl_matches(statement.subcomponent, purl)


def resolve(found: Iterable[tuple[str, Statement]]) -> Claim | None:
    """What counts of statements about one finding, each with its source: of one source the latest, of equally late
    ones the worst; of several sources the worst, so that no source takes back what another one says."""
    latest = dict[str, Statement]()
    for source, statement in found:
        earlier = latest.get(source)
        if earlier is None or (statement.at, -_rank(statement)) > (earlier.at, -_rank(earlier)):
            latest[source] = statement
    if not latest:
        return None
    source, counts = min(latest.items(), key=lambda one: (_rank(one[1]), one[0]))
    return Claim(source, counts, any(one.status != counts.status for one in latest.values()))


def _rank(statement: Statement) -> int:
    return STATUSES.index(statement.status)


class Product(NamedTuple):
    """A product as a document names it: the digests and package URLs that stand for it."""

    digests: tuple[str, ...] = ()
    purls: tuple[str, ...] = ()


def pairs(product: Product, subcomponents: Sequence[Product]) -> Iterator[tuple[str, str]]:
    """Each pair of product and subcomponent that can be compared. With subcomponents the product must be an image:
    which packages of an image belong to which other is not known here."""
    images = dict.fromkeys((*product.digests, *(one for text in product.purls if (one := image_of(text)))))
    if not subcomponents:
        yield from ((one, "") for one in images)
        yield from ((one, "") for one in product.purls if is_package(one))
        return
    packages = dict.fromkeys(text for one in subcomponents for text in one.purls if is_package(text))
    yield from ((image, package) for image in images for package in packages)


def moment_of(text: str) -> datetime:
    """A time with its zone (RFC 3339). Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def malformed(why: str) -> MalformedError:
    """The refusal of a document."""
    return MalformedError(
        "no VEX document (OpenVEX, CSAF), or one that must not count", thing=safe(why)[:200],
        remedy="ask its author for a corrected document; nothing of it was taken",
    )  # fmt: skip


S = TypeVar("S", bound=msgspec.Struct)


def document_of(fields: Any, shape: type[S], read: Callable[[S], Document]) -> Document:
    """What `read` makes of decoded JSON of a format's `shape`. Raises MalformedError for anything else, and for a
    document that contradicts itself."""
    try:
        document = read(msgspec.convert(fields, shape, strict=True))
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise malformed(str(error)) from None
    _require_consistent(document.statements)
    return document


def _require_consistent(statements: Sequence[Statement]) -> None:
    """Raises MalformedError for a document that says two things of one finding at one time, or far too much."""
    if len(statements) > limits.VEX_ROWS:
        raise malformed(f"more than {limits.VEX_ROWS} combinations of vulnerability and product")
    said = dict[tuple[str, ...], Statement]()
    for one in statements:
        name = (one.id, one.product, one.subcomponent, one.at)
        if said.setdefault(name, one).status != one.status:
            both = f"{said[name].status} and {one.status}"
            raise malformed(f"it says {both} at once: {one.id}, {one.subcomponent or one.product}")
