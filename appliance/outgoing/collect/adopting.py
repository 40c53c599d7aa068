"""A source of a collect that is another registry's folder: a source for each tag of its repositories.

Each blob is read once, from where it stands, hashed as it is read, and written once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from appliance.jobs.kinds import JobContext
from appliance.limits import collecting as limits
from appliance.outgoing.collect.choosing import Chosen
from appliance.outgoing.collect.local import LocalSource
from appliance.outgoing.collect.opening import Given
from appliance.outgoing.collect.registry_folder import RegistryFolder, entry_of, open_registry_folder
from appliance.outgoing.collect.sources import LayoutSource, Root
from appliance.permissions import matches
from appliance.selecting.selection import ALL, left_in_words
from bundles.errors import NotFoundError, UsageError
from bundles.format.oci_layout import Layout
from bundles.io.display import some
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference, check_repository

KIND: Final = "registry-folder"


def adopted(context: JobContext, entry: dict[str, Any], place: int) -> Chosen:
    """The tags that an entry of a collect's params takes of a registry's folder: `tag` is REPO, REPO:TAG or "" for all,
    both parts may be patterns; `as` is put before each repository's name.

    Raises UsageError, NotFoundError where nothing is chosen, FailedError where the folder cannot be read.
    """
    path = context.path(entry["path"])
    folder = open_registry_folder(path)
    of_repository, _, of_tag = str(entry.get("tag") or "**").partition(":")
    before = check_repository(str(entry["as"])) + "/" if entry.get("as") else ""
    left: Counter[str] = Counter()
    given: list[Given] = []
    looked_at = repositories = 0
    open_one = _Repositories(folder)
    for repository in folder.repositories():
        if not matches(of_repository, repository):
            continue
        repositories += 1
        choice = ALL.choose(of_tag or "*", folder.tags(repository), repository)
        left += Counter(choice.left)
        looked_at += choice.looked_at
        for tag in (chosen.tag for chosen in choice.chosen):
            source = _AdoptedTag(open_one, repository, tag, Reference(check_repository(before + repository), tag))
            given.append(Given(f"{path}: {repository}:{tag}", LocalSource(source), source, place=place))
        if len(given) > limits.ADOPTED_TAGS:
            raise UsageError(
                "the folder has too many tags", thing=str(path),
                remedy=f"at most {limits.ADOPTED_TAGS} are taken at a time: narrow them with REPO:TAG, both patterns",
            )  # fmt: skip
    if not given:
        tags = f"{some(looked_at, 'tag', 'tags')} of {some(repositories, 'repository', 'repositories')}"
        raise NotFoundError(
            f"no tag is chosen ({', '.join([tags, *left_in_words(left)])})", thing=str(path),
            remedy="see what is there: ls, or leave the pattern out",
        )  # fmt: skip
    said = {
        "source": place, "from": str(path), "repositories": repositories, "tags": looked_at, "chosen": len(given),
        "left_out": dict(left),
    }  # fmt: skip
    return Chosen(given, said)


class _Repositories:
    """The repository that was asked for last: tags are taken one repository after another."""

    def __init__(self, folder: RegistryFolder) -> None:
        self._folder = folder
        self._at: tuple[str, Layout, LayoutSource] | None = None

    def at(self, name: str) -> tuple[Layout, LayoutSource]:
        """A repository, and what is attached in it. Raises a LockgateError where it cannot be read."""
        if self._at is None or self._at[0] != name:
            layout = self._folder.layout(name)
            self._at = (name, layout, LayoutSource(layout, None, None, name))
        return self._at[1:]


class _AdoptedTag:
    """`appliance.outgoing.collect.sources.Source` of one tag."""

    def __init__(self, repositories: _Repositories, repository: str, tag: str, target: Reference) -> None:
        self._repositories, self._repository, self._tag, self._target = repositories, repository, tag, target

    @property
    def _layout(self) -> Layout:
        return self._repositories.at(self._repository)[0]

    @property
    def _source(self) -> LayoutSource:
        return self._repositories.at(self._repository)[1]

    def targets(self) -> list[Reference]:
        """As Source.targets."""
        return [self._target]

    def roots(self) -> list[Root]:
        """As Source.roots."""
        return [Root(entry_of(self._layout, self._tag), self._target)]

    def manifest(self, descriptor: Descriptor) -> bytes:
        """As Source.manifest."""
        return self._source.manifest(descriptor)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """As Source.blob."""
        return self._source.blob(descriptor)

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """As Source.referrers."""
        return self._source.referrers(digest)

    def attached(self, digest: Digest) -> dict[str, Descriptor]:
        """As Source.attached."""
        return self._source.attached(digest)

    def close(self) -> None:
        """As Source.close."""
