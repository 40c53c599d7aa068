"""What the console does at the station's folder itself, as the command line does: keys are pinned, revoked and rotated,
and bundles verified, without the control socket and without a running station.

Every method blocks: call it in a thread. Each raises `bundles.errors.LockgateError`, an act with nothing done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bundles.io.typed_paths import typed_path
from bundles.ports import Progress

if TYPE_CHECKING:
    from bundles.signing.keys import PublicKey
    from bundles.signing.widening import Widening
    from bundles.verifier.examine import Findings


@dataclass(frozen=True)
class KeyFile:
    """A public key in a file that somebody brought."""

    path: str
    keyid: str
    algorithm: str
    fingerprint: str


@dataclass(frozen=True)
class Grant:
    """What a key is to be pinned for: times are wire times or empty, `sites` those it may sign for."""

    purpose: str
    owner: str
    sites: tuple[str, ...] = ()
    not_before: str = ""
    not_after: str = ""


@dataclass(frozen=True)
class Heard:
    """A first trust: the words or digits that the owner read out, who listened, and the new file for the record."""

    words: str
    witness: str
    record: str


@dataclass(frozen=True)
class Rotated:
    """A key that was made in the place of another, which is kept under the name `kept`."""

    name: str
    keyid: str
    fingerprint: str
    kept: str


class Desk(Protocol):
    """The station's folder, as far as the console works on it."""

    def read_key(self, path: str) -> KeyFile:
        """The public key in a file. Raises UsageError where there is none."""
        ...

    def pin(self, path: str, grant: Grant, heard: Heard | None = None) -> str:
        """Pin the key of a file; with `heard` only where that is its fingerprint, leaving a record. The key's id."""
        ...

    def revoke(self, keyid: str, why: str) -> None:
        """Stop believing a pinned key, at once."""
        ...

    def untrust(self, keyid: str, why: str) -> None:
        """Take a key that was pinned wrongly out of the trust folder."""
        ...

    def correct(self, keyid: str, why: str, owner: str, sites: Sequence[str]) -> None:
        """Give a pinned key its right owner, or its right sites in the place of those it has; "" and none: as it is."""
        ...

    def widening(self, keyid: str, grant: Grant) -> Widening | None:
        """What pinning the key so would add to what it is pinned for; None for a key that is not pinned."""
        ...

    def create(self, name: str, passphrase: str) -> KeyFile:
        """Make a key under a free name of the key folder; its public half lies beside it."""
        ...

    def rotate(self, name: str, passphrase: str) -> Rotated:
        """Make a new key under a name of the key folder."""
        ...

    def verify(self, paths: Sequence[str], progress: Progress) -> Findings:
        """Everything that is found of the bundle on these media, and nothing of it taken in."""
        ...


class FolderDesk:
    """The folder of a real station; every act is in its audit log before it is done."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def _trust(self) -> Path:
        from appliance.paths import StationPaths

        return StationPaths(self._root).trust

    def read_key(self, path: str) -> KeyFile:
        key = _public(path)
        return KeyFile(path, key.keyid, key.algorithm, key.fingerprint)

    def pin(self, path: str, grant: Grant, heard: Heard | None = None) -> str:
        from appliance.trust_acts import pin, pin_heard
        from bundles.signing.ceremony import FirstTrust

        key, sites = _public(path), list(grant.sites)
        if heard is None:
            pin(
                self._root, key, purpose=grant.purpose, owner=grant.owner, sites=sites,
                not_before=grant.not_before or None, not_after=grant.not_after or None,
            )  # fmt: skip
            return key.keyid
        first = FirstTrust(
            key, grant.purpose, grant.owner, sites, grant.not_after or None, heard.witness,
            typed_path(heard.record),
        )  # fmt: skip
        pin_heard(self._root, first, heard.words)
        return key.keyid

    def revoke(self, keyid: str, why: str) -> None:
        from appliance.trust_acts import revoke

        revoke(self._root, keyid, why)

    def untrust(self, keyid: str, why: str) -> None:
        from appliance.trust_acts import untrust

        untrust(self._root, keyid, why)

    def correct(self, keyid: str, why: str, owner: str, sites: Sequence[str]) -> None:
        from appliance.trust_acts import change

        change(self._root, keyid, why, owner or None, tuple(sites) or None)

    def widening(self, keyid: str, grant: Grant) -> Widening | None:
        from bundles.signing.trust import TrustFolder
        from bundles.signing.widening import widening

        return widening(
            TrustFolder.load(self._trust), keyid, purpose=grant.purpose, owner=grant.owner, sites=grant.sites,
            not_before=grant.not_before or None, not_after=grant.not_after or None,
        )  # fmt: skip

    def create(self, name: str, passphrase: str) -> KeyFile:
        from appliance.trust_acts import free_name, keep
        from bundles.signing.keys import PUBLIC_SUFFIX, create_private

        path, made = free_name(self._root, name), create_private()
        keep(self._root, name, made, passphrase.encode())
        public = made.public
        return KeyFile(
            str(path.with_name(f"{name}{PUBLIC_SUFFIX}")), public.keyid, public.algorithm, public.fingerprint
        )

    def rotate(self, name: str, passphrase: str) -> Rotated:
        from appliance.paths import StationPaths
        from appliance.trust_acts import rotate
        from bundles.signing.rotation import Rotation

        planned = Rotation.prepare(StationPaths(self._root).keys, name)
        rotate(self._root, planned, passphrase.encode() or None)
        made = planned.made.public
        return Rotated(name, made.keyid, made.fingerprint, planned.kept)

    def verify(self, paths: Sequence[str], progress: Progress) -> Findings:
        from appliance.clock import now
        from bundles.signing.trust import TrustFolder
        from bundles.verifier.examine import examine

        return examine([typed_path(path) for path in paths], TrustFolder.load(self._trust), now(), progress)


def _public(path: str) -> PublicKey:
    from bundles.signing.keys import load_public

    return load_public(typed_path(path))
