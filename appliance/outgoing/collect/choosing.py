"""Sources of a collect that are many tags: asked for their lists, and made into a source for each chosen tag.

The registry itself is asked, never a mirror: of a list with a part missing the newest would be another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from appliance.jobs.kinds import JobContext
from appliance.limits import collecting as limits
from appliance.outgoing.collect.dates import made_at
from appliance.outgoing.collect.opening import Given, Registries, redirects_of, registry_source
from appliance.outgoing.collect.registry_client import RegistryClient
from appliance.outgoing.collect.tag_lists import repositories_of, tags_of
from appliance.outgoing.collect.tasks import each_of, in_thread
from appliance.selecting.platforms import check_platforms
from appliance.selecting.selection import Choice, ChosenTag, ManyTags, Selection, left_in_words
from appliance.upstreams.accounts import place_of
from bundles.errors import NotFoundError, RefusedError, UsageError
from bundles.io.display import some
from bundles.oci.reference import Reference, RemoteReference, check_repository


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a source of many tags came to: the sources to take, and what is said of the choice."""

    given: Sequence[Given]
    said: dict[str, Any]


class ManySource:
    """The tags of a registry's repositories that an entry of a collect's params describes. `place` is the entry's."""

    def __init__(self, context: JobContext, entry: dict[str, Any], place: int, registries: Registries) -> None:
        """Raises UsageError, MalformedError."""
        self.text, self.place = str(entry.get("reference")), place
        self._context, self._entry, self._registries = context, entry, registries
        self._many = ManyTags.parse(self.text)
        select = {} if entry.get("select") is None else entry["select"]
        if not isinstance(select, dict):
            raise UsageError("malformed parameters", thing="`select` is an object", remedy="see: lockgate --help")
        self._selection = Selection.of(select)
        self._as = check_repository(str(entry["as"])) if entry.get("as") else None
        self._platforms = check_platforms(entry.get("platforms"))
        redirects_of(context, entry, self._many.host)  # what is wrong there is told before anything is read

    async def choose(self) -> Chosen:
        """Ask for the lists and choose. Raises NotFoundError where nothing is chosen, UsageError where too much is, and
        as tag_lists."""
        repositories = await self._repositories()
        choices: dict[str, Choice] = {}
        await each_of((self._choose_of(one, choices) for one in repositories), limits.COLLECT_AT_ONCE)
        chosen = [(one, tag) for one in repositories for tag in choices[one].chosen]
        left = sum((Counter(choice.left) for choice in choices.values()), Counter[str]())
        looked_at = sum(choice.looked_at for choice in choices.values())
        if not chosen:
            of = some(len(choices), "repository", "repositories")
            tags = f"{some(looked_at, 'tag', 'tags')} of {of}"
            raise NotFoundError(
                f"no tag is chosen ({', '.join([tags, *left_in_words(left)])})", thing=self.text,
                remedy="see what is there: skopeo list-tags",
            )  # fmt: skip
        if len(chosen) > limits.COLLECT_CHOSEN:
            raise UsageError(
                f"{some(len(chosen), 'tag is', 'tags are')} chosen", thing=self.text,
                remedy=f"at most {limits.COLLECT_CHOSEN}: narrow them with a pattern, exclude, range or newest",
            )  # fmt: skip
        said = {
            "source": self.place, "from": self.text, "repositories": len(choices), "tags": looked_at,
            "chosen": len(chosen), "left_out": dict(left),
        }  # fmt: skip
        return Chosen([self._given(*one) for one in chosen], said)

    async def _repositories(self) -> list[str]:
        """The repositories that are meant, sorted. Raises NotFoundError where there is none."""
        many = self._many
        if not many.is_catalog:
            return [many.repository]
        accesses = self._registries.accesses
        _, fixed = place_of(self.text)
        if await in_thread(accesses.located, many.host, fixed) != (many.host, fixed):
            raise RefusedError(
                "the machine's registries.conf has its repositories elsewhere", thing=self.text,
                remedy="name them one by one: HOST/REPO:PATTERN",
            )  # fmt: skip
        try:
            every = await repositories_of(await self._client(many.host, fixed, ""))
        except NotFoundError:
            raise NotFoundError(
                "the registry lists no repositories", thing=f"{many.host}: it has no catalog",
                remedy="name them one by one: HOST/REPO:PATTERN",
            ) from None  # fmt: skip
        found = sorted(name for name in every if many.covers(name))
        if not found:
            raise NotFoundError(
                f"no repository is covered ({some(len(every), 'repository', 'repositories')} in the catalog)",
                thing=self.text, remedy="see what is there: skopeo list-tags, or the registry's own page",
            )  # fmt: skip
        if len(found) > limits.COLLECT_REPOSITORIES:
            raise UsageError(
                f"{some(len(found), 'repository is', 'repositories are')} covered", thing=self.text,
                remedy=f"at most {limits.COLLECT_REPOSITORIES} of one source: narrow the pattern",
            )  # fmt: skip
        return found

    async def _choose_of(self, repository: str, choices: dict[str, Choice]) -> None:
        """Choose among the tags of one repository. One that a catalog lists may be gone, or have no tags."""
        host, at = await in_thread(self._registries.accesses.located, self._many.host, repository)
        try:
            tags = await tags_of(await self._client(host, at, at))
        except NotFoundError:
            if not self._many.is_catalog:
                raise
            tags = []
        choice = self._selection.choose(self._many.tags, tags, repository)
        if self._selection.by_date:
            choice = await self._dated(host, at, choice)
        choices[repository] = choice

    async def _dated(self, host: str, at: str, choice: Choice) -> Choice:
        """What is taken of a choice by when its images were made. Raises UsageError for too many of them."""
        if len(choice.chosen) > limits.COLLECT_CHOSEN:
            raise UsageError(
                f"{some(len(choice.chosen), 'image', 'images')} would be asked when it was made", thing=self.text,
                remedy=f"at most {limits.COLLECT_CHOSEN}: narrow them with a pattern, exclude or range",
            )  # fmt: skip
        client = await self._client(host, at, at)
        made: dict[str, str | None] = {}

        async def ask(tag: str) -> None:
            made[tag] = await made_at(client, tag)

        await each_of((ask(one.tag) for one in choice.chosen), limits.COLLECT_AT_ONCE)
        return self._selection.choose_dated(choice, made)

    def _given(self, repository: str, chosen: ChosenTag) -> Given:
        reference = RemoteReference(self._many.host, Reference(repository, chosen.tag))
        here = Reference(self._many.local(repository, self._as), chosen.tag)
        source = registry_source(self._context, self._entry, reference, here, self._registries)
        return Given(str(reference), source, place=self.place, platforms=self._platforms, why=chosen.why)

    async def _client(self, host: str, account_of: str, repository: str) -> RegistryClient:
        """A repository of a registry, or with "" the registry itself, with the account for `account_of`."""
        access = await in_thread(self._registries.accesses.for_repository, host, account_of)
        client = self._registries.hosts.client(access, redirects_of(self._context, self._entry, host))
        return RegistryClient(client, repository, access)
