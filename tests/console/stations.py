"""Real stations on both sides of a gap, whose people's keys need passphrases, for consoles to drive."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from bundles.signing.keys import create_private, save_private
from bundles.signing.pinning import trust_key
from tests.stage import Station

WORDS = "correct horse battery"
"""The passphrase of every person's key here."""


class Gap:
    """alpha (outside) with the keys `engineer` and `second`, bravo (inside) with the key `officer`, each pinned where
    it counts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.medium = root / "usb"
        self._stack = ExitStack()

    def __enter__(self) -> Gap:
        self.medium.mkdir()
        self.alpha = Station(self.root / "alpha", "alpha", "outside")
        self.bravo = Station(self.root / "bravo", "bravo", "inside")
        both = (self.alpha, self.bravo)
        self.keyids = {
            "engineer": self.person(self.alpha, "engineer", "Engineering", both, "bundle", ["alpha"]),
            "second": self.person(self.alpha, "second", "Second pair of eyes", both, "bundle", ["alpha"]),
            "officer": self.person(self.bravo, "officer", "Officer", (self.bravo,), "release", []),
        }
        for station in both:
            self._stack.enter_context(station)
        return self

    def person(
        self,
        at: Station,
        name: str,
        owner: str,
        trusted_by: Sequence[Station],
        purpose: str,
        sites: list[str],
        words: str | None = WORDS,
    ) -> str:
        """A person's key in the folder of `at`, pinned by `trusted_by`; its id."""
        key = create_private()
        save_private(at.folder / "keys" / f"{name}.pem", key, words.encode() if words else None)
        for station in trusted_by:
            trust_key(station.folder / "trust", key.public, purpose=purpose, owner=owner, sites=sites)
        return key.public.keyid

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
