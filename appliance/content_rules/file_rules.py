"""Rules about entries and files by themselves: types, places, modes, devices, capabilities, and what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from appliance.content_rules.file_types import EXECUTABLES, TYPES
from appliance.content_rules.rule import Entry, File, Finding, Rule, Severity
from bundles.errors import UsageError

_SETID: Final = 0o6000
_NO_POWER: Final = "23456"
"""Types whose setuid and setgid bits give no power (appliance.archives.contents)."""
_DEVICES: Final = {"3": "a character device", "4": "a block device"}
_EXECUTE: Final = 0o111
_ENCRYPTED: Final[tuple[tuple[str, bytes], ...]] = (
    ("a message encrypted by OpenPGP", b"-----BEGIN PGP MESSAGE-----"),
    ("encrypted by age", b"age-encryption.org/v1"),
    ("encrypted by age", b"-----BEGIN AGE ENCRYPTED FILE-----"),
    ("encrypted by openssl enc", b"Salted__"),
    ("an encrypted disk (LUKS)", b"LUKS\xba\xbe"),
    ("encrypted by Ansible Vault", b"$ANSIBLE_VAULT;"),
)
UNSEEN_ENCRYPTED: Final = "encrypted"
"""What the walk says of an entry of an archive that is."""


class Paths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`allow`: paths where it is no finding, each a file, or a folder that ends with `/`."""

    allow: tuple[str, ...] = ()


class Places(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`places`: the folders where programs may be, as `usr/bin/`; empty: anywhere."""

    places: tuple[str, ...] = ()


class Types(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`allow`: the types that a file may be of, empty for any; `deny`: those that it may not be of."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [one for one in (*self.allow, *self.deny) if one not in TYPES]
        if unknown:
            raise UsageError("no type of files", thing=unknown[0][:60], remedy=f"the types: {', '.join(TYPES)}")


def is_within(path: str, places: tuple[str, ...]) -> bool:
    """Whether a path is one of these files, or lies in one of these folders (which end with `/`)."""
    return any(path == one or (one.endswith("/") and path.startswith(one)) for one in places)


class Setuid(Rule):
    """Files that run as somebody else."""

    id: ClassVar[str] = "setuid"
    message: ClassVar[str] = "a file that runs as its owner or group"
    remedy: ClassVar[str] = "take the bit away in the image (chmod u-s,g-s), or name the file in the rule's allow"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = Paths

    def entry(self, entry: Entry) -> Iterator[Finding]:
        if entry.mode & _SETID and entry.kind not in _NO_POWER and not is_within(entry.path, self.settings.allow):
            yield Finding(entry.path, f"mode {entry.mode & 0o7777:04o}")


class Capabilities(Rule):
    """Files with extended attributes that give power."""

    id: ClassVar[str] = "capabilities"
    message: ClassVar[str] = "a file with capabilities"
    remedy: ClassVar[str] = "take them away in the image (setcap -r), or name the file in the rule's allow"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = Paths

    def entry(self, entry: Entry) -> Iterator[Finding]:
        if not is_within(entry.path, self.settings.allow):
            yield from (Finding(entry.path, power[:100]) for power in entry.powers)


class Devices(Rule):
    """Device files; a runtime makes those that a container needs."""

    id: ClassVar[str] = "device"
    message: ClassVar[str] = "a device file"
    remedy: ClassVar[str] = "build the image without it: runtimes make those that are needed"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = Paths

    def entry(self, entry: Entry) -> Iterator[Finding]:
        if entry.kind in _DEVICES and not is_within(entry.path, self.settings.allow):
            yield Finding(entry.path, _DEVICES[entry.kind])


class ExecutablePlace(Rule):
    """Programs outside the folders where programs belong."""

    id: ClassVar[str] = "executable-place"
    message: ClassVar[str] = "a program outside the places for programs"
    remedy: ClassVar[str] = "put it where programs belong, or name the folder in the rule's places"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = Places

    def begin(self, file: File) -> Iterator[Finding]:
        places = self.settings.places
        runs = file.type in EXECUTABLES or (file.type == "script" and file.mode & _EXECUTE)
        if places and file.path and runs and not is_within(file.path, places):
            yield Finding(file.path, file.type)


class FileType(Rule):
    """Files of types that are not wanted, by their bytes."""

    id: ClassVar[str] = "file-type"
    message: ClassVar[str] = "a file of a type that is not allowed"
    remedy: ClassVar[str] = "build the image without it, or allow the type in the rule's settings"
    severity: ClassVar[Severity] = "medium"
    Settings: ClassVar[type[msgspec.Struct]] = Types

    def begin(self, file: File) -> Iterator[Finding]:
        allow, deny = self.settings.allow, self.settings.deny
        if file.depth and (file.type in deny or (allow and file.type not in allow)):
            yield Finding(file.path, file.type)


class Encrypted(Rule):
    """What is under a key or a password, so that nobody can look into it."""

    id: ClassVar[str] = "encrypted"
    message: ClassVar[str] = "encrypted content, which nobody here can look into"
    remedy: ClassVar[str] = "have it sent in the clear, or have its owner say what it is"
    severity: ClassVar[Severity] = "medium"

    def begin(self, file: File) -> Iterator[Finding]:
        for what, magic in _ENCRYPTED:
            if file.head.startswith(magic):
                yield Finding(file.path, what)

    def unseen(self, path: str, reason: str) -> Iterator[Finding]:
        if reason == UNSEEN_ENCRYPTED:
            yield Finding(path, "an entry under a password")


class NotInspectable(Rule):
    """What the walk could not look into: damaged, nested too deeply, too large, or read differently by readers."""

    id: ClassVar[str] = "not-inspectable"
    message: ClassVar[str] = "content that could not be looked into"
    remedy: ClassVar[str] = "reject it, or have it looked into by other means: it is not clean"
    severity: ClassVar[Severity] = "high"

    def unseen(self, path: str, reason: str) -> Iterator[Finding]:
        if reason != UNSEEN_ENCRYPTED:
            yield Finding(path, reason)
