"""Where the metadata is: `[metadata]` of config.toml (docs/reference/configuration.md, docs/adr/0076)."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from appliance.addresses import is_loopback
from appliance.settings.form_kinds import Form, passes, text, without_password
from bundles.errors import UsageError

_LONGEST: Final = 1000
_PARTS: Final = frozenset({"host", "port", "user", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile"})
"""Parameters of a URL: where the server is, and how both sides prove who they are (libpq, 34.1.2)."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}\Z")
"""Of a database or role: 63 bytes (PostgreSQL, NAMEDATALEN)."""
_TABLE: Final = re.compile(r"^[ \t]*\[metadata\][ \t]*(?:#.*)?$", re.MULTILINE)
_NEXT: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)
_URL: Final = re.compile(r"^([ \t]*)url[ \t]*=.*$", re.MULTILINE)
_FORM: Final = (
    'a URL without a password, as "postgresql:///lockgate?host=/var/run/postgresql" or'
    ' "postgresql://lockgate@db.example/lockgate?sslmode=verify-full&sslrootcert=/etc/lockgate/db-ca.pem"'
)


class MetadataSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: the database of PostgreSQL that has the metadata; "": the file `metadata.sqlite` has it."""

    url: str = ""


def check_url(url: str) -> None:
    """A URL of a database of PostgreSQL: each part once, no password, and a server of another machine only where it
    proves its name. Raises UsageError."""
    what = _wrong(url)
    if what:
        raise UsageError(f"not a URL of a PostgreSQL database: {what}", thing=shown(url), remedy=f"write {_FORM}")


def shown(url: str) -> str:
    """A URL as a message shows it: without a password, and without control characters."""
    return without_password(url)[:200].encode("ascii", "backslashreplace").decode()


def with_url(text: str, url: str) -> str:
    """config.toml with another `url` below `[metadata]`; everything else stays. Raises UsageError where that cannot be
    changed in place."""
    line = f"url = {json.dumps(url)}"
    table = _TABLE.search(text)
    if table is None:
        changed = f"{text.rstrip()}\n\n[metadata]\n{line}\n"
    else:
        end = found.start() if (found := _NEXT.search(text, table.end())) else len(text)
        inside, count = _URL.subn(lambda found: f"{found[1]}{line}", text[table.end() : end], count=1)
        changed = text[: table.end()] + (inside if count else f"\n{line}{inside}") + text[end:]
    before, after = _parsed(text), _parsed(changed)
    if after is None or before is None or after != before | {"metadata": {"url": url}}:
        raise UsageError(
            "metadata.url cannot be changed in place",
            thing="config.toml",
            remedy=f"write the table [metadata] there, with a line {line} and nothing else, then run it again",
        )
    return changed


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _wrong(url: str) -> str:
    """What is wrong with a URL, "" where nothing is."""
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        return "it has other characters than a URL has, or too many"
    try:
        parts = urlsplit(url)
        named = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
        hosts = [unquote(parts.hostname)] if parts.hostname else []
        hosts += [value for key, value in named if key == "host"]
        _ = parts.port
    except ValueError as error:
        return str(error)[:100]
    keys = [key for key, _ in named]
    if "password" in keys or parts.password is not None:
        return "it has a password in it, which belongs into the credential metadata-password or keys/metadata.secret"
    if unknown := sorted(set(keys) - _PARTS):
        return f"it has {unknown[0][:40]}, which is none of {', '.join(sorted(_PARTS))}"
    if len(keys) != len(set(keys)) or any(not value for _, value in named):
        return "a parameter stands there twice, or without a value"
    return _wrong_parts(parts, hosts, dict(named))


def _wrong_parts(parts: SplitResult, hosts: list[str], named: Mapping[str, str]) -> str:
    if parts.scheme not in ("postgresql", "postgres") or parts.fragment:
        return "it does not begin with postgresql://, or has a #"
    if _NAME.match(parts.path.removeprefix("/")) is None:
        return "behind its host stands no name of one database"
    if len(hosts) != 1 or "," in hosts[0]:
        return "it names no server, or several: one host, or the folder of a Unix socket as host=/…"
    if parts.username is not None and _NAME.match(parts.username) is None:
        return "before its host stands no name of an account"
    (host,) = hosts
    if not host.startswith("/") and not is_loopback(host) and named.get("sslmode") != "verify-full":
        return "a server of another machine has to prove its name, with sslmode=verify-full"
    return ""


_is_url: Final = passes(check_url)
METADATA: Final[Mapping[str, Form]] = MappingProxyType(
    {"metadata.url": Form(f'{_FORM}, or "" for the station\'s own file', text(lambda url: url == "" or _is_url(url)))}
)
"""What its settings may be."""
