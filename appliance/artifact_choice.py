"""What a build is asked for, as people write it: a reference, a whole repository, or a pattern of either.

`REPO` means all its tags; in `REPO` and `REPO:TAG` a `*` stands for any part of one component, `**` for one component
or more (appliance.patterns). What is chosen follows from the tags as they are when the build is asked for, and
from what its caller may pull. What caches brought is taken where its repository is named, and by no pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from appliance.limits import collecting as limits
from appliance.patterns import EVERYTHING, covers
from appliance.permissions import check_pattern, matches
from appliance.store.reads.caches import is_cached
from appliance.store.reads.registry import Metadata
from bundles import limits as format_limits
from bundles.errors import FailedError, MalformedError, NotFoundError, UsageError
from bundles.io.files import read_small, write_atomic
from bundles.oci.reference import Reference, check_repository, check_tag

_KEPT: Final = "chosen.json"
_PAGE: Final = 1000
_WILD: Final = "*"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A reference that a build carries. `before`: where its tag stood in the bundle that carried it last to the same
    destination, None where none did (or nobody asked)."""

    reference: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """One text of a build's references: either `exact`, or the tags that `tag` covers of the repositories that
    `repository` does."""

    text: str
    repository: str
    tag: str
    exact: Reference | None = None

    @classmethod
    def parse(cls, text: str) -> Wish:
        """Raises MalformedError, UsageError."""
        name, colon, tag = text.rpartition(":")
        if "@" in text or (colon and "/" not in tag and _WILD not in text):
            exact = Reference.parse(text)
            return cls(text, exact.repository, exact.tag or "", exact)
        if not colon or "/" in tag:
            name, tag = text, EVERYTHING
        if _WILD in name:
            check_pattern(name)
        else:
            check_repository(name)
        if not tag:
            raise MalformedError("malformed reference", thing=repr(text)[:280], remedy="write REPO:TAG, or REPO alone")
        check_tag(tag.replace(_WILD, "x"))
        return cls(text, name, tag)

    @property
    def is_pattern(self) -> bool:
        """Whether it names repositories by a pattern, so that no one name says what may be seen of it."""
        return self.exact is None and _WILD in self.repository


def choose(
    texts: Sequence[str],
    metadata: Metadata,
    shows: Callable[[str], bool] = lambda _: True,
    carried: Mapping[tuple[str, str], str] | None = None,
) -> list[Chosen]:
    """The references that texts name, each once, in the order of the texts. `shows`: whether the caller may pull a
    repository. With `carried` (by repository and tag, the digest that the destination was sent last) only the tags that
    stand at another digest now.

    Raises NotFoundError for a text that names nothing here, UsageError for more than `limits.CHOSEN`.
    """
    found: dict[str, Chosen] = {}
    for wish in map(Wish.parse, texts):
        named = False
        left = set[str]()
        for repository, tag, digest in _tags(wish, metadata, shows, left):
            named = True
            before = None if carried is None else carried.get((repository, tag))
            if carried is None or digest != before:
                reference = wish.text if "@" in wish.text else f"{repository}:{tag}"
                found.setdefault(reference, Chosen(reference, before))
            if len(found) > limits.CHOSEN:
                raise UsageError(
                    f"more than {limits.CHOSEN} tags are named", thing=wish.text, remedy="build several bundles"
                )
        if not named:
            if left:
                raise NotFoundError(
                    "caches alone hold what has a name like this", thing=wish.text,
                    remedy=f"name its repository, as {min(left)}: no pattern takes what a cache brought",
                )  # fmt: skip
            what = "no such artifact" if wish.exact is not None else "nothing has a name like this"
            raise NotFoundError(what, thing=wish.text, remedy="see: lockgate repo list, lockgate repo tags REPO")
    return list(found.values())


def _tags(
    wish: Wish, metadata: Metadata, shows: Callable[[str], bool], left: set[str]
) -> Iterator[tuple[str, str, str]]:
    """(repository, tag, digest) of everything that a text names; the tag is "" for a digest. Repositories that a
    pattern covers and a cache fills are put into `left`."""
    if wish.exact is not None:
        one = wish.exact
        facts = (
            metadata.linked_manifest(one.repository, one.digest)
            if one.digest is not None
            else metadata.tagged_manifest(one.repository, one.tag or "")
        )
        if facts is not None:
            yield one.repository, one.tag or "", str(facts.digest)
        return
    for repository in _repositories(wish, metadata):
        if not shows(repository):
            continue
        if wish.is_pattern and is_cached(metadata.connection, repository):
            left.add(repository)
            continue
        after = ""
        while tags := metadata.tags(repository, _PAGE, after):
            after = tags[-1].tag
            yield from ((repository, one.tag, str(one.digest)) for one in tags if covers(wish.tag, one.tag))


def _repositories(wish: Wish, metadata: Metadata) -> Iterator[str]:
    if not wish.is_pattern:
        yield wish.repository
        return
    after = ""
    while names := metadata.repository_names(_PAGE, after):
        after = names[-1]
        yield from (name for name in names if matches(wish.repository, name))


def save_chosen(folder: Path, chosen: Sequence[Chosen]) -> None:
    """Keep what a build's patterns stood for in its job's folder. Raises FailedError."""
    write_atomic(folder / _KEPT, msgspec.json.encode(chosen), 0o600)


def load_chosen(folder: Path, texts: Sequence[str], *, changed: bool = False) -> list[Chosen]:
    """What a build carries: what was kept, or the texts themselves where each is one reference.

    Raises FailedError where patterns were given and nothing was kept.
    """
    path = folder / _KEPT
    if path.exists():
        return msgspec.json.decode(read_small(path, format_limits.BUNDLE_MANIFEST), type=list[Chosen])
    wishes = [Wish.parse(text) for text in texts]
    if changed or any(wish.exact is None for wish in wishes):
        raise FailedError("what was chosen is not in the job's folder", thing=str(path), remedy="start the build again")
    return [Chosen(text) for text in texts]
