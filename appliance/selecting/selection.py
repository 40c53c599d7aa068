"""Sources of a collect that are many tags of a registry, and which of them are taken.

`HOST/REPO:PATTERN`, in which `*` stands for any part of a tag, as in the patterns of a build; REPO may be a pattern of
repositories too, `team/**`. What is chosen among the tags that the pattern covers is said by keys: `exclude`, `range`,
`variant` and `newest`, and, by when an image was made, `created_since` and `latest`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from appliance.limits import collecting as limits
from appliance.patterns import covers
from appliance.permissions import check_pattern, matches
from appliance.selecting.versions import TagVersion, VersionRange, tag_version
from bundles.errors import MalformedError, UsageError
from bundles.io.times import check_time
from bundles.oci.attached_tags import is_attached
from bundles.oci.reference import DOCKER_SCHEME, check_registry, check_repository, check_tag_pattern

KEYS: Final = ("exclude", "range", "variant", "newest", "created_since", "latest")
"""What says which tags are taken, as keys of a collection's source and, with `--` and hyphens, as options of
`collect`."""

EVERY_VERSION: Final = "*"
_FORM: Final = "write HOST/REPO:PATTERN, as registry.example/team/app:1.* or registry.example/team/**:*"


def is_many(text: str) -> bool:
    """Whether a source is many tags of a registry."""
    return "*" in text


@dataclass(frozen=True, slots=True)
class ManyTags:
    """`HOST/REPO:PATTERN`; `repository` is a name, or a pattern of names."""

    host: str
    repository: str
    tags: str

    @property
    def is_catalog(self) -> bool:
        """Whether it is of all repositories that a pattern covers, which the registry's catalog lists."""
        return "*" in self.repository

    def covers(self, repository: str) -> bool:
        """Whether it is of a repository."""
        return matches(self.repository, repository) if self.is_catalog else repository == self.repository

    def local(self, repository: str, as_: str | None) -> str:
        """What a repository of it is called here: itself, or `as_`; with several of them, itself below `as_`."""
        if as_ is None:
            return repository
        return f"{as_}/{repository}" if self.is_catalog else as_

    def remote(self, local: str, as_: str | None) -> str:
        """The repository at the registry that is called `local` here."""
        if not self.is_catalog:
            return self.repository
        return local if as_ is None else local.removeprefix(f"{as_}/")

    @classmethod
    def parse(cls, text: str) -> ManyTags:
        """Raises MalformedError."""
        host, slash, rest = text.removeprefix(DOCKER_SCHEME).partition("/")
        repository, colon, tags = rest.rpartition(":")
        try:
            check_registry(host if slash else "")
            check_tag_pattern(tags if colon and "@" not in rest else "")
            check_pattern(repository) if "*" in repository else check_repository(repository)
        except (MalformedError, UsageError) as error:
            raise MalformedError(
                f"malformed pattern of a registry's tags ({error.what})", thing=repr(text)[:280], remedy=_FORM
            ) from None
        return cls(host, repository, tags)


@dataclass(frozen=True, slots=True)
class ChosenTag:
    """A tag that is taken, and why, in words."""

    tag: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen among `looked_at` tags; how many others were left, by why: `pattern`, `attached`, `excluded`,
    `no_version`, `variant`, `range`, `older`, `undated` and `before`."""

    chosen: tuple[ChosenTag, ...]
    looked_at: int
    left: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tags are taken of those that a pattern covers. `exclude`: patterns of tags that are not, or REPO:TAG, both
    patterns. With any of the
    others a tag must name a version: in `range` (prereleases only where the range names one), of a `variant` that the
    pattern covers (without one: of none), and among the `newest` so many of its variant. Of what is left those that
    were made at `created_since` or later, and of each repository the `latest` so many of these."""

    exclude: tuple[str, ...] = ()
    range: str | None = None
    variant: str | None = None
    newest: int | None = None
    created_since: str | None = None
    latest: int | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Selection:
        """From the keys of a document. Raises UsageError, whose `thing` begins with the key."""
        exclude, range_, variant, newest, since, latest = (fields.get(key) for key in KEYS)
        if unknown := sorted(set(fields).difference(KEYS)):
            raise UsageError("there is no such key", thing=unknown[0][:80], remedy=f"it takes {', '.join(KEYS)}")
        if exclude is None:
            exclude = ()
        if not isinstance(exclude, list | tuple) or not all(isinstance(one, str) for one in exclude):
            raise _wrong("exclude", "it is a list of patterns of tags", "exclude = ['*-debug', 'nightly*']")
        if len(exclude) > limits.COLLECT_EXCLUDED:
            raise _wrong("exclude", "it is too long", f"at most {limits.COLLECT_EXCLUDED} patterns")
        for one in exclude:
            _check_excluded(one)
        if range_ is not None:
            if not isinstance(range_, str):
                raise _wrong("range", "it is a text", "range = '>=1.20 <2'")
            try:
                VersionRange(range_)
            except UsageError as error:
                raise _wrong("range", f"{error.what}: {error.thing}", error.remedy) from None
        if variant is not None:
            _check_pattern("variant", variant)
        for key, number in (("newest", newest), ("latest", latest)):
            is_number = isinstance(number, int) and not isinstance(number, bool)
            if number is not None and not (is_number and 1 <= number <= limits.COLLECT_CHOSEN):
                raise _wrong(key, "it is how many tags are taken", f"{key} = 3; at most {limits.COLLECT_CHOSEN}")
        return cls(tuple(exclude), range_, variant, newest, None if since is None else check_date(since), latest)

    def to_json(self) -> dict[str, Any]:
        """The keys that are said, for `of`."""
        said: dict[str, Any] = {"exclude": list(self.exclude) or None, "range": self.range, "variant": self.variant}
        said |= {"newest": self.newest, "created_since": self.created_since, "latest": self.latest}
        return {key: value for key, value in said.items() if value is not None}

    @property
    def by_version(self) -> bool:
        """Whether tags are chosen by their versions."""
        return (self.range, self.variant, self.newest) != (None, None, None)

    @property
    def by_date(self) -> bool:
        """Whether it must be known when each image was made."""
        return (self.created_since, self.latest) != (None, None)

    def choose_dated(self, choice: Choice, made: Mapping[str, str | None]) -> Choice:
        """What is taken of a choice by when its images were made: `made` is a time by tag, None where the image does
        not say. The latest first."""
        left = Counter(choice.left)
        dated: list[tuple[str, ChosenTag]] = []
        for chosen in choice.chosen:
            at = made[chosen.tag]
            if at is None:
                left["undated"] += 1
            elif self.created_since is not None and at < self.created_since:
                left["before"] += 1
            else:
                dated.append((at, ChosenTag(chosen.tag, f"{chosen.why}, made {at}")))
        dated.sort(key=lambda one: (one[0], one[1].tag), reverse=True)
        taken = dated[: self.latest]
        left["older"] += len(dated) - len(taken)
        left += Counter()  # without what is 0
        return Choice(tuple(chosen for _, chosen in taken), choice.looked_at, dict(left))

    def choose(self, pattern: str, tags: Iterable[str], repository: str) -> Choice:
        """What is taken of the tags of a repository at the registry: by version the newest first, else in the order of
        their names."""
        left: Counter[str] = Counter()
        named: list[str] = []
        every = dict.fromkeys(tags)
        for tag in every:
            if why := self._left_by_name(pattern, tag, repository):
                left[why] += 1
            else:
                named.append(tag)
        if not self.by_version:
            chosen = tuple(ChosenTag(tag, f"matches {pattern}") for tag in sorted(named))
            return Choice(chosen, len(every), dict(left))
        return Choice(tuple(self._by_version(named, left)), len(every), dict(left))

    def _left_by_name(self, pattern: str, tag: str, repository: str) -> str:
        if is_attached(tag):  # it comes with what it is attached to
            return "attached"
        if not covers(pattern, tag):
            return "pattern"
        for one in self.exclude:
            of_repository, colon, of_tag = one.rpartition(":")
            if covers(of_tag, tag) and (not colon or matches(of_repository, repository)):
                return "excluded"
        return ""

    def _by_version(self, tags: list[str], left: Counter[str]) -> list[ChosenTag]:
        wanted = VersionRange(self.range or EVERY_VERSION)
        by_variant: dict[str, list[tuple[TagVersion, str]]] = {}
        for tag in tags:
            found = tag_version(tag)
            if found is None:
                left["no_version"] += 1
            elif not self._is_variant(found.variant):
                left["variant"] += 1
            elif found.version not in wanted:
                left["range"] += 1
            else:
                by_variant.setdefault(found.variant, []).append((found, tag))
        chosen: list[ChosenTag] = []
        for variant, found_tags in sorted(by_variant.items()):
            # Of one version the tag with more numbers is first: 1.27.0 moves less than 1.27.
            found_tags.sort(key=lambda one: (one[0].version, one[0].numbers, one[1]), reverse=True)
            newest = found_tags[: self.newest]
            left["older"] += len(found_tags) - len(newest)
            chosen += [ChosenTag(tag, self._why(one, variant, place)) for place, (one, tag) in enumerate(newest, 1)]
        left += Counter()  # without what is 0
        return chosen

    def _is_variant(self, variant: str) -> bool:
        if self.variant is None:
            return not variant
        return bool(variant) and covers(self.variant, variant)

    def _why(self, found: TagVersion, variant: str, place: int) -> str:
        said = f"version {found.version}" + (f", variant {variant}" if variant else "")
        if self.range is not None:
            said += f", in {self.range}"
        return said + (f", newest {place} of {self.newest}" if self.newest is not None else "")


ALL: Final = Selection()
"""Every tag that a pattern covers."""

_LEFT: Final = {
    "pattern": "not covered by the pattern",
    "attached": "attached to images",
    "excluded": "excluded",
    "no_version": "without a version",
    "variant": "of another variant",
    "range": "out of the range",
    "older": "older",
    "undated": "that do not say when they were made",
    "before": "made before the date",
}


def left_in_words(left: Mapping[str, int]) -> list[str]:
    """Why tags were left, as `Choice.left` has it, in words."""
    return [f"{left[why]} {said}" for why, said in _LEFT.items() if left.get(why)]


def check_date(text: Any) -> str:
    """A day or a time as a time (bundles.io.times). Raises UsageError."""
    written = text if isinstance(text, str) else ""
    try:
        return check_time(f"{written}T00:00:00Z" if len(written) == len("2026-01-31") else written, "it")
    except MalformedError:
        raise _wrong("created_since", "it is a day or a time in UTC", "2026-01-31 or 2026-01-31T12:00:00Z") from None


def _check_excluded(text: str) -> None:
    repository, colon, tag = text.rpartition(":")
    _check_pattern("exclude", tag)
    if colon:
        try:
            check_pattern(repository)
        except UsageError as error:
            raise _wrong("exclude", f"{error.what} {error.thing}", "write TAG or REPO:TAG, both patterns") from None


def _check_pattern(key: str, text: Any) -> None:
    try:
        check_tag_pattern(text if isinstance(text, str) else "")
    except MalformedError as error:
        raise _wrong(key, error.what, error.remedy or "write a pattern of tags") from None


def _wrong(key: str, what: str, remedy: str) -> UsageError:
    return UsageError("malformed selection of tags", thing=f"{key}: {what}"[:300], remedy=remedy)
