"""Descriptors: media type, digest, size, and what may stand beside them (OCI image specification, descriptor.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from bundles import limits
from bundles.errors import MalformedError
from bundles.oci.digest import Digest

_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\Z")
_PLATFORM_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_PART: Final = re.compile(rf"{_PLATFORM_PART}\Z")
_PLATFORM: Final = re.compile(rf"{_PLATFORM_PART}(?:/{_PLATFORM_PART}){{0,2}}\Z")
_WORDS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+~:-]{0,127}\Z")
_FIELDS: Final = frozenset({"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"})
_PLATFORM_FIELDS: Final = frozenset({"os", "architecture", "variant", "os.version", "os.features", "features"})


class Platform(msgspec.Struct, frozen=True):
    """An image's platform: `os`, `architecture`, and `variant` where it matters."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def from_json(cls, data: Any) -> Platform:
        """A descriptor's `platform` object, or the same fields of an image's configuration. The one place that reads
        them: a part that is no plain word, as a path or a control character, raises MalformedError."""
        fields = exact_keys(expect_object(data, "platform"), _PLATFORM_FIELDS, "platform")
        for word in (fields.get("os.version") or "", *_listed(fields, "os.features"), *_listed(fields, "features")):
            text = expect_string(word, "platform.os.version")
            if text and not _WORDS.match(text):
                raise MalformedError("a platform's version or feature is no plain text", thing=ascii(text)[:80],
                                     remedy="as 10.0.20348.3091 or win32k")  # fmt: skip
        return cls(*(_part(fields.get(key, ""), f"platform.{key}") for key in ("os", "architecture", "variant")))


def _listed(fields: Mapping[str, Any], name: str) -> list[Any]:
    found = fields.get(name) or []
    if not isinstance(found, list):
        raise MalformedError(f"platform.{name} is no list", thing=ascii(found)[:80], remedy='as ["win32k"]')
    return found


def is_platform(text: str) -> bool:
    """Whether `text` may stand as a platform: `os/architecture[/variant]`, or empty."""
    return not text or _PLATFORM.match(text) is not None


def _part(data: Any, what: str) -> str:
    text = expect_string(data, what)
    if text and not _PART.match(text):
        raise MalformedError(f"{what} is no plain word", thing=ascii(text)[:80], remedy="as linux, amd64 or v8")
    return text


class Descriptor(msgspec.Struct, frozen=True):
    """A content descriptor. `size` is bytes."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str = ""
    platform: Platform | None = None
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    urls: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Any, what: str = "descriptor") -> Descriptor:
        """A descriptor object, its required fields checked. Raises MalformedError."""
        fields = exact_keys(expect_object(data, what), _FIELDS, what)
        size = fields.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= limits.INTEGER:
            raise MalformedError(f"{what}.size is not a size", thing=repr(size)[:80], remedy="give bytes as an integer")
        media_type = fields.get("mediaType")
        if not isinstance(media_type, str) or not _MEDIA_TYPE.match(media_type):
            raise _no_media_type(media_type, f"{what}.mediaType")
        digest = Digest.parse(expect_string(fields.get("digest"), f"{what}.digest"))
        if len(fields) == 3:  # nothing beside them: a plan may read a hundred thousand
            return cls(media_type, digest, size)
        urls = [] if fields.get("urls") is None else fields["urls"]
        if not isinstance(urls, list):
            raise MalformedError(f"{what}.urls is not a list", thing=repr(urls)[:80])
        platform = fields.get("platform")
        return cls(
            media_type=media_type,
            digest=digest,
            size=size,
            artifact_type=optional_string(fields.get("artifactType"), f"{what}.artifactType"),
            platform=None if platform is None else Platform.from_json(platform),
            annotations=check_annotations(fields.get("annotations"), f"{what}.annotations"),
            urls=tuple(expect_string(url, f"{what}.urls") for url in urls),
        )


def expect_object(data: Any, what: str) -> dict[str, Any]:
    """`data`, if it is a JSON object. Raises MalformedError."""
    if not isinstance(data, dict):
        raise MalformedError(f"{what} is not an object", thing=repr(data)[:80])
    return data


def exact_keys(fields: dict[str, Any], known: frozenset[str], what: str) -> dict[str, Any]:
    """`fields`, if no key is a known one in other letters. Raises MalformedError.

    Readers in Go match keys without regard to case, the last one winning: `Layers` beside `layers` would be one image
    to us and another to the client that runs it (threats: manifest confusion).
    """
    if fields.keys() <= known:
        return fields
    for key in fields:
        if key not in known and key.casefold() in _folded(known):
            raise MalformedError(
                f"{what} has a field in other letters than its own",
                thing=repr(key)[:80],
                remedy="field names are exact",
            )
    return fields


@cache
def _folded(known: frozenset[str]) -> frozenset[str]:
    return frozenset(key.casefold() for key in known)


def expect_string(data: Any, what: str) -> str:
    """`data`, if it is a JSON string of Unicode text: half a surrogate pair is none. Raises MalformedError."""
    if not isinstance(data, str):
        raise MalformedError(f"{what} is not a string", thing=repr(data)[:80])
    try:
        data.encode()
    except UnicodeEncodeError:
        raise MalformedError(f"{what} is not Unicode text", thing=ascii(data)[:80]) from None
    return data


def optional_string(data: Any, what: str) -> str:
    """`data`, if it is a JSON string, or "" where it is absent or null. Raises MalformedError."""
    return "" if data is None else expect_string(data, what)


def check_media_type(data: Any, what: str) -> str:
    """`data`, if it is a media type (RFC 6838, section 4.2). Raises MalformedError."""
    if not isinstance(data, str) or not _MEDIA_TYPE.match(data):
        raise _no_media_type(data, what)
    return data


def _no_media_type(data: Any, what: str) -> MalformedError:
    return MalformedError(f"{what} is not a media type", thing=repr(data)[:120])


def check_annotations(data: Any, what: str) -> dict[str, str]:
    """`data`, if it is a map of strings to strings, or absent. Raises MalformedError."""
    if data is None:
        return {}
    fields = expect_object(data, what)
    for key, value in fields.items():
        expect_string(value, f"{what}.{expect_string(key, what)[:60]}")
    return fields
