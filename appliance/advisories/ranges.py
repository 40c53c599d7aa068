"""Whether a version lies in what an advisory calls affected (OSV schema, affected[].ranges and evaluation)."""

from __future__ import annotations

from typing import Final

from appliance.advisories.record import Bound, Entry, Range
from appliance.advisories.versions.errors import NoVersionError
from appliance.advisories.versions.order import compare, scheme_of

_FIRST: Final = "0"
"""What `introduced` says for "before every version"."""
_SPELLED_ONE_WAY: Final = frozenset({"debian", "rpm", "alpine"})
"""Orders of distributions, whose records enumerate versions as the archive spells them: equal ones are the same text,
but for an epoch of zero. Records of kernels enumerate thousands."""
_EVERY: Final = "*"
"""What `limit` says for "no limit"."""


def affects(entry: Entry, version: str) -> bool:
    """Whether a package's version is affected: enumerated versions count beside ranges. Linear in both.

    Raises NoVersionError where nothing says so, and something could not be compared.
    """
    scheme = scheme_of(entry.ecosystem)
    if any(spelled in entry.versions for spelled in _spellings(scheme, version)):
        return True
    undecided: NoVersionError | None = None
    for one in entry.ranges:
        order = "semver" if one.is_semver else scheme
        if order is None:
            undecided = NoVersionError(f"{entry.ecosystem} {version}")
            continue
        try:
            if _within(one, order, version):
                return True
        except NoVersionError as error:
            undecided = error
    if scheme is not None:
        for listed in entry.versions if scheme not in _SPELLED_ONE_WAY else ():
            try:
                if compare(scheme, listed, version) == 0:
                    return True
            except NoVersionError as error:
                undecided = error
    elif entry.versions:
        undecided = NoVersionError(f"{entry.ecosystem} {version}")
    if undecided is not None:
        raise undecided
    return False


def _spellings(scheme: str | None, version: str) -> tuple[str, ...]:
    """A version, and where it may have an epoch the same with and without one of zero."""
    if scheme not in _SPELLED_ONE_WAY or scheme == "alpine":
        return (version,)
    return version, version.removeprefix("0:"), f"0:{version}"


def _within(one: Range, scheme: str, version: str) -> bool:
    """The state at a version is what the last event before it, or at it, says. Of events at the same version the one
    that the record names last decides. A range whose first event ends something was open from the beginning."""
    limits = [value for bound, value in one.events if bound == "limit"]
    if limits and _EVERY not in limits and not any(compare(scheme, version, limit) < 0 for limit in limits):
        return False
    latest: tuple[Bound, str] | None = None
    earliest: tuple[Bound, str] | None = None
    for bound, value in one.events:
        if bound == "limit":
            continue
        if earliest is None or _order(scheme, (bound, value), earliest) < 0:
            earliest = bound, value
        if _applies(scheme, bound, value, version) and (latest is None or _order(scheme, (bound, value), latest) >= 0):
            latest = bound, value
    if latest is not None:
        return latest[0] == "introduced"
    return earliest is not None and earliest[0] != "introduced"


def _applies(scheme: str, bound: Bound, value: str, version: str) -> bool:
    """Whether the event is at or before the version; `last_affected` takes effect behind its own."""
    if bound == "introduced" and value == _FIRST:
        return True
    order = compare(scheme, version, value)
    return order > 0 if bound == "last_affected" else order >= 0


def _order(scheme: str, one: tuple[Bound, str], other: tuple[Bound, str]) -> int:
    """Which event comes first: by version; at the same one, `last_affected` stands behind the others."""
    starts = [bound == "introduced" and value == _FIRST for bound, value in (one, other)]
    if any(starts):
        return int(starts[1]) - int(starts[0])
    order = compare(scheme, one[1], other[1])
    return order or int(one[0] == "last_affected") - int(other[0] == "last_affected")


def fix_of(entry: Entry, version: str) -> str:
    """The lowest version that an event calls fixed and that is later than `version`; "" where none is named."""
    found = ""
    for one in entry.ranges:
        order = "semver" if one.is_semver else scheme_of(entry.ecosystem)
        if order is None:
            continue
        for value in [value for bound, value in one.events if bound == "fixed"]:
            try:
                if compare(order, version, value) < 0 and (not found or compare(order, value, found) < 0):
                    found = value
            except NoVersionError:
                continue
    return found
