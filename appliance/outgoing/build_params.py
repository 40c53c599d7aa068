"""What is asked for: a build job's params and a plan's request, checked at the edge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from appliance import clock
from appliance.artifact_choice import Wish
from bundles import limits
from bundles.errors import UsageError
from bundles.format.media import capacity, disc_of
from bundles.io.times import check_time
from bundles.oci.reference import check_site
from bundles.signing.keys import check_keyid

Params = TypeVar("Params", bound=msgspec.Struct)


class _Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    to: str
    references: list[str]
    volume: str | int = "fat32"
    since: str = "none"
    changed: bool = False
    """Of what the references name, only the tags whose digest differs from the one that the destination was sent last
    (appliance.outgoing.last_sent)."""
    new_site: bool = False
    """The destination may be one that nobody knows yet (appliance.store.reads.sites)."""


class BuildParams(_Params, frozen=True):
    """A build job's params: `out` are the media in their order, `sign_with` and `cosigners` key ids."""

    out: list[str]
    sign_with: str
    cosigners: list[str] = []
    purpose: str = ""
    authorisation: str = ""
    classification: str = ""
    not_after: str | None = None
    require_sbom: bool = False


class MediumParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A medium to plan for: a folder, or (where it is not there yet) its capacity, as a profile or a size."""

    path: str = ""
    capacity: str | int = ""


class PlanParams(_Params, frozen=True):
    """The body of POST /v1/plans."""

    media: list[MediumParams] = []


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to carry where: `references` as they were written (appliance.artifact_choice), `volume` is the largest
    volume in bytes, `disc` what one medium takes where each is to become a disc, `since` is `none`, `last`, or the name
    of a receipt or want-list that came with the request."""

    stream: str
    references: tuple[str, ...]
    volume: int
    since: str = "none"
    disc: int | None = None
    changed: bool = False

    @property
    def source(self) -> str:
        """The site that builds."""
        return self.stream.partition(".")[0]

    @property
    def site(self) -> str:
        """The destination."""
        return self.stream.partition(".")[2]

    @classmethod
    def read(cls, params: BuildParams | PlanParams, source: str) -> Wanted:
        """Raises UsageError, MalformedError."""
        check_destination(params.to, source)
        if params.since not in ("none", "last") and not params.since.startswith("/"):
            raise UsageError(
                "neither last nor none, and no receipt's full path",
                thing=f"since {params.since!r}"[:120],
                remedy="say last, none, or name a receipt or want-list",
            )
        references = tuple(dict.fromkeys(params.references))
        if not references:
            raise UsageError("no reference was given", remedy="name at least one REPO:TAG")
        for wish in map(Wish.parse, references):
            if params.changed and wish.exact is not None and wish.exact.digest is not None:
                raise UsageError("a digest never changes", thing=wish.text, remedy="leave --changed, or name a tag")
        profile = str(params.volume or "fat32")
        return cls(
            f"{source}.{params.to}", references, capacity(profile), params.since, disc_of(profile), params.changed
        )


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """A build. Two orders are equal where they ask for the same bundle, on whichever media."""

    wanted: Wanted
    out: tuple[str, ...] = field(compare=False)
    sign_with: str
    signers: tuple[str, ...]
    purpose: str
    authorisation: str
    classification: str
    not_after: str | None
    require_sbom: bool
    new_site: bool = field(default=False, compare=False)

    @classmethod
    def read(cls, params: Mapping[str, Any], source: str) -> BuildOrder:
        """A build job's params, at the site `source`. Raises UsageError, MalformedError."""
        given = convert(params, BuildParams)
        out = tuple(given.out)
        if not out:
            raise UsageError("no medium was given", remedy="name a folder with --out")
        if len({os.path.normpath(path) for path in out}) < len(out):
            raise UsageError("a medium was given twice", thing=", ".join(given.out), remedy="name each --out once")
        for path in out:
            if not path.startswith("/"):
                raise UsageError("a medium's path is not absolute", thing=path, remedy="write it in full")
        signers = tuple(sorted({check_keyid(keyid) for keyid in (given.sign_with, *given.cosigners)}))
        if len(signers) > limits.SIGNATURES:
            raise UsageError("too many signers", thing=str(len(signers)), remedy=f"at most {limits.SIGNATURES}")
        for name in ("purpose", "authorisation", "classification"):
            if len(getattr(given, name)) > limits.MANIFEST_TEXT:
                raise UsageError("a text is too long", thing=name, remedy=f"at most {limits.MANIFEST_TEXT} characters")
        if given.not_after is not None and check_time(given.not_after, "--not-after") <= clock.now():
            raise UsageError("--not-after has passed", thing=given.not_after, remedy="give a time to come")
        return cls(
            wanted=Wanted.read(given, source), out=out, sign_with=given.sign_with, signers=signers,
            purpose=given.purpose, authorisation=given.authorisation, classification=given.classification,
            not_after=given.not_after, require_sbom=given.require_sbom, new_site=given.new_site,
        )  # fmt: skip


def check_destination(to: str, source: str) -> None:
    """Whether a bundle may lead to a site, whatever is known of it. Raises MalformedError, UsageError."""
    if check_site(to) == source:
        raise UsageError("a bundle for one's own site", thing=source, remedy="name the inside's site with --to")


def convert(params: Mapping[str, Any], kind: type[Params]) -> Params:
    """Plain JSON data as params of a kind, nothing unknown in it. Raises UsageError naming the field."""
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise UsageError("malformed parameters", thing=str(error)[:160], remedy="see: lockgate --help") from None
