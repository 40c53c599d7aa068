"""The folder of another registry: a repository of it as an image layout.

Docker's registry (distribution, the `filesystem` driver) keeps `docker/registry/v2`. There, in
`repositories/NAME/_manifests`, a tag is `tags/TAG/current/link`, a manifest `revisions/ALGORITHM/HEX/link`; a blob is
`blobs/ALGORITHM/HE/HEX/data`. zot keeps an OCI image layout for each repository, at `NAME`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, Protocol

from appliance.limits import collecting as limits
from bundles import limits as bundle_limits
from bundles.errors import LockgateError, MalformedError, NotFoundError, UsageError
from bundles.format.oci_layout import INDEX, LAYOUT_FILE, Layout, LayoutFolder
from bundles.io.files import failures_named, open_regular, read_small
from bundles.io.held import forget_below
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import ALGORITHMS, Digest
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import check_repository

_DISTRIBUTION: Final = Path("docker/registry/v2")
_MANIFESTS: Final = "_manifests"
_LINK: Final = 256
"""Bytes of a link file at most: it holds a digest."""


class RegistryFolder(Protocol):
    """A registry's folder, not in use while it is read."""

    def repositories(self) -> list[str]:
        """Their names, sorted. Raises UsageError where there are too many."""
        ...

    def tags(self, repository: str) -> list[str]:
        """The names of a repository's tags. Raises a LockgateError where they cannot be read."""
        ...

    def layout(self, repository: str) -> Layout:
        """A repository. Its entries are the tags that can be read, and the manifests that no tag names."""
        ...


def open_registry_folder(root: Path) -> RegistryFolder:
    """The folder of docker's registry or zot. Raises UsageError for any other."""
    if (root / _DISTRIBUTION / "repositories").is_dir():
        return _Distribution(root / _DISTRIBUTION)
    if (root / LAYOUT_FILE).is_file():
        raise UsageError("the folder is one OCI image layout", thing=str(root), remedy=f"lockgate collect oci:{root}")
    return _Zot(root)


class _Distribution:
    """`docker/registry/v2`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def repositories(self) -> list[str]:
        return _found(self._root / "repositories", lambda folder: (folder / _MANIFESTS).is_dir())

    def tags(self, repository: str) -> list[str]:
        folder = self._root / "repositories" / repository / _MANIFESTS / "tags"
        return sorted(one.name for one in _folders(folder)) if folder.is_dir() else []

    def layout(self, repository: str) -> Layout:
        return _DistributionRepository(self._root, repository, self.tags(repository))


class _DistributionRepository(Layout):
    """A repository of docker's registry. A tag that cannot be read is not among its entries: `entry_of` says why."""

    form: ClassVar[str] = "registry folder"

    def __init__(self, root: Path, repository: str, tags: list[str]) -> None:
        self.root = root / "repositories" / repository
        self._blobs = root / "blobs"
        self._manifests = self.root / _MANIFESTS
        self._entries: list[tuple[str | None, Descriptor]] = []
        known: dict[Digest, Descriptor] = {}
        for tag in tags:
            try:
                found = self.entry_of(tag)
            except LockgateError:
                continue  # told when the tag is taken
            known[found.digest] = found
            self._entries.append((tag, found))
        for digest in self._revisions():
            if digest not in known:
                try:
                    self._entries.append((None, self._described(digest)))
                except LockgateError:
                    continue  # no tag names it, and what cannot be read refers to nothing

    def entry_of(self, tag: str) -> Descriptor:
        """What a tag stands at. Raises a LockgateError that names it."""
        link = self._manifests / "tags" / tag / "current" / "link"
        try:
            return self._described(_linked(link))
        finally:
            forget_below(self._manifests / "tags" / tag)

    def entries(self) -> list[tuple[str | None, Descriptor]]:
        """As Layout.entries."""
        return self._entries

    def open_file(self, name: str) -> BinaryIO | None:
        """As Layout.open_file, for `blobs/ALGORITHM/HEX`."""
        _, algorithm, hexdigits = name.split("/")
        of_two = self._blobs / algorithm / hexdigits[:2]
        path = of_two / hexdigits / "data"
        try:
            return os.fdopen(open_regular(path), "rb") if path.exists() else None
        finally:
            forget_below(of_two)

    def read_small(self, name: str, ceiling: int) -> bytes:
        """As Layout.read_small."""
        return read_small(self.root / name, ceiling)

    def _described(self, digest: Digest) -> Descriptor:
        """The descriptor of a manifest here. Raises a LockgateError that names it."""
        with self.open_blob(digest) as file:
            raw = file.read(bundle_limits.OCI_MANIFEST + 1)
        if Digest.of(raw, digest.algorithm) != digest:
            raise MalformedError("a manifest is not what its digest says", thing=str(digest))
        return Descriptor(parse_manifest(raw).media_type, digest, len(raw))

    def _revisions(self) -> Iterator[Digest]:
        """The manifests that the repository has, tagged or not."""
        for algorithm in ALGORITHMS:
            folder = self._manifests / "revisions" / algorithm
            for one in _folders(folder) if folder.is_dir() else ():
                try:
                    yield Digest(algorithm, one.name)
                except MalformedError:
                    continue


class _Zot:
    """A folder with an OCI image layout for each repository."""

    def __init__(self, root: Path) -> None:
        """Raises UsageError where there is no layout in it."""
        self._root = root
        self._names = _found(root, lambda folder: (folder / LAYOUT_FILE).is_file() and (folder / INDEX).is_file())
        if not self._names:
            raise UsageError(
                "not the folder of a registry", thing=str(root),
                remedy="give the folder that holds docker/registry/v2, or zot's rootDirectory",
            )  # fmt: skip

    def repositories(self) -> list[str]:
        return self._names

    def tags(self, repository: str) -> list[str]:
        return sorted({name for name, _ in self.layout(repository).entries() if name})

    def layout(self, repository: str) -> Layout:
        return LayoutFolder(self._root / repository)


def entry_of(layout: Layout, tag: str) -> Descriptor:
    """What a tag of a repository stands at. Raises a LockgateError that names it."""
    if isinstance(layout, _DistributionRepository):
        return layout.entry_of(tag)
    found = next((descriptor for name, descriptor in layout.entries() if name == tag), None)
    if found is None:
        raise NotFoundError("the repository has no such tag", thing=f"{layout.root}:{tag}", remedy="see its index.json")
    return found


def _linked(link: Path) -> Digest:
    """The digest in a link file. Raises a LockgateError that names it."""
    raw = read_small(link, _LINK)
    try:
        return Digest.parse(raw.decode("ascii", "replace").strip())
    except MalformedError:
        raise MalformedError("the tag's link holds no digest", thing=str(link), remedy="push the tag again") from None


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, links left out."""
    with failures_named(folder, "the folder cannot be read"):
        return [one for one in folder.iterdir() if one.is_dir() and not one.is_symlink()]


def _found(root: Path, is_repository: Callable[[Path], bool]) -> list[str]:
    """The names of the repositories below a folder, sorted. What is no component of a name is not entered. Raises
    UsageError where there are too many."""
    names: list[str] = []
    waiting = [(root, "")]
    while waiting:
        folder, name = waiting.pop()
        is_one = bool(name) and is_repository(folder)
        if is_one:
            names.append(name)
        if len(names) > limits.ADOPTED_REPOSITORIES:
            raise UsageError(
                "the folder has too many repositories", thing=str(root),
                remedy=f"at most {limits.ADOPTED_REPOSITORIES} are taken at a time: name a folder below it",
            )  # fmt: skip
        for below in _folders(folder):
            if is_one and below.name == "blobs":  # a layout's own
                continue
            try:
                inner = check_repository(f"{name}/{below.name}" if name else below.name)
            except MalformedError:
                continue
            waiting.append((below, inner))
        forget_below(folder)
    return sorted(names)
