"""What a registry asks for with 401: a token of a token service, or a name and a password (RFC 7235, section 4.1;
distribution specification of Docker, token authentication)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.access import HostAccess
from bundles import limits
from bundles.io import strict_json

_FIELD: Final = re.compile(r'(realm|service|scope)="([^"]*)"')
_SCHEME: Final = re.compile(r"(?:^|,)\s*(bearer|basic)(?:\s|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge. `scheme` is `bearer` or `basic`, or "" where neither was offered."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def challenge_fields(challenge: str) -> dict[str, str]:
    """The quoted fields of a WWW-Authenticate header that a token is asked for with."""
    return dict(_FIELD.findall(challenge))


def choose(headers: Sequence[str]) -> Challenge:
    """The challenge to answer of all that WWW-Authenticate headers offer: a token before a password."""
    basic = Challenge("")
    for header in headers:
        starts = [*_SCHEME.finditer(header)]
        for number, found in enumerate(starts):
            end = starts[number + 1].start() if number + 1 < len(starts) else len(header)
            fields = challenge_fields(header[found.end() : end])
            if found[1].lower() == "bearer" and fields.get("realm"):
                return Challenge("bearer", **fields)
            if found[1].lower() == "basic":
                basic = Challenge("basic")
    return basic


def basic(access: HostAccess) -> str:
    """The Authorization header of an account's name and secret (RFC 7617), "" where there is none."""
    if access.user is None or access.secret is None:
        return ""
    return "Basic " + base64.b64encode(f"{access.user}:{access.secret}".encode()).decode("ascii")


def token_in(raw: bytes) -> str | None:
    """The token in a token service's answer, None where it holds none. Raises MalformedError."""
    document: Any = strict_json.loads(
        raw, ceiling=limits.MIB, nodes=collecting_limits.REMOTE_TOKEN_NODES, what="token", floats=True
    )
    token = document.get("token") or document.get("access_token") if isinstance(document, dict) else None
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else None
