"""The version that a tag names, and ranges of versions as npm writes them.

A tag that names a version is one to three numbers, with `v` before them or not; then a prerelease, then a variant:
`1.27`, `v1.2.3`, `3.13.0rc1`, `1.2.3-beta.2`, `1.27.3-alpine3.20`, `2.0.0-rc.1-slim`. Semantic Versioning 2.0 takes
every suffix for a prerelease; in tags most name a base image or a build. So a prerelease begins with one of the words
below, and what else stands behind the numbers is the variant. Four numbers, or one of more than four digits (a date, a
commit), are no version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bundles.errors import UsageError

if TYPE_CHECKING:
    from semantic_version import Version

_WORDS: Final = "alpha|beta|rc|cr|pre|preview|dev|snapshot|nightly|canary|milestone|ea"
_VERSION: Final = re.compile(
    r"[vV]?(?P<major>[0-9]{1,18})(?:\.(?P<minor>[0-9]{1,18}))?(?:\.(?P<patch>[0-9]{1,18}))?"
    rf"(?:[-.]?(?P<word>(?i:{_WORDS}))(?:[-.]?(?P<number>[0-9]{{1,18}}(?:\.[0-9]{{1,18}})*))?)?"
    r"(?:[-_](?P<variant>.+))?\Z"
)
_ALONE: Final = 4
_JOINED: Final = re.compile(rf"-(?i:({_WORDS}))-?([0-9])")
_ZEROS: Final = re.compile(r"(?<![0-9a-zA-Z])0+(?=[0-9])")
_RANGE_MOST: Final = 200
_REMEDY: Final = "write a range as npm does: '>=1.20 <2', '^1.4', '1.x || 3.x'"


@dataclass(frozen=True, slots=True)
class TagVersion:
    """What a tag says: its version, how many numbers it has, and its variant, "" for none."""

    version: Version
    numbers: int
    variant: str


def tag_version(tag: str) -> TagVersion | None:
    """The version that a tag names, None where it names none."""
    from semantic_version import Version  # here: control reads selections, and compares no versions

    found = _VERSION.match(tag)
    if found is None:
        return None
    major, minor, patch = found["major"], found["minor"], found["patch"]
    if minor is None and len(major) > _ALONE:
        return None
    prerelease: tuple[str, ...] = ()
    if found["word"]:
        prerelease = (found["word"].lower(), *(str(int(one)) for one in (found["number"] or "").split(".") if one))
    version = Version(major=int(major), minor=int(minor or 0), patch=int(patch or 0), prerelease=prerelease, build=())
    return TagVersion(version, 1 + (minor is not None) + (patch is not None), found["variant"] or "")


class VersionRange:
    """A range of versions in npm's words. A prerelease is in it only where the range names one of the same version."""

    def __init__(self, text: str) -> None:
        """Raises UsageError for what is no range."""
        from semantic_version import NpmSpec

        if len(text) > _RANGE_MOST or " - " in text or not text.strip():
            # `1 - 2` is another range at npm than the library makes of it.
            raise UsageError("not a range of versions", thing=repr(text[:_RANGE_MOST]), remedy=_REMEDY)
        try:
            # As tag_version reads tags: rc1 is rc.1, so that 10 is above 9, and 22.04 is 22.4.
            self._spec = NpmSpec(_ZEROS.sub("", _JOINED.sub(r"-\1.\2", text)))
        except ValueError:
            raise UsageError("not a range of versions", thing=repr(text), remedy=_REMEDY) from None

    def __contains__(self, version: Version) -> bool:
        return bool(self._spec.match(version))
