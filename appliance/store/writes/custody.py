"""Taking a release back, and recording who handed a bundle's medium to whom."""

from __future__ import annotations

import msgspec

from appliance.store.ports import Connection, Reader
from appliance.store.writes.claims import Claim, stand_again, strike_links, strike_tag
from appliance.store.writes.content import forget_if_empty, repository_id
from appliance.store.writes.entries import entry_of, move
from appliance.store.writes.rows import Kind, is_linked, set_tag, take_link, take_tag
from appliance.store.writes.withdrawal import Withdrawal, withdrawal_of
from appliance.store.writes.write import Write
from bundles.errors import FailedError


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
    nothing is swept and people may approve it again. `leaves` is `Withdrawal.seal` of what the event says that it
    leaves, "" where none says it. The result lists what is no longer there, as `repository:tag` and
    `repository@digest`. Raises FailedError where the bundle is not released, or something else would stay.
    """

    digest: str
    keep: tuple[tuple[str, str], ...]
    pins: tuple[str, ...]
    why: str
    actor: str
    at: str
    names: tuple[Named, ...] = ()
    leaves: str = ""

    def look(self, db: Reader) -> Withdrawal:
        """What it takes away and leaves. Nothing is changed."""
        names = {(one.repository, one.manifest): one.digests for one in self.names}
        return withdrawal_of(db, self.digest, self.keep, names)

    def apply(self, db: Connection) -> list[str]:
        entry = entry_of(db, self.digest)
        if entry.state != "released":
            raise FailedError(
                f"the bundle is {entry.state}, not released",
                thing=entry.id,
                remedy=f"see: lockgate intake show {entry.id}",
            )
        found = self.look(db)
        if self.leaves not in ("", found.seal()):
            raise FailedError("what is shown changed meanwhile", thing=entry.id, remedy="withdraw it again")
        for one in found.claims:
            if one.kind == "tag":
                strike_tag(db, one)
        strike_links(db, [one for one in found.claims if one.kind != "tag"])
        numbers = {name: repository_id(db, name) for name in sorted({one.repository for one in found.claims})}
        for one in found.tags:
            take_tag(db, numbers[one.repository] or 0, one.item)
        stays: tuple[tuple[Kind, frozenset[tuple[str, str]]], ...] = (
            ("manifest", found.manifests_stay), ("blob", found.blobs_stay),
        )  # fmt: skip
        for kind, links in stays:
            for repository, item in links:
                stand_again(db, repository, kind, item)
        gone = self._hide(db, numbers, "manifest", found.manifests_go)
        self._hide(db, numbers, "blob", found.blobs_go)
        gone = [f"{one.repository}:{one.item}" for one in found.tags if not self._raise_again(db, one)] + gone
        for number in numbers.values():
            if number is not None:
                forget_if_empty(db, number)
        db.execute("DELETE FROM approvals WHERE digest = ?", (self.digest,))
        db.executemany(
            "INSERT INTO pins (bundle, digest) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(self.digest, pin) for pin in self.pins],
        )
        db.execute("UPDATE epoch SET value = value + 1")
        move(db, self.digest, entry, "withdrawn", self.actor, self.at, self.why)
        return gone

    def _hide(
        self, db: Connection, numbers: dict[str, int | None], kind: Kind, links: frozenset[tuple[str, str]]
    ) -> list[str]:
        """Take links away; those that were still there, as `repository@digest`."""
        gone = []
        for repository, item in sorted(links):
            number = numbers[repository]
            if number is not None and take_link(db, number, item, kind, "withdrawn"):
                gone.append(f"{repository}@{item}")
        return gone

    def _raise_again(self, db: Connection, tag: Claim) -> bool:
        """Put a tag back to where it stood before, if that is still shown. Whether it stands where it did."""
        number = repository_id(db, tag.repository)
        if number is None or tag.previous is None or not is_linked(db, number, tag.previous, "manifest"):
            return False
        set_tag(db, number, tag.item, tag.previous, self.at)
        return tag.previous == tag.target


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
