"""The lists that `lockgate bundle build -f` reads: references a line, or a collection.toml of `lockgate collect`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bundles import limits
from bundles.errors import LockgateError, UsageError

if TYPE_CHECKING:
    from appliance.collection_file import Listed


def names_in(file: str) -> list[str]:
    """The references that a list names: a file of lines (`#` begins a comment), `-` for the standard input, or, where
    its name ends in .toml, a collection, of each source the name that `collect` gives it.

    Raises UsageError naming the file and the line or entry.
    """
    if file.endswith(".toml"):
        return _collected(Path(file))
    lines = _read(file).splitlines()
    names = [name for line in lines if (name := line.partition("#")[0].strip())]
    if not names:
        raise UsageError("the list names nothing", thing=file, remedy="write a REF a line")
    for number, line in enumerate(lines, 1):
        if len(line.partition("#")[0].split()) > 1:
            raise UsageError(f"line {number} has more than one word", thing=file, remedy="write a REF a line")
    return names


def _read(file: str) -> str:
    from bundles.io.files import read_small, require_file

    if file != "-":
        require_file(Path(file))
    raw = sys.stdin.buffer.read(limits.MIB + 1) if file == "-" else read_small(Path(file), limits.MIB)
    if len(raw) > limits.MIB:
        raise UsageError("the list is too long", thing=file, remedy=f"at most {limits.MIB} bytes; use patterns")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise UsageError("the list is not UTF-8 text", thing=file, remedy="write a REF a line") from None


def _collected(file: Path) -> list[str]:
    from appliance.collection_file import read_collection

    sources = read_collection(file)
    if not any(one.is_many for one in sources):
        return [_name(listed, file) for listed in sources]
    return list(_locked(file, sources))


def _locked(file: Path, sources: Sequence[Listed]) -> Iterator[str]:
    """The names of sources of which some are many tags: which, only the lock says."""
    from appliance.lock_file import lock_of, read_lock, require_same_sources

    lock = lock_of(file)
    if not lock.exists():
        many = next(one for one in sources if one.is_many)
        raise UsageError(
            f"which tags source {many.number} stands for is said by a lock, and there is none", thing=str(lock),
            remedy=f"make it: lockgate collect -f {file} --update; or name the tags here",
        )  # fmt: skip
    locked = read_lock(lock)
    require_same_sources(lock, locked, file, sources)
    for listed, one in zip(sources, locked, strict=True):
        yield from (artifact.reference for artifact in one.artifacts) if listed.is_many else (_name(listed, file),)


def _name(listed: Listed, file: Path) -> str:
    """What `collect` calls a source here."""
    if listed.name is not None:
        return listed.name
    kind, _, rest = listed.came.partition(":")
    try:
        found = _given(kind, rest, listed.came)
    except LockgateError:
        found = None
    if found is None:
        raise UsageError(
            f"source {listed.number} does not say its name here", thing=listed.came, remedy=f"give it `as` in {file}"
        )
    return found


def _given(kind: str, rest: str, came: str) -> str | None:
    """The name of a file, of one image of a layout, or of a registry's image; None where only the source itself says
    it."""
    from appliance.outgoing.collect.names import default_reference
    from bundles.oci.reference import Reference, RemoteReference

    if kind == "file":
        return str(default_reference(Path(rest).name))
    if kind == "oci":
        folder, colon, tag = rest.rpartition(":")
        return str(Reference(Path(folder).name.lower(), tag=tag)) if colon and "/" not in tag else None
    return str(RemoteReference.parse(came.removeprefix("docker://")).reference)
