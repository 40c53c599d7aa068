"""The sources of a collect, from the params that describe them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.jobs.kinds import JobContext
from appliance.outgoing.collect.access import Accesses
from appliance.outgoing.collect.arrivals import ArtifactSource
from appliance.outgoing.collect.dir_folder import DirFolder
from appliance.outgoing.collect.docker_archive import DockerArchive
from appliance.outgoing.collect.evidence import EvidenceMemory
from appliance.outgoing.collect.host_client import Hosts
from appliance.outgoing.collect.kept import KeptBytes
from appliance.outgoing.collect.local import LocalSource
from appliance.outgoing.collect.names import require_distinct, require_free
from appliance.outgoing.collect.planning import Pins
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.sources import FileSource, LayoutArchive, LayoutSource, Source
from appliance.outgoing.collect.tar_files import TarFiles
from appliance.outgoing.collect.url_source import UrlSource
from appliance.selecting.platforms import check_platforms
from appliance.settings.redirects import check_hosts
from bundles import limits
from bundles.errors import LockgateError, RefusedError, UsageError
from bundles.format.oci_layout import LayoutFolder
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference, RemoteReference

PATHS: Final = ("layout", "oci-archive", "docker-archive", "dir", "file")
"""Kinds of sources that are paths."""


@dataclass(frozen=True, slots=True)
class Registries:
    """What all sources of a collect that are registries share."""

    hosts: Hosts
    accesses: Accesses
    memory: EvidenceMemory
    kept: KeptBytes


@dataclass(frozen=True, slots=True)
class Given:
    """A source as it was given: its text, and what it is. `local` is what lies on this machine, or None."""

    text: str
    source: ArtifactSource
    local: Source | None = None
    pins: Pins = field(default_factory=lambda: Pins("", None))
    last: bool = False
    """Whether it speaks for the others, and is taken only where all of them were."""
    place: int = 0
    """The place of its source in the job's params."""
    platforms: tuple[str, ...] = ()
    """Those that are taken of an index; none of them: all."""
    why: str = ""
    """Why it was chosen, where a selection did."""

    def targets(self) -> list[Reference]:
        """What it will be called here. Raises a LockgateError that names the source."""
        if isinstance(self.source, RemoteSource):
            return self.source.targets()
        return [] if self.local is None else self.local.targets()

    def left_out(self) -> RefusedError:
        """Why a source that is `last` was not taken."""
        return RefusedError(
            "left out, since it speaks for sources of which one was not collected", thing=self.text,
            remedy="collect what failed, and this with it: lockgate collect --retry-failed",
        )  # fmt: skip


def open_given(
    context: JobContext, place: int, entry: dict[str, Any], hashed: Callable[[int, int], object], registries: Registries
) -> Given:
    """The source that the entry at a place of the params describes. Raises UsageError."""
    tag = str(entry.get("tag") or "")
    at = str(entry.get("url") or "").partition("?")[0]  # a query may hold what is nobody's to see
    text = (
        str(entry.get("path") or entry.get("reference") or at) + (":" if tag and not tag.startswith("@") else "") + tag
    )
    pins = Pins(text, entry.get("pinned"))
    last = entry.get("last") is True
    platforms = check_platforms(entry.get("platforms"))
    if platforms and entry["kind"] in ("file", "url"):
        raise UsageError("a file has no platforms", thing=text, remedy="leave --platform out")
    if entry["kind"] == "url":
        return Given(text, _url(context, entry, registries), pins=pins, last=last, place=place)
    if entry["kind"] != "registry":
        local = open_local(context, entry, hashed)
        return Given(text, LocalSource(local), local, pins, last, place, platforms)
    reference = RemoteReference.parse(entry["reference"])
    redirects_of(context, entry, reference.host)  # what is wrong there is told before anything is read
    source = registry_source(context, entry, reference, _named(entry), registries)
    return Given(text, source, pins=pins, last=last, place=place, platforms=platforms)


def registry_source(
    context: JobContext,
    entry: dict[str, Any],
    reference: RemoteReference,
    as_: Reference | None,
    registries: Registries,
) -> RemoteSource:
    """An artifact at a registry, asked for as an entry says."""
    return RemoteSource(
        reference, as_, registries.hosts,
        accesses=registries.accesses, memory=registries.memory, kept=registries.kept,
        narrowed=lambda host: redirects_of(context, entry, host),
        say=lambda said: context.log(f"[!!] {said}"),
    )  # fmt: skip


def _url(context: JobContext, entry: dict[str, Any], registries: Registries) -> UrlSource:
    as_, url, sha256 = _named(entry), entry.get("url"), entry.get("sha256")
    if as_ is None or not isinstance(url, str) or not isinstance(sha256, str):
        raise UsageError("malformed parameters", thing="a URL goes with `as` and `sha256`", remedy="give all three")
    return UrlSource(
        url, Digest.parse(f"sha256:{sha256}"), as_, registries.hosts,
        accesses=registries.accesses, narrowed=lambda host: redirects_of(context, entry, host),
    )  # fmt: skip


def open_local(context: JobContext, entry: dict[str, Any], hashed: Callable[[int, int], object]) -> Source:
    """A source that is a path. `hashed` is told of bytes as they are hashed. Raises UsageError."""
    as_ = _named(entry)
    if entry["kind"] not in PATHS:
        kinds = ", ".join((*PATHS, "registry", "tags", "url"))
        raise UsageError("unknown kind of source", thing=repr(entry["kind"])[:60], remedy=f"use one of {kinds}")
    path = context.path(entry["path"])
    name = _name(entry.get("name") or path.name)
    if entry["kind"] == "layout":
        return LayoutSource(LayoutFolder(path), entry.get("tag"), as_, name)
    if entry["kind"] == "dir":
        return LayoutSource(DirFolder(path), entry.get("tag"), as_, name)
    if entry["kind"] == "oci-archive":
        return LayoutSource(LayoutArchive(TarFiles(path)), entry.get("tag"), as_, name.removesuffix(".tar"))
    if entry["kind"] == "docker-archive":
        return DockerArchive(TarFiles(path), entry.get("tag"), as_, hashed)
    return FileSource(path, as_, hashed, name)


def check_names(context: JobContext, given: Sequence[Given]) -> None:
    """Raises UsageError, RefusedError where one source would take another's name, or another file's."""
    require_names(given)
    for one in given:
        if isinstance(one.local, FileSource) and one.local.default_name is not None:
            require_free(context.station, one.local.targets()[0], one.local.default_name)


def require_names(given: Sequence[Given]) -> None:
    """Raises UsageError where two sources would take one name."""
    named: list[tuple[str, Reference]] = []
    for one in given:
        with contextlib.suppress(LockgateError):  # told in the source's turn: the others are taken
            named += [(one.text, target) for target in one.targets()]
    require_distinct(named)


def redirects_of(context: JobContext, entry: dict[str, Any], host: str) -> list[tuple[str, ...]]:
    """The lists that narrow a source's redirects: the entry's and the configuration's. Raises UsageError."""
    given = entry.get("redirects")
    if given is not None and not isinstance(given, list):
        raise UsageError("malformed parameters", thing="`redirects` is a list of hosts", remedy="see: lockgate --help")
    configured = context.station.config.collect.redirects.get(host.lower())  # names of hosts have no case (RFC 4343)
    return [check_hosts(hosts) for hosts in (given, configured) if hosts is not None]


def _named(entry: dict[str, Any]) -> Reference | None:
    as_ = Reference.parse(entry["as"]) if entry.get("as") else None
    if as_ is not None and (as_.tag is None or as_.digest is not None):
        raise UsageError("--as takes a tag", thing=str(as_), remedy="write REPO:TAG")
    return as_


def _name(text: Any) -> str:
    """The name of a file or folder as its user wrote it. Raises UsageError for what is none."""
    if (
        not isinstance(text, str)
        or "/" in text
        or "\0" in text
        or text in (".", "..")
        or len(text) > limits.REPOSITORY_NAME
    ):
        raise UsageError("malformed parameters", thing="`name` is a file's name", remedy="see: lockgate --help")
    return text
