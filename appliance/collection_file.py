"""collection.toml: the sources that `lockgate collect -f` takes, and that `lockgate bundle build -f` carries.

One reader for both. A fault names the file, the line and the key.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.file_url import check_file_url
from appliance.selecting.platforms import check_platforms
from appliance.selecting.selection import ALL, Selection, is_many
from appliance.selecting.selection import KEYS as SELECTION_KEYS
from appliance.settings.redirects import check_hosts
from bundles import limits
from bundles.errors import LockgateError, MalformedError, UsageError
from bundles.io import toml
from bundles.io.files import read_small, require_file

_HEADER: Final = re.compile(r"\s*\[\[\s*source\s*\]\]")
_KEYS: Final = ("from", "as", "sha256", "redirects", "platforms", *SELECTION_KEYS)
_PATHS: Final = ("oci", "oci-archive", "docker-archive", "dir", "file")
_URL: Final = ("https://", "http://")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_FORM: Final = "write [[source]] tables with `from` and, where wanted, `as`, `sha256`, `redirects` or what chooses tags"


@dataclass(frozen=True, slots=True)
class Listed:
    """A source as the file lists it: `came` is its `from`, `name` its `as`. `number` counts from 1; `line` is that of
    its header."""

    number: int
    line: int
    came: str
    name: str | None = None
    redirects: tuple[str, ...] | None = None
    sha256: str | None = None
    selection: Selection = ALL
    platforms: tuple[str, ...] = ()

    @property
    def is_url(self) -> bool:
        """Whether it is a file at a URL, which has a checksum and a name of its own here."""
        return self.came.startswith(_URL)

    @property
    def is_many(self) -> bool:
        """Whether it is many tags of a registry: no path, and a pattern."""
        return not self.is_url and is_many(self.came) and self.came.partition(":")[0] not in _PATHS


def read_collection(file: Path) -> tuple[Listed, ...]:
    """The sources of a file. Raises UsageError naming file, line and key, FailedError where it cannot be read."""
    require_file(file)
    raw = read_small(file.resolve(), limits.MIB)
    try:
        document = toml.loads(raw)
    except MalformedError as error:
        raise UsageError(f"not a collection ({error.what})"[:200], thing=str(file), remedy="write TOML") from None
    lines = raw.decode().splitlines()
    for key in document:
        if key != "source":
            raise _wrong(file, lines, 0, key, f"not a collection: it has no {key!r:.80}", _FORM)
    listed = document.get("source")
    if not isinstance(listed, list) or not listed:
        raise UsageError("not a collection", thing=str(file), remedy=_FORM)
    headers = [number for number, line in enumerate(lines, 1) if _HEADER.match(line)]
    if len(headers) != len(listed):  # written in another way, as an array of inline tables
        headers = [0] * len(listed)
    return tuple(_listed(file, lines, number, headers[number - 1], one) for number, one in enumerate(listed, 1))


def _listed(file: Path, lines: list[str], number: int, line: int, source: Any) -> Listed:
    what = f"source {number} is malformed"
    fields = source if isinstance(source, dict) else {}
    for key in fields:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join(_KEYS)}"
            raise _wrong(file, lines, line, key, f"{what}: there is no {key!r:.80}", meant)
    if "from" not in fields:
        raise _wrong(file, lines, line, "", f"{what}: `from` is missing", _FORM)
    for key in ("from", "as", "sha256"):
        if not isinstance(fields.get(key, ""), str):
            raise _wrong(file, lines, line, key, what, f"`{key}` is a text")
    redirects = fields.get("redirects")
    if redirects is not None:
        if not isinstance(redirects, list):
            raise _wrong(file, lines, line, "redirects", what, "`redirects` is a list of hosts")
        try:
            redirects = check_hosts(redirects)
        except LockgateError as error:
            raise _wrong(file, lines, line, "redirects", f"{what}: {error.what} {error.thing}", error.remedy) from None
    try:
        platforms = check_platforms(fields.get("platforms"))
    except LockgateError as error:
        raise _wrong(file, lines, line, "platforms", f"{what}: {error.what}: {error.thing}", error.remedy) from None
    selected = {key: fields[key] for key in SELECTION_KEYS if key in fields}
    try:
        selection = Selection.of(selected)
    except LockgateError as error:
        key, _, said = error.thing.partition(": ")
        raise _wrong(file, lines, line, key, f"{what}: {key}: {said}", error.remedy) from None
    listed = Listed(
        number, line, fields["from"], fields.get("as"), redirects, fields.get("sha256"), selection, platforms
    )  # fmt: skip
    if selected and not listed.is_many:
        key = next(iter(selected))
        raise _wrong(
            file,
            lines,
            line,
            key,
            f"{what}: `{key}` chooses among tags",
            "write `from` as HOST/REPO:PATTERN",
        )
    _check_url(file, lines, listed)
    return listed


def _check_url(file: Path, lines: list[str], listed: Listed) -> None:
    """Raises UsageError where a file by URL lacks its checksum or its name, has a URL that may hold a secret, or where
    another source has a checksum."""
    what, line = f"source {listed.number} is malformed", listed.line
    if listed.is_url:
        try:
            check_file_url(listed.came)
        except LockgateError as error:
            raise _wrong(file, lines, line, "from", f"{what}: {error.what}", error.remedy) from None
    if listed.is_url and (listed.sha256 is None or listed.name is None):
        raise _wrong(
            file, lines, line, "from", what, "a file by URL has `sha256`, its checksum, and `as`, its name here"
        )
    if listed.platforms and (listed.is_url or listed.came.startswith("file:")):
        raise _wrong(file, lines, line, "platforms", f"{what}: a file has no platforms", "leave `platforms` out")
    if not listed.is_url and listed.sha256 is not None:
        raise _wrong(file, lines, line, "sha256", what, "`sha256` is of a file by URL")
    if listed.sha256 is not None and not _SHA256.match(listed.sha256):
        raise _wrong(file, lines, line, "sha256", what, "`sha256` is 64 hex digits in lower case: sha256sum FILE")


def _wrong(file: Path, lines: list[str], line: int, key: str, what: str, remedy: str) -> UsageError:
    """The error about a key of the table whose header is at `line`, by the line where the key stands."""
    key_line = re.compile(rf"\s*\[{{0,2}}\s*(?:\w+\.)*\"?{re.escape(key)}\"?\s*[=.\]]") if key else None
    stands = (number for number, text in enumerate(lines[line:], line + 1) if key_line and key_line.match(text))
    place = next(stands, line)
    return UsageError(what[:300], thing=f"{file}, line {place}" if place else str(file), remedy=remedy)
