"""registries.conf, version 2, as podman and skopeo read it (containers-registries.conf(5)): where a registry's content
is, its mirrors, and what is blocked.

Read are `[[registry]]` with `prefix`, `location`, `insecure` and `blocked`, and `[[registry.mirror]]` with `location`,
`insecure` and what says for which references it is. Keys that nobody knows here are left alone: newer tools have more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.limits import collecting as limits
from appliance.upstreams.accounts import canonical_host, keys_of
from bundles.errors import LockgateError, MalformedError, UsageError
from bundles.io import toml
from bundles.io.files import read_small
from bundles.oci.reference import check_registry, check_repository

_FILE: Final = "containers/registries.conf"
_DROP_INS: Final = "containers/registries.conf.d"
_EVERY: Final = "all"
_FOR: Final = (_EVERY, "digest-only", "tag-only")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror: `HOST[:PORT][/PATH]`, which stands in the place of a rule's prefix."""

    location: str
    insecure: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for everything below `prefix`, which is a location or `*.DOMAIN`."""

    prefix: str
    location: str
    insecure: bool
    blocked: bool
    mirrors: tuple[Mirror, ...]

    def fits(self, host: str, repository: str) -> bool:
        """Whether it holds for a repository."""
        if self.prefix.startswith("*."):
            return host.endswith(self.prefix[1:])
        return self.prefix in keys_of(host, repository)

    def at(self, location: str, host: str, repository: str) -> tuple[str, str]:
        """Host and repository where `location` stands in the place of the prefix."""
        whole = next(keys_of(host, repository))
        rest = whole.partition("/")[2] if self.prefix.startswith("*.") else whole[len(self.prefix) :].lstrip("/")
        found, _, path = location.partition("/")
        return found, "/".join(filter(None, (path, rest)))


def read_rules(etc: Path) -> tuple[Rule, ...]:
    """The machine's rules, the longest prefix first. A file of the folder of drop-ins replaces a rule of the same
    prefix. Raises UsageError naming file and key, FailedError."""
    rules: dict[str, Rule] = {}
    try:
        drop_ins = sorted(file for file in (etc / _DROP_INS).iterdir() if file.suffix == ".conf")
    except (FileNotFoundError, NotADirectoryError):
        drop_ins = []
    except OSError as error:
        raise _wrong(etc / _DROP_INS, "", str(error.strerror)) from None
    if len(drop_ins) > limits.UPSTREAM_FILES:
        raise _wrong(etc / _DROP_INS, "", f"more than {limits.UPSTREAM_FILES} files")
    for file in (etc / _FILE, *drop_ins):
        if file.exists():
            rules |= {rule.prefix: rule for rule in _rules_of(file)}
    return tuple(sorted(rules.values(), key=lambda rule: len(rule.prefix), reverse=True))


def _rules_of(file: Path) -> Iterator[Rule]:
    try:
        document = toml.loads(read_small(file.resolve(), limits.UPSTREAM_FILE))
    except MalformedError as error:
        raise _wrong(file, "", f"not TOML: {error.what}"[:160]) from None
    except LockgateError as error:
        raise _wrong(file, "", error.what) from None
    if "registries" in document:
        raise _wrong(file, "registries", "version 1 of its form, and version 2 is read")
    listed = document.get("registry", [])
    if not isinstance(listed, list):
        raise _wrong(file, "registry", "no list of tables")
    for number, entry in enumerate(listed, 1):
        yield _rule(file, f"[[registry]] {number}", entry)


def _rule(file: Path, key: str, entry: Any) -> Rule:
    if not isinstance(entry, dict):
        raise _wrong(file, key, "no table")
    location, prefix = _text(file, key, entry, "location"), _text(file, key, entry, "prefix")
    if not location and not prefix.startswith("*."):
        raise _wrong(file, key, "`location` is missing")
    listed = entry.get("mirror", [])
    if not isinstance(listed, list) or len(listed) > limits.UPSTREAM_MIRRORS:
        raise _wrong(file, key, f"`mirror` is no list of at most {limits.UPSTREAM_MIRRORS} tables")
    digests_alone = _flag(file, key, entry, "mirror-by-digest-only")
    mirrors = [_mirror(file, f"{key} [[registry.mirror]] {number}", one) for number, one in enumerate(listed, 1)]
    place = _place(file, key, location) if location else ""
    return Rule(
        prefix.lower() if prefix.startswith("*.") else _place(file, key, prefix) if prefix else place,
        place,
        _flag(file, key, entry, "insecure"),
        _flag(file, key, entry, "blocked"),
        () if digests_alone else tuple(mirror for mirror in mirrors if mirror is not None),
    )


def _mirror(file: Path, key: str, entry: Any) -> Mirror | None:
    """A mirror; None for one of digests alone, or of tags alone: a collection asks for both at once."""
    if not isinstance(entry, dict):
        raise _wrong(file, key, "no table")
    location = _text(file, key, entry, "location")
    serves = _text(file, key, entry, "pull-from-mirror") or _EVERY
    if not location:
        raise _wrong(file, key, "`location` is missing")
    if serves not in _FOR:
        raise _wrong(file, key, f"`pull-from-mirror` is none of {', '.join(_FOR)}")
    mirror = Mirror(_place(file, key, location), _flag(file, key, entry, "insecure"))
    return mirror if serves == _EVERY else None


def _place(file: Path, key: str, text: str) -> str:
    """`HOST[:PORT][/PATH]` in one form for each. Raises UsageError."""
    host, slash, path = text.partition("/")
    try:
        check_registry(host)
        if slash:
            check_repository(path)
    except LockgateError:
        raise _wrong(file, key, f"{text!r:.120} is no registry, or part of one") from None
    return f"{canonical_host(host)}{slash}{path}"


def _text(file: Path, key: str, entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str):
        raise _wrong(file, key, f"`{name}` is no text")
    return value


def _flag(file: Path, key: str, entry: Mapping[str, Any], name: str) -> bool:
    value = entry.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(file, key, f"`{name}` is neither true nor false")
    return value


def _wrong(file: Path, key: str, what: str) -> UsageError:
    return UsageError(
        f"the machine's configuration of registries cannot be used ({what})", thing=f"{file}: {key}".rstrip(": "),
        remedy="correct it, or set use_host_configuration = false in config.toml",
    )  # fmt: skip
