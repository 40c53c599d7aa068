"""The files in which docker, podman and skopeo keep log-ins, read as they read them (containers-auth.json(5), Docker's
config.json).

Everything here runs in the process of the person who collects, with their rights.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.limits import collecting as limits
from appliance.upstreams.accounts import HUB, Account, Accounts, canonical_host, keys_of
from appliance.upstreams.credential_helpers import MissingHelperError, ask_helper
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError
from bundles.io import strict_json
from bundles.io.files import read_small

CREDENTIAL: Final = "registry-auth.json"
"""The station's own accounts, in the form of containers-auth.json(5), among its service's credentials."""

_OPEN: Final = 0o077
_WRITABLE: Final = 0o022
_POSITION: Final = re.compile(r"line \d+ column \d+")
_MALFORMED: Final = "a file of accounts cannot be read"


@dataclass(frozen=True, slots=True)
class _Place:
    """A file that may be there. `paths`: whether its keys may have a part of a repository's name (auth.json)."""

    path: Path
    paths: bool = True


@dataclass(frozen=True, slots=True)
class _File:
    """What a file says: entries and helpers by key as this module writes keys, and the helper for all."""

    place: _Place
    entries: Mapping[str, tuple[str, Any]]
    helpers: Mapping[str, str]
    store: str


def has_files(authfile: Path | None, environ: Mapping[str, str]) -> bool:
    """Whether there is a file to look into, so that a collection without one asks nothing more of the station."""
    return _named(authfile, environ) is not None or any(_is_there(one.path) for one in _usual(environ))


def accounts_for(
    places: Iterable[tuple[str, str]], authfile: Path | None, environ: Mapping[str, str]
) -> tuple[Accounts, list[str]]:
    """The accounts for (host, repository) pairs, and what is to be said of where they came from.

    A file that was named (`authfile`, else `$REGISTRY_AUTH_FILE`) is the only one that is read; otherwise the first
    of the usual files that has an account for a repository counts. Raises UsageError for a file that is missing or
    malformed, by its name and key; FailedError for a helper that fails. No error quotes a secret.
    """
    named = _named(authfile, environ)
    if named is not None and not _is_there(named):
        raise UsageError(
            "no such file of accounts", thing=str(named), remedy="check --authfile and $REGISTRY_AUTH_FILE"
        )
    places_of = [_Place(named)] if named is not None else [one for one in _usual(environ) if _is_there(one.path)]
    files = [file for place in places_of if (file := _load(place)) is not None]
    found: list[Account] = []
    said: dict[str, None] = {}
    for host, repository in dict.fromkeys((canonical_host(host), repository) for host, repository in places):
        for file in files:
            account, stands_there = _in_file(file, host, repository, said)
            if account is not None:
                found.append(account)
                said |= dict.fromkeys(_exposure(file.place.path, holds_secrets=stands_there))
                break
    return Accounts(found), list(said)


def own_accounts(environ: Mapping[str, str]) -> Accounts:
    """The accounts of this process's service (systemd.exec(5), LoadCredential=). Raises as `accounts_in`."""
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    return accounts_in(Path(folder) / CREDENTIAL) if folder else Accounts()


def accounts_in(path: Path) -> Accounts:
    """Every account that stands in one file of the form of auth.json: the station's own. Helpers are not asked there:
    they belong to people. Raises UsageError naming file and key, FailedError."""
    file = _load(_Place(path))
    if file is None:
        return Accounts()
    if file.store or file.helpers:
        raise UsageError(
            "a station's accounts name a credential helper", thing=str(path),
            remedy="write `auths` alone: skopeo login --authfile FILE HOST",
        )  # fmt: skip
    decoded = (_decode(path, written, key, value) for key, (written, value) in file.entries.items())
    return Accounts(account for account in decoded if account is not None)


def _named(authfile: Path | None, environ: Mapping[str, str]) -> Path | None:
    if authfile is not None:
        return authfile
    said = environ.get("REGISTRY_AUTH_FILE", "")
    return Path(said) if said else None


def _usual(environ: Mapping[str, str]) -> Iterator[_Place]:
    """Where log-ins are, in the order in which podman and skopeo look (containers-auth.json(5))."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111  it raises nothing without a home
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    yield _Place((Path(runtime) / "containers" if runtime else Path(f"/run/containers/{os.getuid()}")) / "auth.json")
    configured = environ.get("XDG_CONFIG_HOME", "")
    folders = [Path(configured)] if configured else []
    yield from (_Place(folder / "containers/auth.json") for folder in (*folders, home / ".config"))
    docker = environ.get("DOCKER_CONFIG", "")
    yield from (_Place(Path(docker) / "config.json", paths=False) for _ in docker[:1])
    yield _Place(home / ".docker/config.json", paths=False)


def _is_there(path: Path) -> bool:
    """Whether there is a file that this account can get at: `HOME` may be another's, as behind sudo."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _load(place: _Place) -> _File | None:
    """A file's content; None where there is none. Raises UsageError naming it and the key, FailedError."""
    path = place.path
    try:
        real = path.resolve(strict=True)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:
        raise FailedError(_MALFORMED, thing=f"{path} ({error})"[:200], remedy="check its folders") from None
    try:
        raw = read_small(real, limits.AUTH_FILE)
    except RefusedError as error:
        remedy = error.remedy if real.is_file() else "give a file (containers-auth.json)"
        raise UsageError(f"{_MALFORMED} ({error.what})", thing=str(path), remedy=remedy) from None
    if not raw.strip():
        return None
    try:
        document = strict_json.loads(
            raw, ceiling=limits.AUTH_FILE, nodes=limits.AUTH_NODES, what=str(path), floats=True
        )
    except LockgateError as error:
        where = _POSITION.search(error.thing)
        raise _wrong(path, f"no JSON as it should be{f', {where[0]}' if where else ''}") from None
    if not isinstance(document, dict):
        raise _wrong(path, "it is no JSON object")
    auths, helpers, store = document.get("auths"), document.get("credHelpers"), document.get("credsStore")
    for name, value, kind in (("auths", auths, dict), ("credHelpers", helpers, dict), ("credsStore", store, str)):
        if value is not None and not isinstance(value, kind):
            raise _wrong(path, f"{name} is no {'object' if kind is dict else 'text'}")
    for key, value in (helpers or {}).items():
        if not isinstance(value, str):
            raise _wrong(path, f"credHelpers.{key} is no text")
    entries: dict[str, tuple[str, Any]] = {}
    for key, value in sorted((auths or {}).items(), key=lambda entry: "://" in entry[0]):  # plain keys count first
        entries.setdefault(_key_of(key, paths=place.paths), (key, value))
    return _File(
        place, entries, {_key_of(key, paths=False): value for key, value in (helpers or {}).items()}, store or ""
    )


def _wrong(path: Path, what: str) -> UsageError:
    return UsageError(f"{_MALFORMED} ({what})"[:200], thing=str(path), remedy="correct it, or log in anew")


def _key_of(written: str, *, paths: bool) -> str:
    """A key as it stands in a file, in this module's form: docker wrote URLs once, and still does for Docker Hub."""
    _, scheme, rest = written.rpartition("://")
    host, slash, path = rest.partition("/")
    behind = path.strip("/") if paths and slash and not scheme else ""
    return f"{canonical_host(host)}/{behind}" if behind else canonical_host(host)


def _in_file(file: _File, host: str, repository: str, said: dict[str, None]) -> tuple[Account | None, bool]:
    """A file's account for a repository, and whether it stands in the file: of the registry's own helper, else of the
    entry with the longest key, else of the helper for all, which goes before an entry of the whole registry as docker
    takes it."""
    path = file.place.path
    if host in file.helpers:
        account = ask_helper(file.helpers[host], host, path)
        if account is not None:
            return account, False
    for key in keys_of(host, repository):
        if key == host and file.store:
            try:
                account = ask_helper(file.store, host, path)
            except MissingHelperError as error:  # it is named for every registry, also for those without an account
                said[error.diagnostics()] = None
                account = None
            if account is not None:
                return account, False
        if key in file.entries:
            written, value = file.entries[key]
            account = _decode(path, written, key, value)
            if account is not None:
                return account, True
    return None, False


def _decode(path: Path, written: str, key: str, value: Any) -> Account | None:
    """The account of an entry, None for one that holds none (docker leaves such ones beside a helper)."""

    def wrong(what: str) -> UsageError:
        host = "" if key == HUB else f" {key.partition('/')[0]}"
        return UsageError(
            f"the entry of an account cannot be read ({what})", thing=f"{path}: auths.{written}"[:300],
            remedy=f"log in anew: skopeo login{host or ' docker.io'}",
        )  # fmt: skip

    if not isinstance(value, dict):
        raise wrong("it is no object")
    for name in ("auth", "identitytoken", "username", "password"):
        if not isinstance(value.get(name, ""), str):
            raise wrong(f"{name} is no text")
    user, secret = value.get("username", ""), value.get("password", "")
    if auth := value.get("auth", ""):
        try:
            user, colon, secret = base64.b64decode(auth, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise wrong("auth is no base64 of a text") from None
        if not colon:
            raise wrong("auth has no colon between name and password")
        secret = secret.strip("\0")  # as docker takes it
    if not (secret or value.get("identitytoken")):
        return None
    if any(not character.isprintable() for character in user):
        raise wrong("the name has control characters")
    return Account(key, user, secret, value.get("identitytoken", ""))


def _exposure(path: Path, *, holds_secrets: bool) -> list[str]:
    """A line where other accounts may change a file that an account was taken from or, where it stands in the file,
    read it."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return []
    if not mode & (_OPEN if holds_secrets else _WRITABLE):
        return []
    return [f"other accounts may read or change your log-ins (mode {mode:04o}): {path}; shut it: chmod 600 {path}"]
