"""The transactions of the index of packages: what an SBOM lists, in one write."""

from __future__ import annotations

from typing import ClassVar

from appliance.limits import scanning as limits
from appliance.store.ports import Connection
from appliance.store.writes.access import bump
from appliance.store.writes.write import Write


class IndexSbom(Write, frozen=True):
    """What one SBOM lists of an image, in the place of what it was said to list before.

    `origin` is `own` for a document that this station made from the image's bytes, else `carried`. `state` is
    `indexed`, or `unreadable` with `why`. `packages` are pairs of the eight fields of a package
    (appliance.advisories.packages.Package) and its path; `listed` and `seal` are of appliance.advisories.seals,
    `licenses` and `licenses_seal` of appliance.advisories.licenses, "" where nothing is kept of them.
    """

    unrecorded: ClassVar[str] = "an index of what the store holds, which can be made anew from it"
    image: str
    sbom: str
    origin: str
    state: str
    at: str
    listed: str
    seal: str
    why: str = ""
    packages: tuple[tuple[tuple[str, ...], str], ...] = ()
    licenses: str = ""
    licenses_seal: str = ""

    def apply(self, db: Connection) -> None:
        earlier = db.execute(
            "SELECT number, origin FROM sboms WHERE image = ? AND sbom = ?", (self.image, self.sbom)
        ).fetchone()
        if earlier is not None:
            if earlier[1] == "own" and self.origin != "own":
                return
            _forget(db, earlier[0])
            bump(db)
        if self.origin == "own":
            for (number,) in db.execute(
                "SELECT number FROM sboms WHERE image = ? AND origin = 'own'", (self.image,)
            ).fetchall():
                _forget(db, number)
                bump(db)  # verdicts rest on what it listed
        (number,) = db.execute(
            "INSERT INTO sboms (image, sbom, origin, state, why, at, packages, listed, seal)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            (
                self.image, self.sbom, self.origin, self.state, self.why, self.at, len(self.packages), self.listed,
                self.seal,
            ),
        ).fetchone()  # fmt: skip
        db.executemany(
            "INSERT INTO packages (purl, label, version, ecosystem, release, name, source, source_version)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [tuple(package) for package, _ in self.packages],
        )
        db.executemany(
            "INSERT INTO image_packages (sbom, package, path) SELECT ?, number, ? FROM packages"
            " WHERE purl = ? AND label = ? AND version = ? AND ecosystem = ? AND release = ? AND name = ?"
            " AND source = ? AND source_version = ? ON CONFLICT DO NOTHING",
            [(number, path, *package) for package, path in self.packages],
        )
        if self.licenses:
            db.execute(
                "INSERT INTO sbom_licenses (sbom, licenses, seal) VALUES (?, ?, ?)",
                (number, self.licenses, self.licenses_seal),
            )


class ForgetSbom(Write, frozen=True):
    """Take away what the index has of one SBOM, which is not what was written."""

    unrecorded: ClassVar[str] = "an index of what the store holds, which can be made anew from it"
    number: int

    def apply(self, db: Connection) -> None:
        _forget(db, self.number)
        bump(db)


class ForgetUnshown(Write, frozen=True):
    """Take away what the index has of some images that no repository shows and no bundle in quarantine holds. The
    result is whether there are further ones."""

    unrecorded: ClassVar[str] = "an index of what the store holds, which can be made anew from it"

    def apply(self, db: Connection) -> bool:
        numbers = [
            number
            for (number,) in db.execute(
                "SELECT number FROM sboms s WHERE NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = s.image"
                " AND l.kind = 'manifest') AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.digest = s.image) LIMIT ?",
                (limits.SCAN_FORGOTTEN,),
            )
        ]
        packages = {
            package
            for number in numbers
            for (package,) in db.execute("SELECT package FROM image_packages WHERE sbom = ?", (number,))
        }
        for number in numbers:
            _forget(db, number)
        db.executemany(
            "DELETE FROM packages WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM image_packages WHERE package = ?1)",
            [(package,) for package in packages],
        )
        return len(numbers) == limits.SCAN_FORGOTTEN


def _forget(db: Connection, number: int) -> None:
    db.execute("DELETE FROM image_packages WHERE sbom = ?", (number,))
    db.execute("DELETE FROM sbom_licenses WHERE sbom = ?", (number,))
    db.execute("DELETE FROM sboms WHERE number = ?", (number,))
