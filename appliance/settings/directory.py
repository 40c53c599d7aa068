"""The directory that people are looked up in: `[directory]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from appliance.addresses import split_listen
from appliance.limits import access as limits
from appliance.permissions import Grant, check_pattern, check_role, is_guarded
from appliance.settings.form_kinds import FILE, Form, choice, text
from bundles.errors import LockgateError, UsageError

_PORT: Final = re.compile(r":[0-9]{1,5}\Z")
PORTS: Final[Mapping[str, int]] = MappingProxyType({"ldaps": 636, "starttls": 389})


class DirectorySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[directory]`. An LDAP server (RFC 4511) at `address`, always under TLS by certificates of `ca`; "" for none.

    `bind_dn` is the account that looks people up. People are the entries below `user_base` whose `user_attribute` is
    the account's name, and groups those below `group_base` whose `group_attribute` is the person's DN. `roles` are a
    group's DN with roles, each as `ROLE` or `ROLE PATTERN`.
    """

    address: str = ""
    tls: Literal["ldaps", "starttls"] = "ldaps"
    ca: str = ""
    bind_dn: str = ""
    user_base: str = ""
    user_attribute: str = "uid"
    name_attribute: str = "cn"
    group_base: str = ""
    group_attribute: str = "member"
    roles: dict[str, tuple[str, ...]] = {}

    def endpoint(self) -> tuple[str, int]:
        """The host and the port."""
        return split_listen(self.address if _has_port(self.address) else f"{self.address}:{PORTS[self.tls]}")


def _has_port(address: str) -> bool:
    return _PORT.search(address) is not None and (address.count(":") == 1 or "]:" in address)


def grant_of(text: str) -> Grant:
    """What a group gives: `ROLE` or `ROLE PATTERN`. Raises UsageError for a role that no group gives: whoever runs the
    directory neither releases nor looks after accounts."""
    role, _, pattern = text.partition(" ")
    found = check_role(role)
    if is_guarded(found):
        raise UsageError("no group gives this role", thing=role, remedy="give it here: lockgate role grant")
    return Grant(found, check_pattern(pattern or "**"))


def _is_address(value: str) -> bool:
    if value == "":
        return True
    try:
        host, port = DirectorySettings(address=value).endpoint()
    except (LockgateError, ValueError):
        return False
    return host != "" and port > 0 and "/" not in value


def _are_roles(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) > limits.DIRECTORY_GROUPS:
        return False
    for group, roles in value.items():
        if not _is_dn(group) or not isinstance(roles, list) or not roles:
            return False
        try:
            for role in roles:
                grant_of(role if isinstance(role, str) else "")
        except LockgateError:
            return False
    return True


def _is_dn(value: str) -> bool:
    return 0 < len(value) <= limits.DIRECTORY_DN and "=" in value and value.isprintable()


_DN: Final = Form('a DN, as "ou=people,dc=example"', text(_is_dn))
_ATTRIBUTE: Final = Form(
    'the name of an attribute, as "uid"', text(lambda value: value.isascii() and value.replace("-", "").isalnum())
)

DIRECTORY: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "directory.address": Form(
            'a host with or without a port, as "ldap.example", or "" for none', text(_is_address)
        ),
        "directory.tls": choice("ldaps", "starttls"),
        "directory.ca": FILE,
        "directory.bind_dn": _DN,
        "directory.user_base": _DN,
        "directory.user_attribute": _ATTRIBUTE,
        "directory.name_attribute": _ATTRIBUTE,
        "directory.group_base": _DN,
        "directory.group_attribute": _ATTRIBUTE,
        "directory.roles": Form(
            'groups with lists of roles, as "cn=builders,ou=groups,dc=example" = ["collector", "reader team/**"]; no'
            " group gives security-officer or administrator",
            _are_roles,
        ),
    }
)
"""What its settings may be."""


def missing_in(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the directory of a config.toml lacks: the key, and what it may be."""
    found = document.get("directory", {})
    if found.get("address"):
        for name in ("ca", "bind_dn", "user_base", "group_base", "roles"):
            if not found.get(name):
                yield f"directory.{name}", DIRECTORY[f"directory.{name}"].says
