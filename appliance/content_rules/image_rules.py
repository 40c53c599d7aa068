"""Rules about whole images: types, what they are built on, and how old they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import msgspec

from appliance.content_rules.rule import Finding, ImageFacts, Rule, Severity
from bundles.errors import LockgateError, UsageError
from bundles.io.display import some
from bundles.oci.digest import Digest

_BASE_NAME: Final = "org.opencontainers.image.base.name"
_BASE_DIGEST: Final = "org.opencontainers.image.base.digest"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_DAYS_MOST: Final = 3650
_DAY: Final = timedelta(days=1)
_FIRST_YEAR: Final = 2013
"""Images are not older than containers: builds that leave the date out write 1970 or 1980."""


class Days(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`days`: how old it may be, 0 for any age."""

    days: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.days <= _DAYS_MOST:
            raise UsageError(f"days is from 0 to {_DAYS_MOST}", thing=str(self.days))


class Needed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`required`: whether an image that names no base is a finding, too."""

    required: bool = False


class MediaTypes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`allow`: the media types of manifests, configurations and layers that may be, each whole or with `*` at its end;
    empty: any."""

    allow: tuple[str, ...] = ()


class MediaType(Rule):
    """Manifests, configurations and layers of types that nobody wants."""

    id: ClassVar[str] = "media-type"
    message: ClassVar[str] = "a media type that is not allowed"
    remedy: ClassVar[str] = "build it in an allowed form, or name the type in the rule's allow"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = MediaTypes

    def image(self, image: ImageFacts) -> Iterator[Finding]:
        allow = self.settings.allow
        for name in dict.fromkeys(image.media_types):
            if allow and not any(_matches(pattern, name) for pattern in allow):
                yield Finding("", name[:200])


class BaseImage(Rule):
    """Base images that were named by a tag alone: nobody can tell later what was built on."""

    id: ClassVar[str] = "base-image"
    message: ClassVar[str] = "a base image that is not pinned by its digest"
    remedy: ClassVar[str] = f"build on NAME@sha256:…, and have the build write {_BASE_NAME} and {_BASE_DIGEST}"
    severity: ClassVar[Severity] = "low"
    Settings: ClassVar[type[msgspec.Struct]] = Needed

    def image(self, image: ImageFacts) -> Iterator[Finding]:
        name, digest = image.annotations.get(_BASE_NAME, ""), image.annotations.get(_BASE_DIGEST, "")
        if not image.runs:
            return
        if not name and not digest:
            if self.settings.required:
                yield Finding("", "no base image is named")
        elif not _is_digest(digest) and not _is_digest(name.rpartition("@")[2]):
            yield Finding("", f"{name[:150] or digest[:150]} without a digest")


class BaseAge(Rule):
    """What the image is built on, by the oldest step of its history."""

    id: ClassVar[str] = "base-age"
    message: ClassVar[str] = "an old base image"
    remedy: ClassVar[str] = "build it anew on a newer base"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = Days

    def image(self, image: ImageFacts) -> Iterator[Finding]:
        history = image.config.get("history")
        steps = history if isinstance(history, list) else []
        first = next((one.get("created") for one in steps if isinstance(one, dict) and one.get("created")), None)
        yield from _older(first, self.settings.days, image)


class ImageAge(Rule):
    """When the image was made, by its configuration."""

    id: ClassVar[str] = "image-age"
    message: ClassVar[str] = "an old image"
    remedy: ClassVar[str] = "build it anew; a build without dates can write the time of its source (SOURCE_DATE_EPOCH)"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = Days

    def image(self, image: ImageFacts) -> Iterator[Finding]:
        yield from _older(image.config.get("created"), self.settings.days, image)


def _older(created: Any, days: int, image: ImageFacts) -> Iterator[Finding]:
    """A finding from the day on which it is too old: nobody need look again for it to count. A date that says nothing
    is one at once."""
    if not days or not image.runs:
        return
    moment = _moment(created)
    if moment is None:
        yield Finding("", "it does not say when it was made")
    elif moment > _moment(image.at) + _DAY:  # type: ignore[operator]
        yield Finding("", f"it says that it was made later than now: {created[:20]}")
    else:
        since = (moment + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield Finding("", f"of {moment:%Y-%m-%d}; at most {some(days, 'day')}", since=since)


def _moment(text: Any) -> datetime | None:
    found = _TIME.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[0]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.year >= _FIRST_YEAR else None


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except LockgateError:
        return False
    return True


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
