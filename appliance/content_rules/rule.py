"""What a content rule is: a small class that is shown entries, files, layers or a whole image, and names what it finds.

A rule holds nothing but its settings, so that several threads may ask one at once; what it must remember of a file is
in a `Look`. It is shown bytes that a hostile sender made: its time is linear in them, and its memory bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, NamedTuple, Protocol, get_args

import msgspec

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From what is noted to what nobody should run."""


class Finding(NamedTuple):
    """What a rule found. `path` as the walk names it, "" for the blob itself; `what` says it in a few words, and never
    quotes a `secret`, of which a salted fingerprint alone is kept. `size`: the bytes that it is about, 0 for none.
    `since`: when it begins to hold (a time, as 2027-01-31T00:00:00Z), "" for always."""

    path: str
    what: str
    size: int = 0
    since: str = ""
    secret: bytes = b""


class Entry(NamedTuple):
    """An entry of an archive. `path` behind `!` of the archives that it stands in, without a leading `/` or `./`;
    `kind` is tar's type (0 a file, 1 a hard link, 2 a symbolic link, 3 and 4 devices, 5 a folder); `powers` are
    extended attributes that give power; `depth` counts the archives around it: 1 is the layer."""

    path: str
    kind: str
    mode: int
    size: int
    powers: tuple[str, ...]
    depth: int


class File(NamedTuple):
    """A file of which bytes follow. `head` are its first 512 bytes, `type` what it is by them
    (appliance.content_rules.file_types); `mode` 0 where nothing gives it one."""

    path: str
    mode: int
    head: bytes
    type: str
    depth: int


class Look(Protocol):
    """A file on its way past a rule."""

    def feed(self, data: bytes) -> Iterable[Finding]:
        """The next bytes, the first ones included; of an archive that is taken apart none: its parts come by
        themselves."""
        ...

    def end(self) -> Iterable[Finding]:
        """It came to its end."""
        ...


@dataclass(slots=True)
class Outline:
    """What is kept of a layer for the rules about whole images. `bytes` of `files` files; `large` the largest of them
    [(path, bytes)], `whiteouts` what it takes away from the layers beneath it, `opaque` the folders that it empties;
    `is_whole`: whether all that is taken away is listed. `caches`: bytes of package caches by the manager's name."""

    files: int = 0
    bytes: int = 0
    large: list[tuple[str, int]] = field(default_factory=list)
    whiteouts: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    is_whole: bool = True
    caches: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """A manifest as rules see it. `media_types` of the manifest, its configuration and its layers; `annotations` of the
    manifest over the labels of its configuration; `config` is the configuration, empty where it is none of an image;
    `layers` are outlines, the lowest first, None for one that nobody looked through. `at`: the time of the look."""

    runs: bool
    media_types: Sequence[str]
    annotations: Mapping[str, str]
    config: Mapping[str, Any]
    layers: Sequence[Outline | None]
    at: str


class NoSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a rule that has none."""


class Rule:
    """A content rule; each overrides the hooks that it needs. `version` counts up when the same bytes give another
    answer. `message` says what was found, `remedy` what helps."""

    id: ClassVar[str]
    version: ClassVar[int] = 1
    message: ClassVar[str]
    remedy: ClassVar[str]
    severity: ClassVar[Severity]
    Settings: ClassVar[type[msgspec.Struct]] = NoSettings

    def __init__(self, settings: Any = None) -> None:
        self.settings: Any = self.Settings() if settings is None else settings

    def entry(self, entry: Entry) -> Iterable[Finding]:
        """An entry of an archive, before its bytes."""
        return ()

    def begin(self, file: File) -> Look | Iterable[Finding]:
        """A file: a look at its bytes, or what its head alone tells."""
        return ()

    def unseen(self, path: str, reason: str) -> Iterable[Finding]:
        """Something that the walk could not look into."""
        return ()

    def layer(self, outline: Outline) -> Iterable[Finding]:
        """An archive that came to its end."""
        return ()

    def image(self, image: ImageFacts) -> Iterable[Finding]:
        """A whole image."""
        return ()
