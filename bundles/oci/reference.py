"""References: `repository:tag`, `repository@digest` and `repository:tag@digest`, with a registry's host before it for a
remote one.

Grammar: OCI distribution specification 1.1, Pulling manifests (`<name>`, `<reference>`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bundles import limits
from bundles.errors import MalformedError
from bundles.oci.digest import Digest

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
_TAG_PATTERN: Final = re.compile(r"[a-zA-Z0-9_*][a-zA-Z0-9._*-]{0,127}\Z")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?\Z")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_REMEDY: Final = "write repository:tag, repository@digest or repository:tag@digest"
DOCKER_SCHEME: Final = "docker://"
"""How skopeo and others write that a registry is meant."""
_SITE: Final = re.compile(r"[a-z0-9-]{1,32}\Z")


def check_repository(name: str) -> str:
    """The name, if it is a repository's. Raises MalformedError."""
    if len(name) > limits.REPOSITORY_NAME or not _NAME.match(name):
        raise MalformedError("malformed repository name", thing=repr(name)[:280], remedy=_name_meant(name))
    return name


def _name_meant(name: str) -> str:
    host, slash, behind = name.partition("/")
    whole = (behind if slash and _is_host(host) else name).partition("@")[0]
    alone, colon, tag = whole.rpartition(":")
    alone = alone if colon and "/" not in tag else whole
    if len(alone) <= limits.REPOSITORY_NAME and _NAME.match(alone):
        return f"name the repository alone: {alone}"
    return "use lower-case letters, digits, . _ - and /"


def check_tag(tag: str) -> str:
    """The tag, if it is one. Raises MalformedError."""
    if not _TAG.match(tag):
        raise MalformedError(
            "malformed tag", thing=repr(tag)[:160], remedy="use letters, digits, . _ and -, at most 128 characters"
        )
    return tag


def check_tag_pattern(text: str) -> str:
    """A pattern of tags, in which `*` stands for any characters. Raises MalformedError."""
    if not _TAG_PATTERN.match(text):
        raise MalformedError(
            "malformed pattern of tags", thing=repr(text)[:160], remedy="use letters, digits, . _ - and *, as 1.2.*"
        )
    return text


def check_site(name: str) -> str:
    """The site's name, if it is one: `[a-z0-9-]{1,32}`. Raises MalformedError."""
    if not _SITE.match(name):
        raise MalformedError(
            "malformed site name", thing=repr(name)[:80], remedy="use 1 to 32 lower-case letters, digits and -"
        )
    return name


def check_registry(host: str) -> str:
    """A registry's host, as references to other registries have it: `HOST[:PORT]`. Raises MalformedError."""
    if not _HOST.match(host) or not (":" in host or "." in host or host == "localhost"):
        raise MalformedError("malformed name of a registry", thing=repr(host)[:280], remedy="write HOST[:PORT]")
    return host


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A thing in the station's registry: a repository, and a tag, a digest, or both. Of both the digest decides; the
    tag is a name that goes with it."""

    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        check_repository(self.repository)
        if self.tag is None and self.digest is None:
            raise MalformedError("malformed reference", thing=repr(self.repository), remedy=_REMEDY)
        if self.tag is not None:
            check_tag(self.tag)

    @classmethod
    def parse(cls, text: str) -> Reference:
        """`repository:tag`, `repository@digest` or `repository:tag@digest`. Raises MalformedError, which says what was
        probably meant."""
        try:
            return cls._parse(text)
        except MalformedError as error:
            meant = _meant(text)
            if meant is None:
                raise
            raise MalformedError(error.what, thing=repr(text)[:280], remedy=meant) from None

    @classmethod
    def _parse(cls, text: str) -> Reference:
        name, at, digest = text.partition("@")
        repository, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            repository, colon, tag = name, "", ""
        if not colon and not at:
            raise MalformedError("malformed reference", thing=repr(text)[:280], remedy=_REMEDY)
        return cls(repository, tag if colon else None, Digest.parse(digest) if at else None)

    @property
    def named(self) -> Reference:
        """What is named here by it: the tag alone, where there is one."""
        return self if self.tag is None or self.digest is None else Reference(self.repository, tag=self.tag)

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def moved_tag(reference: Reference, found: Digest | None) -> str:
    """What is to be said where a reference names a tag and a digest, and the tag stands at `found` (None: nowhere);
    "" where they agree or one of them is not named."""
    if reference.tag is None or reference.digest is None or found == reference.digest:
        return ""
    where = "does not exist" if found is None else f"stands at {found}"
    return f"{reference.named} {where}; what counts is the digest that was named with it"


def _meant(text: str) -> str | None:
    """What to write instead of a text that is no reference here: one with a scheme, a registry's host or capitals, or
    without a tag. None where nothing suggests itself."""
    if _HEX.fullmatch(text):
        return f"a digest is written sha256:{text}"
    _, scheme, rest = text.rpartition("://")
    host, slash, behind = rest.partition("/")
    hosted = bool(slash) and _is_host(host)
    plain = (behind if hosted else rest).lower()
    try:
        suggestion = str(Reference._parse(plain))
    except MalformedError:
        if _NAME.match(plain) and len(plain) <= limits.REPOSITORY_NAME:
            return f"name a tag or a digest: {plain}:TAG or {plain}@sha256:DIGEST"
        return None
    if scheme or hosted:
        return f"a reference here has no {'host' if hosted else 'scheme'}: write {suggestion}"
    return f"names are lower-case: write {suggestion}"


def _is_host(text: str) -> bool:
    """Whether what stands before a reference's first slash is a registry's host, and no `.` or `..`."""
    try:
        check_registry(text)
    except MalformedError:
        return False
    return bool(text.strip("."))


@dataclass(frozen=True, slots=True)
class RemoteReference:
    """A thing at another registry: `HOST[:PORT]/repository:tag`, `…@digest` or `…:tag@digest`."""

    host: str
    reference: Reference

    @classmethod
    def parse(cls, text: str) -> RemoteReference:
        """A reference with a registry's host before it; `docker://` may stand before that. Raises MalformedError."""
        host, slash, rest = text.removeprefix(DOCKER_SCHEME).partition("/")
        try:
            check_registry(host if slash else "")
        except MalformedError:
            raise MalformedError(
                "malformed remote reference", thing=repr(text)[:280], remedy=_remote_meant(text)
            ) from None
        try:
            return cls(host, Reference.parse(rest))
        except MalformedError as error:
            remedy = error.remedy
            for written in {rest, rest.lower()} - {""}:
                remedy = remedy.replace(f" {written}", f" {host}/{written}")
            raise MalformedError(error.what, thing=repr(text)[:280], remedy=remedy) from None

    def __str__(self) -> str:
        return f"{self.host}/{self.reference}"


def _remote_meant(text: str) -> str:
    text = text.removeprefix(DOCKER_SCHEME)
    scheme = text.rpartition("://")[0]
    if scheme:
        return f"leave {scheme}:// out: HOST[:PORT]/repository:tag"
    try:
        local = str(Reference._parse(text))
    except MalformedError:
        return "write HOST[:PORT]/repository:tag"
    return f"name the registry too: HOST/{local}, as docker.io/{local}"
