"""Sources of a collect that are many tags: asked for their lists, and made into a source for each chosen tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from appliance import limits
from appliance.jobs.kinds import JobContext
from appliance.outgoing.collect.opening import Given, Registries, redirects_of, registry_source
from appliance.outgoing.collect.registry_client import RegistryClient
from appliance.outgoing.collect.tag_lists import tags_of
from appliance.outgoing.collect.tasks import in_thread
from appliance.selecting.selection import ManyTags, Selection, left_in_words
from bundles.errors import NotFoundError, UsageError
from bundles.io.display import some
from bundles.oci.reference import Reference, RemoteReference, check_repository


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a source of many tags came to: the sources to take, and what is said of the choice."""

    given: Sequence[Given]
    said: dict[str, Any]


class ManySource:
    """The tags of a registry's repository that an entry of a collect's params describes. `place` is the entry's."""

    def __init__(self, context: JobContext, entry: dict[str, Any], place: int, registries: Registries) -> None:
        """Raises UsageError, MalformedError."""
        self.text, self.place = str(entry.get("reference")), place
        self._context, self._entry, self._registries = context, entry, registries
        self._many = ManyTags.parse(self.text)
        select = {} if entry.get("select") is None else entry["select"]
        if not isinstance(select, dict):
            raise UsageError("malformed parameters", thing="`select` is an object", remedy="see: lockgate --help")
        self._selection = Selection.of(select)
        self._as = check_repository(str(entry["as"])) if entry.get("as") else self._many.repository
        redirects_of(context, entry, self._many.host)  # what is wrong there is told before anything is read

    async def choose(self) -> Chosen:
        """Ask for the list and choose. The registry itself is asked: a mirror may know a part of its tags. Raises
        NotFoundError where nothing is chosen, UsageError where too much is, and as tags_of."""
        many = self._many
        choice = self._selection.choose(many.tags, await tags_of(await self._home()))
        if not choice.chosen:
            left = ", ".join([some(choice.looked_at, "tag", "tags"), *left_in_words(choice.left)])
            raise NotFoundError(
                f"no tag is chosen ({left})",
                thing=self.text,
                remedy="see what is there: skopeo list-tags",
            )
        if len(choice.chosen) > limits.COLLECT_CHOSEN:
            raise UsageError(
                f"{len(choice.chosen)} tags are chosen", thing=self.text,
                remedy=f"at most {limits.COLLECT_CHOSEN}: narrow them with a pattern, exclude, range or newest",
            )  # fmt: skip
        given = [self._given(one.tag, one.why) for one in choice.chosen]
        said = {
            "source": self.place, "from": self.text, "tags": choice.looked_at, "chosen": len(given),
            "left_out": dict(choice.left),
        }  # fmt: skip
        return Chosen(given, said)

    def _given(self, tag: str, why: str) -> Given:
        reference = RemoteReference(self._many.host, Reference(self._many.repository, tag))
        source = registry_source(self._context, self._entry, reference, Reference(self._as, tag), self._registries)
        return Given(str(reference), source, place=self.place, why=why)

    async def _home(self) -> RegistryClient:
        accesses = self._registries.accesses
        host, repository = await in_thread(accesses.located, self._many.host, self._many.repository)
        access = await in_thread(accesses.for_repository, host, repository)
        client = self._registries.hosts.client(access, redirects_of(self._context, self._entry, host))
        return RegistryClient(client, repository, access)
