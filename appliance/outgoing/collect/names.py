"""The names that collected artifacts get: no source takes another one's name unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from appliance.station import Station
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import Reference, check_repository

TITLE = "org.opencontainers.image.title"
"""The annotation that holds a file's name (OCI image specification, annotations.md)."""

MODE = "vnd.lockgate.file.mode"
"""The annotation that holds a file's permission bits, in octal: `0755`. Never setuid, setgid or sticky."""

_SEPARATORS = " ._-"
_HASH = 8


def default_reference(name: str) -> Reference:
    """`files/<name>:latest`, the name in the letters that a repository may have.

    A name that loses more than its case and separators has a part of its hash behind it, so that two names of another
    script are two repositories. Raises UsageError where nothing of a name is left.
    """
    return Reference(f"files/{_folded(name)}", tag="latest")


def folder_name(name: str) -> str:
    """A repository's name for what a layout's folder or archive is called: as it is where it is one already.

    Raises UsageError where nothing of a name is left.
    """
    try:
        return check_repository(name)
    except MalformedError:
        return _folded(name)


def docker_name(text: str) -> Reference:
    """The name that docker and podman give an image, without the registry's host: `docker.io/library/app:1` and
    `localhost/app:1` are `app:1`. Without a tag it is `latest`, as docker takes it. Raises MalformedError."""
    host, slash, rest = text.partition("/")
    if slash and (":" in host or "." in host or host == "localhost"):
        text = rest.removeprefix("library/") if host == "docker.io" else rest
    return Reference.parse(text if "@" in text or ":" in text.rpartition("/")[2] else f"{text}:latest")


def _folded(name: str) -> str:
    folded = name.lower()
    kept = "".join(character if character.isascii() and character.isalnum() else "-" for character in folded)
    parts = [part for part in kept.split("-") if part]
    if any(not (character.isascii() and (character.isalnum() or character in _SEPARATORS)) for character in folded):
        parts.append(hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:_HASH])
    if not parts:
        raise UsageError("the file's name gives no repository", thing=repr(name), remedy="name one with --as REPO:TAG")
    return "-".join(parts)


def require_distinct(named: Sequence[tuple[str, Reference]]) -> None:
    """No two sources get one tag. `named`: each source as its user wrote it, and what it is called here.

    Raises UsageError naming both.
    """
    taken: dict[Reference, str] = {}
    for source, target in named:
        if target.tag is not None and target in taken:
            raise UsageError(
                f"two sources get the name {target}",
                thing=f"{taken[target]} and {source}",
                remedy="name each with --as REPO:TAG, one at a time, or with `as` in a collection's file",
            )
        taken[target] = source


def require_free(station: Station, target: Reference, file_name: str) -> None:
    """A file that nobody named takes only a tag that is free, or that holds a file of the same name.

    Raises RefusedError naming what is there.
    """
    assert target.tag is not None  # noqa: S101  default_reference gives one
    held = station.metadata.tagged_manifest(target.repository, target.tag)
    if held is None:
        return
    titles: list[str] = []
    try:
        with station.blobs.open_blob(held.digest) as file:
            manifest = parse_manifest(file.read(held.size), held.media_type)
        titles = [layer.annotations.get(TITLE, "") for layer in manifest.layers]
    except LockgateError:
        pass  # it cannot be read: collecting the same file again heals it
    else:
        if titles != [file_name]:
            raise RefusedError(
                f"{target} holds something else",
                thing=f"{', '.join(filter(None, titles)) or held.digest}, and not {file_name}",
                remedy="name the file with --as REPO:TAG",
            )
