"""Rotation: a new key under a name. The old one is kept as `NAME.KEYID`, to sign until the new one is pinned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundles.errors import FailedError
from bundles.io.files import os_failure, sync_folder
from bundles.signing.keys import (
    CREATABLE,
    PUBLIC_SUFFIX,
    PrivateKey,
    PublicKey,
    check_name,
    create_private,
    load_public,
    save_private,
)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation will do in the key folder: `made` takes `name`, the `old` key goes on as `kept`."""

    folder: Path
    name: str
    old: PublicKey
    kept: str
    made: PrivateKey

    @classmethod
    def prepare(cls, folder: Path, name: str, algorithm: str | None = None) -> Rotation:
        """Make the new key; nothing is written. Raises UsageError: no such key; FailedError: it was rotated before."""
        old = load_public(folder / f"{check_name(name)}{PUBLIC_SUFFIX}")
        wanted = algorithm or (old.algorithm if old.algorithm in CREATABLE else CREATABLE[0])
        planned = cls(folder, name, old, check_name(f"{name}.{old.keyid}"), create_private(wanted))
        for _, target in planned._moves():
            if target.exists():
                raise FailedError("the key was rotated before", thing=str(target), remedy="move the old key away first")
        return planned

    def carry_out(self, passphrase: bytes | None) -> None:
        """Keep the old key under its other name, and save the new one. Raises FailedError naming the folder."""
        try:
            for source, target in self._moves():
                if source.exists():
                    source.rename(target)
            sync_folder(self.folder)
        except OSError as error:
            raise os_failure(error, self.folder, "the old key cannot be moved") from None
        save_private(self.folder / f"{self.name}.pem", self.made, passphrase)

    def _moves(self) -> list[tuple[Path, Path]]:
        return [
            (self.folder / f"{self.name}{suffix}", self.folder / f"{self.kept}{suffix}")
            for suffix in (".pem", PUBLIC_SUFFIX)
        ]
