"""Taking a release back, and recording who handed a bundle's medium to whom."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from appliance.store.ports import Connection
from appliance.store.writes.claims import Claim, claims_of, stand_again, strike_link, strike_tag
from appliance.store.writes.entries import entry_of, move
from appliance.store.writes.registry import forget_if_empty, repository_id
from appliance.store.writes.rows import Kind, is_linked, may_stand_at, set_tag, take_link, take_tag
from appliance.store.writes.write import Write
from bundles.errors import FailedError

_TOLD: Final = 10_000
"""Blobs that stay, of those that a withdrawal's event names: it must fit into a line of the audit log."""


class Named(msgspec.Struct, frozen=True, array_like=True):
    """A manifest of a repository and every digest that it names: config, layers, children."""

    repository: str
    manifest: str
    digests: tuple[str, ...]


class Withdraw(Write, frozen=True):
    """What a release alone made visible is no longer, and its tags stand where the other releases and pushes left them;
    the approvals are void.

    `keep` are (repository, digest) of what other manifests of the repository name, `names` what the bundle's own
    manifests name: a manifest that stays visible keeps what it is made of. `pins` is every blob of the bundle, so that
    nothing is swept and people may approve it again. The result lists what is no longer there, as `repository:tag`
    and `repository@digest`. Raises FailedError where the bundle is not released.
    """

    digest: str
    keep: tuple[tuple[str, str], ...]
    pins: tuple[str, ...]
    why: str
    actor: str
    at: str
    names: tuple[Named, ...] = ()

    def apply(self, db: Connection) -> list[str]:
        return self.take_back(db)[0]

    def take_back(self, db: Connection) -> tuple[list[str], dict[str, list[str]]]:
        """Make the change. Returns what is no longer there, and by repository the blobs that this release alone stood
        for and that stay, since a manifest that is shown names them."""
        entry = entry_of(db, self.digest)
        if entry.state != "released":
            raise FailedError(
                f"the bundle is {entry.state}, not released",
                thing=entry.id,
                remedy=f"see: lockgate intake show {entry.id}",
            )
        claims = claims_of(db, self.digest)
        followed = [one for one in claims if one.kind == "tag" and strike_tag(db, one) and one.made]
        lowered = [one for one in followed if _lower(db, one)]
        gone, _ = self._unlink(db, "manifest", [one for one in claims if one.kind == "manifest"])
        _, stay = self._unlink(db, "blob", [one for one in claims if one.kind == "blob"])
        stays: dict[str, list[str]] = {}
        for repository, item in sorted(stay)[:_TOLD]:
            stays.setdefault(repository, []).append(item)
        gone = [f"{one.repository}:{one.item}" for one in lowered if not self._raise_again(db, one)] + gone
        for repository in {one.repository for one in claims}:
            number = repository_id(db, repository)
            if number is not None:
                forget_if_empty(db, number)
        db.execute("DELETE FROM approvals WHERE digest = ?", (self.digest,))
        db.executemany(
            "INSERT INTO pins (bundle, digest) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(self.digest, pin) for pin in self.pins],
        )
        db.execute("UPDATE epoch SET value = value + 1")
        move(db, self.digest, entry, "withdrawn", self.actor, self.at, self.why)
        return gone, stays

    def _unlink(self, db: Connection, kind: Kind, claims: list[Claim]) -> tuple[list[str], set[tuple[str, str]]]:
        """Strike the claims, and take away the links that nothing stands for; those, as `repository@digest`, and those
        that stay all the same, as (repository, digest)."""
        keep = set(self.keep)
        losing = {(one.repository, one.item) for one in claims if strike_link(db, one)}
        going = {key for key in losing if key not in keep and not (kind == "manifest" and _is_tagged(db, *key))}
        named = {(one.repository, one.manifest): one.digests for one in self.names}
        staying = [key for key in named if _is_shown(db, *key) and not (kind == "manifest" and key in going)]
        while staying:  # what stays keeps what it names, and that in turn what it names
            repository, _ = key = staying.pop()
            further = [(repository, digest) for digest in named.get(key, ()) if (repository, digest) in going]
            going -= set(further)
            staying += further
        for repository, item in losing - going:
            stand_again(db, repository, kind, item)
        gone = sorted(f"{repository}@{item}" for repository, item in going if _hide(db, repository, kind, item))
        return gone, losing - going

    def _raise_again(self, db: Connection, tag: Claim) -> bool:
        """Put a tag back to where it stood before, if that is still shown. Whether it stands where it did."""
        number = repository_id(db, tag.repository)
        if number is None or tag.previous is None or not is_linked(db, number, tag.previous, "manifest"):
            return False
        set_tag(db, number, tag.item, tag.previous, self.at)
        return tag.previous == tag.target


class PreviewWithdraw(Write, frozen=True):
    """What stays after a withdrawal, as Withdraw.take_back tells it. Nothing is changed."""

    unrecorded: ClassVar[str] = "it changes nothing; the withdrawal's event tells what it found"
    withdraw: Withdraw

    def apply(self, db: Connection) -> dict[str, list[str]]:
        db.execute("SAVEPOINT preview")
        try:
            _, stays = self.withdraw.take_back(db)
        finally:
            db.execute("ROLLBACK TO preview")
            db.execute("RELEASE preview")
        return stays


def _lower(db: Connection, tag: Claim) -> bool:
    """Take a tag away, if it stands where its release put it."""
    number = repository_id(db, tag.repository)
    return number is not None and may_stand_at(db, number, tag.item, tag.target) and take_tag(db, number, tag.item)


def _hide(db: Connection, repository: str, kind: Kind, digest: str) -> bool:
    """Take a link away. Whether it was still there."""
    number = repository_id(db, repository)
    return number is not None and take_link(db, number, digest, kind, "withdrawn")


def _is_tagged(db: Connection, repository: str, digest: str) -> bool:
    number = repository_id(db, repository)
    found = db.execute("SELECT 1 FROM tags WHERE repository_id = ? AND digest = ? LIMIT 1", (number, digest)).fetchone()
    return found is not None


def _is_shown(db: Connection, repository: str, digest: str) -> bool:
    number = repository_id(db, repository)
    return number is not None and is_linked(db, number, digest, "manifest")


class HandOver(Write, frozen=True):
    """A bundle's medium went from one person to another."""

    bundle: str
    giver: str
    taker: str
    medium: str
    serial: str
    seal: str
    note: str
    actor: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO handovers (bundle, at, giver, taker, medium, serial, seal, note, actor)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self.bundle, self.at, self.giver, self.taker, self.medium, self.serial, self.seal, self.note, self.actor),
        )
