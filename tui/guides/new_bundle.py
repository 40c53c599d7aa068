"""The new bundle as a form: what has been chosen so far, and what is still missing. Pure values, no station."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from appliance.api.bundles import Plan

VOLUMES: Final = (
    ("fat32", "4.3 GB, the largest file of FAT32"),
    ("dvd", "4.7 GB"),
    ("dvd-dl", "8.5 GB"),
    ("bd25", "25 GB"),
    ("bd50", "50 GB"),
    ("bd100", "100 GB"),
    ("1GB", "small files"),
)

FULL: Final = "none"
LAST: Final = "last"
"""What a bundle stands on, beside the path of a receipt or want-list (`--since` of the command line)."""


EVERYTHING: Final = "**"
"""The pattern of every repository."""


def _has_tag(reference: str) -> bool:
    return ":" in reference.rpartition("/")[2]


@dataclass(frozen=True)
class Draft:
    """Every change makes the plan void: what is built is what was shown."""

    references: tuple[str, ...] = ()
    """As `bundle build` takes them: REPO:TAG, REPO@DIGEST, REPO for all its tags, patterns as team/** or team/*:1.*."""
    changed: bool = False
    """Of what the references name, only the tags whose digest is not the one that the destination was sent last; where
    there are none, of everything."""
    to: str = ""
    new_site: bool = False
    since: str = FULL
    media: tuple[str, ...] = ()
    volume: str = "fat32"
    key: str = ""
    keyid: str = ""
    cosigners: tuple[str, ...] = ()
    purpose: str = ""
    authorisation: str = ""
    classification: str = ""
    plan: Plan | None = None

    def change(self, **fields: Any) -> Draft:
        """The draft with other fields, and without its plan."""
        return replace(self, **{"plan": None, **fields})

    def again(self) -> Draft:
        """An empty form for the next bundle, with the destination, the media and the key of this one."""
        return Draft(to=self.to, media=self.media, volume=self.volume, key=self.key, keyid=self.keyid)

    def toggle(self, reference: str) -> Draft:
        """Put an artifact in, or take it out."""
        kept = tuple(one for one in self.references if one != reference)
        return self.change(references=kept if len(kept) < len(self.references) else (*kept, reference))

    def add(self, references: Sequence[str]) -> Draft:
        """Put more in, each once."""
        return self.change(references=tuple(dict.fromkeys((*self.references, *references))))

    @property
    def wanted(self) -> tuple[str, ...]:
        """What the station is asked for."""
        return self.references or ((EVERYTHING,) if self.changed else ())

    @property
    def is_open(self) -> bool:
        """Whether what is carried follows from the tags as they are when the build begins, and not from the form."""
        return self.changed or any("@" not in one and ("*" in one or not _has_tag(one)) for one in self.references)

    @property
    def unsaved(self) -> bool:
        """Whether something would be lost by leaving."""
        return bool(self.wanted)

    def missing_for_plan(self) -> str:
        """The first thing a plan still needs; empty when it can be made."""
        if not self.wanted:
            return "pick at least one artifact, or name a pattern"
        if not self.to:
            return "choose the destination"
        if not self.media:
            return "choose the medium or folder"
        return ""

    def missing_for_build(self) -> str:
        """The first thing a build still needs; empty when it can begin."""
        missing = self.missing_for_plan()
        if missing:
            return missing
        if not self.keyid:
            return "choose the key that signs"
        if self.plan is None:
            return "make the plan first"
        return "there is nothing to carry" if self.plan.nothing and not self.plan.unfinished else ""

    def plan_params(self) -> dict[str, Any]:
        """The body of POST /v1/plans."""
        return {
            "to": self.to,
            "new_site": self.new_site,
            "references": list(self.wanted),
            "changed": self.changed,
            "volume": self.volume,
            "media": [{"path": path} for path in self.media],
            "since": self.since,
        }

    def build_params(self) -> dict[str, Any]:
        """The params of a build job."""
        return {
            "to": self.to,
            "new_site": self.new_site,
            "out": list(self.media),
            "volume": self.volume,
            "since": self.since,
            "sign_with": self.keyid,
            "cosigners": list(self.cosigners),
            "references": list(self.wanted),
            "changed": self.changed,
            "purpose": self.purpose,
            "authorisation": self.authorisation,
            "classification": self.classification,
        }
