"""Where each tag of a repository must stand: a history of its tags and manifests, built act by act.

A release stands for the manifests that it shows and for the tags that it puts there; a client's act is nobody's
release. A withdrawal is struck out of the history, as if there had been no release, so that what others stand for
stays. The station keeps the same as claims in its database (appliance.store.writes.claims); this is built from the
audit log and the signed manifests alone (appliance.release_check.replay).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

CLIENT: Final = ""
"""Who acts where it is no release of a bundle."""
_END: Final = "end"

Children = Callable[[str], tuple[str, ...] | None]
"""The manifests that a manifest lists, by digest; None where its bytes cannot be read."""


@dataclass(slots=True)
class RepositoryTags:
    """One repository.

    `tags`: of each tag every setting that counts, oldest first, as (who, digest), "" for a deletion. `shown`: of each
    manifest who stands for it, oldest first, and `end` for a deletion. `listed`: the indexes that list a manifest.
    `unread`: manifests whose bytes could not be read, so that what they list is not known. `unsure`: manifests that one
    of these may have kept. `either`: digests at which a tag may stand too, since the acts alone do not tell. `whole`:
    whether the history reaches back to the beginning. `released`: whether a release ever showed something here.
    """

    tags: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)
    listed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unread: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    either: dict[str, set[str]] = field(default_factory=dict)
    whole: bool = True
    released: bool = False
    _at: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _of: dict[str, tuple[set[str], set[str]]] = field(default_factory=lambda: defaultdict(lambda: (set(), set())))

    def target(self, tag: str) -> str:
        """Where a tag stands, "" for nowhere."""
        history = self.tags.get(tag)
        return history[-1][1] if history else ""

    def claims(self, tag: str) -> list[tuple[str, str]]:
        """The standing releases of a tag, oldest first, as (bundle, digest)."""
        return [setting for setting in self.tags.get(tag, ()) if setting[0] != CLIENT]

    def bundles(self) -> set[str]:
        """The bundles whose releases stand for something here."""
        return {who for who in self._of if who not in (CLIENT, _END)}

    def shows(self, digest: str) -> bool:
        """Whether a manifest is shown."""
        history = self.shown.get(digest)
        return bool(history) and history[-1] != _END  # type: ignore[index]

    def show(self, who: str, digest: str, children: Children) -> None:
        """A manifest is shown. A push of what is there says nothing new; every release stands for it."""
        if who == CLIENT and self.shows(digest):
            return
        if digest not in self.shown:
            found = children(digest)
            if found is None:
                self.unread.add(digest)
            for child in found or ():
                self.listed[child].add(digest)
        self.shown.setdefault(digest, []).append(who)
        self._of[who][0].add(digest)

    def put(self, who: str, tag: str, digest: str) -> None:
        """A tag is set, or with "" deleted. A client's setting to where it stands says nothing new."""
        if who == CLIENT and self.target(tag) == digest and tag not in self.either:
            return
        self.either.pop(tag, None)
        history = list(self.tags.get(tag, ()))
        if who == CLIENT and history and history[-1][0] == CLIENT:
            history.pop()  # nothing but the newest of a client's settings in a row counts
        self._write(tag, [*history, (who, digest)])
        self._of[who][1].add(tag)

    def delete(self, digest: str) -> None:
        """A client deletes a manifest, and every tag on it."""
        for tag in list(self._at[digest]):
            self.put(CLIENT, tag, "")
        if self.shows(digest):
            self.shown[digest] = [*(who for who in self.shown[digest] if who not in (CLIENT, _END)), _END]

    def withdraw(self, who: str) -> None:
        """Strike a bundle's release."""
        digests, tags = self._of.pop(who, (set(), set()))
        followed, before = [], {}
        for tag in sorted(tags):
            history = self.tags.get(tag, [])
            if history and history[-1][0] == who:
                followed.append(tag)
                before[tag] = {digest for _, digest in history}
            self._write(tag, [setting for setting in history if setting[0] != who])
        lost = self._strike(who, digests, set(followed))
        if any(map(self.shows, self.unread)):
            self.unsure |= lost
        for tag in followed:
            target = self.target(tag)
            self.either.pop(tag, None)
            if not self.whole:
                self.either[tag] = {"", *before[tag]}
            elif target and not self.shows(target):
                self.put(CLIENT, tag, "")
                if target in lost & self.unsure:
                    self.either[tag] = {target}

    def _strike(self, who: str, digests: set[str], followed: set[str]) -> set[str]:
        """Strike a bundle from the manifests; those that are shown no more. What a tag stands at that did not follow
        the bundle stays, and what an index lists that is shown."""
        lost = {digest for digest in digests if self.shows(digest)}
        for digest in digests:
            self.shown[digest] = [one for one in self.shown[digest] if one != who]
        lost = {digest for digest in lost if not self.shows(digest)}
        staying = [
            digest for digest in lost if self._at[digest] - followed or any(map(self.shows, self.listed[digest]))
        ]  # fmt: skip
        while staying:
            digest = staying.pop()
            if digest not in lost:
                continue
            lost.discard(digest)
            releases = [one for one in self.shown[digest] if one not in (CLIENT, _END)]
            self.shown[digest].append(releases[-1] if releases else CLIENT)
            staying += [child for child in lost if digest in self.listed[child]]
        for digest in digests:
            if not self.shown[digest] or self.shown[digest] == [_END]:
                del self.shown[digest]
        return lost

    def _write(self, tag: str, history: list[tuple[str, str]]) -> None:
        self._at[self.target(tag)].discard(tag)
        if history:
            self.tags[tag] = history
        else:
            self.tags.pop(tag, None)
        self._at[self.target(tag)].add(tag)


def pages(standing: RepositoryTags, number: Callable[[str], int], most: int) -> Iterator[dict[str, Any]]:
    """What is to be kept of a repository, `most` of its tags and manifests at a time; `number` stands for a bundle."""

    def of(who: str) -> int:
        return {CLIENT: -1, _END: -2}[who] if who in (CLIENT, _END) else number(who)

    yield {"whole": standing.whole, "released": standing.released}
    for tags in _some(standing.tags, most):
        yield {"tags": {tag: [[of(who), digest] for who, digest in history] for tag, history in tags.items()}}
    for shown in _some(standing.shown, most):
        yield {"shown": {digest: [of(who) for who in history] for digest, history in shown.items()}}
    kept = {child: parents & standing.shown.keys() for child, parents in standing.listed.items()}
    for listed in _some({child: parents for child, parents in kept.items() if parents}, most):
        yield {"listed": {child: sorted(parents) for child, parents in listed.items()}}
    for unread in _some(dict.fromkeys(standing.unread & standing.shown.keys()), most):
        yield {"unread": sorted(unread)}
    for unsure in _some(dict.fromkeys(standing.unsure), most):
        yield {"unsure": sorted(unsure)}
    for either in _some(standing.either, most):
        yield {"either": {tag: sorted(digests) for tag, digests in either.items()}}


def _some(every: dict[str, Any], most: int) -> Iterator[dict[str, Any]]:
    items = iter(every.items())
    while page := dict(islice(items, most)):
        yield page


def take(standing: RepositoryTags, page: dict[str, Any], bundle: Callable[[int], str]) -> None:
    """Add one of `pages`; `bundle` is what `number` stands for. Raises LookupError, TypeError, ValueError."""

    def of(number: int) -> str:
        return {-1: CLIENT, -2: _END}[number] if number < 0 else bundle(number)

    standing.whole = bool(page.get("whole", standing.whole))
    standing.released = bool(page.get("released", standing.released))
    for tag, history in page.get("tags", {}).items():
        standing._write(tag, [(of(number), str(digest)) for number, digest in history])
        for who, _ in standing.tags[tag]:
            standing._of[who][1].add(tag)
    for digest, history in page.get("shown", {}).items():
        standing.shown[digest] = [of(number) for number in history]
        for who in standing.shown[digest]:
            standing._of[who][0].add(digest)
    for child, parents in page.get("listed", {}).items():
        standing.listed[child] |= set(parents)
    standing.unread |= set(page.get("unread", ()))
    standing.unsure |= set(page.get("unsure", ()))
    standing.either |= {tag: set(digests) for tag, digests in page.get("either", {}).items()}
