"""collection.lock: to which digests a collection.toml was resolved, so that everybody collects the same bytes.

Written by `lockgate collect -f FILE --update`, read by each `lockgate collect -f FILE` after that. TOML: `version`, and
a [[source]] for each of the collection's, in its order, with its `from` and `as`, of many tags what chooses among them,
and a [[source.artifact]] for each artifact that it gives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.collection_file import Listed
from appliance.selecting.platforms import check_platforms
from appliance.selecting.selection import ALL, Selection
from appliance.selecting.selection import KEYS as SELECTION_KEYS
from bundles import limits
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.io import toml
from bundles.io.files import read_small, write_atomic
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference

VERSION: Final = 1
_MOST: Final = 4 * limits.MIB
_HEAD: Final = (
    "# The digests of {name}. Made by: lockgate collect -f {name} --update. Not to be edited.\nversion = {version}\n"
)
_REMEDY: Final = "make it anew: lockgate collect -f FILE --update"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a source gives: the name that it gets here, and its digest."""

    reference: str
    digest: str


@dataclass(frozen=True, slots=True)
class Locked:
    """A source of a lock, by its `from` and `as` and, of many tags, what chooses among them, and of
    indexes the platforms that are taken."""

    came: str
    name: str | None
    artifacts: tuple[Artifact, ...]
    selection: Selection = ALL
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """How a lock differs from the one before: of one artifact the digests, None where it was or is not there."""

    reference: str
    before: str | None
    after: str | None


def lock_of(file: Path) -> Path:
    """Where the lock of a collection is: beside it, `collection.lock` for `collection.toml`."""
    return file.with_suffix(".lock")


def read_lock(path: Path) -> tuple[Locked, ...]:
    """The sources of a lock. Raises UsageError naming the file, FailedError where it cannot be read."""
    try:
        document = toml.loads(read_small(path.resolve(), _MOST))
    except MalformedError as error:
        raise _wrong(path, error.what) from None
    if document.get("version") != VERSION or set(document) != {"version", "source"}:
        raise _wrong(path, f"no lock of version {VERSION}")
    listed = document["source"]
    if not isinstance(listed, list) or not listed:
        raise _wrong(path, "`source` is no list of tables")
    return tuple(_locked(path, number, entry) for number, entry in enumerate(listed, 1))


def _locked(path: Path, number: int, entry: Any) -> Locked:
    fields = entry if isinstance(entry, dict) else {}
    came, name, listed = fields.get("from"), fields.get("as"), fields.get("artifact")
    known = {"from", "as", "artifact", "platforms", *SELECTION_KEYS}
    if not isinstance(came, str) or not isinstance(name, str | None) or not set(fields) <= known:
        raise _wrong(path, f"source {number} is malformed")
    try:
        platforms = check_platforms(fields.get("platforms"))
        selection = Selection.of({key: fields[key] for key in SELECTION_KEYS if key in fields})
    except UsageError as error:
        raise _wrong(path, f"source {number} is malformed: {error.thing}") from None
    artifacts = []
    for one in listed if isinstance(listed, list) else []:
        try:
            reference, digest = one["reference"], one["digest"]
            artifacts.append(Artifact(str(Reference.parse(reference)), str(Digest.parse(digest))))
        except (LockgateError, LookupError, TypeError, AttributeError):
            raise _wrong(path, f"an artifact of source {number} is malformed") from None
    if not artifacts:
        raise _wrong(path, f"source {number} has no artifact")
    return Locked(came, name, tuple(artifacts), selection, platforms)


def write_lock(path: Path, file: Path, locked: Sequence[Locked]) -> None:
    """Write the lock of the collection in `file`, in place of one that is there. Raises FailedError."""
    text = "".join(_lines(file, locked))
    write_atomic(path, text.encode(), 0o644)


def _lines(file: Path, locked: Sequence[Locked]) -> Iterator[str]:
    yield _HEAD.format(name=file.name.replace("\n", " "), version=VERSION)
    for source in locked:
        yield f"\n[[source]]\nfrom = {_quoted(source.came)}\n"
        if source.name is not None:
            yield f"as = {_quoted(source.name)}\n"
        if source.platforms:
            yield f"platforms = {_value(list(source.platforms))}\n"
        yield from (f"{key} = {_value(value)}\n" for key, value in source.selection.to_json().items())
        for artifact in source.artifacts:
            yield f"[[source.artifact]]\nreference = {_quoted(artifact.reference)}\n"
            yield f"digest = {_quoted(artifact.digest)}\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    return str(value) if isinstance(value, int) else _quoted(value)


def _quoted(text: str) -> str:
    """A text as a basic string of TOML: JSON's own form, but for the one character that JSON leaves (TOML 1.0)."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def require_same_sources(lock: Path, locked: Sequence[Locked], file: Path, listed: Sequence[Listed]) -> None:
    """A lock is of this collection as it stands. Raises RefusedError naming the first source that differs."""
    for number in range(1, max(len(locked), len(listed)) + 1):
        one = locked[number - 1] if number <= len(locked) else None
        other = listed[number - 1] if number <= len(listed) else None
        if one is None or other is None or _told(one) != _told(other):
            there = "nothing" if one is None else _told(one)
            here = "nothing" if other is None else _told(other)
            raise RefusedError(
                "the lock is of another collection",
                thing=f"source {number} is {here} in {file}, and {there} in {lock}",
                remedy=f"see what changed, then make it anew: lockgate collect -f {file} --update",
            )  # fmt: skip


def _told(source: Locked | Listed) -> str:
    """A source in words: two that differ in anything that a lock depends on are told differently."""
    said = {"platforms": list(source.platforms)} if source.platforms else {}
    keys = "".join(f", {key} {_value(value)}" for key, value in (said | source.selection.to_json()).items())
    return source.came + (f" as {source.name}" if source.name is not None else "") + keys


def changes(before: Sequence[Locked], after: Sequence[Locked]) -> list[Change]:
    """How two locks differ, by reference; in the order of the new one, what is gone last."""
    old = {one.reference: one.digest for source in before for one in source.artifacts}
    new = {one.reference: one.digest for source in after for one in source.artifacts}
    moved = [Change(name, old.get(name), digest) for name, digest in new.items() if old.get(name) != digest]
    return moved + [Change(name, digest, None) for name, digest in old.items() if name not in new]


def _wrong(path: Path, what: str) -> UsageError:
    return UsageError(f"the lock cannot be read ({what})"[:200], thing=str(path), remedy=_REMEDY)
