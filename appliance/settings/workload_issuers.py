"""Whose tokens workloads log in with: `[workload_issuers.NAME]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from appliance.limits import access as limits
from appliance.settings.form_kinds import FILE, Form, text, texts, whole

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures by a key pair (RFC 7518, section 3.1; RFC 8037). Nothing with a shared secret, and never `none`."""

EVERY: Final = "*"
"""In a subject: any one part between `:` or `/`."""
_PARTS: Final = re.compile(r"([:/])")
_ROBOT: Final = re.compile(r"robot-[a-z0-9._-]{1,58}\Z")
_NAME: Final = re.compile(r"[a-z0-9-]{1,32}\Z")


class WorkloadIssuerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An issuer of tokens (OpenID Connect, Kubernetes service accounts), whose public keys lie here in a file.

    `issuer` and `audience` are the `iss` and the `aud` that its tokens must have, `jwks` its keys (RFC 7517).
    `robots` says which subject is which robot of this station: a whole `sub`, or one with `*` for parts of it.
    """

    issuer: str = ""
    jwks: str = ""
    audience: str = ""
    algorithms: tuple[str, ...] = ("RS256",)
    leeway_seconds: int = 30
    longest_hours: int = 24
    robots: dict[str, str] = {}


def parts_of(subject: str) -> list[str]:
    """A subject's parts, and what stands between them."""
    return _PARTS.split(subject)


def robot_of(robots: Mapping[str, str], subject: str) -> str | None:
    """The robot that a subject is: by its whole name first, else by the patterns that cover it, if they agree.

    Linear in the subject and the patterns: a `*` stands for one whole part, so nothing is tried twice.
    """
    exact = robots.get(subject)
    if exact is not None and EVERY not in subject:
        return exact
    parts = parts_of(subject)
    found = {robot for pattern, robot in robots.items() if EVERY in pattern and _covers(parts_of(pattern), parts)}
    return found.pop() if len(found) == 1 else None


def _covers(pattern: list[str], parts: list[str]) -> bool:
    if len(pattern) != len(parts):
        return False
    return all(mine == other or (mine == EVERY and other != "") for mine, other in zip(pattern, parts, strict=True))


def _is_subject(value: str) -> bool:
    """A `sub`, or a pattern of them whose first part is written out."""
    if not 0 < len(value) <= limits.WORKLOAD_SUBJECT or not value.isascii() or not value.isprintable():
        return False
    parts = parts_of(value)
    return parts[0] not in ("", EVERY) and all(EVERY not in part or part == EVERY for part in parts)


def _are_robots(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and 0 < len(value) <= limits.WORKLOAD_SUBJECTS
        and all(_is_subject(name) for name in value)
        and all(isinstance(robot, str) and _ROBOT.match(robot) is not None for robot in value.values())
    )


_CLAIM: Final = text(lambda value: 0 < len(value) <= limits.WORKLOAD_SUBJECT and value.isascii() and " " not in value)

WORKLOAD_ISSUER: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "issuer": Form('the iss of its tokens, as "https://kubernetes.default.svc.cluster.local"', _CLAIM),
        "jwks": FILE,
        "audience": Form('the aud that its tokens for this station have, as "registry.bravo.example"', _CLAIM),
        "algorithms": texts(f"algorithms of signatures ({', '.join(ALGORITHMS)})", lambda value: value in ALGORITHMS),
        "leeway_seconds": whole(0, 300, " of seconds"),
        "longest_hours": whole(1, 24 * 31, " of hours"),
        "robots": Form(
            'subjects with the robot that each is, as "system:serviceaccount:prod:*" = "robot-prod"; a * stands for a'
            " whole part between : or /, and not for the first",
            _are_robots,
        ),
    }
)
"""The settings of one issuer."""

WORKLOAD_ISSUERS: Final = Form(
    f"a table for each of at most {limits.WORKLOAD_ISSUERS} issuers, named by a-z, 0-9 and -, as"
    " [workload_issuers.cluster]",
    lambda value: isinstance(value, dict) and len(value) <= limits.WORKLOAD_ISSUERS,
    name=text(lambda name: _NAME.match(name) is not None),
    inside=WORKLOAD_ISSUER,
)


def wrong_issuers(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """What an issuer of a config.toml lacks: its table, its name, the key, what is wrong and the remedy."""
    for name, issuer in document.get("workload_issuers", {}).items():
        for key in ("issuer", "jwks", "audience", "robots"):
            if not issuer.get(key):
                remedy = f"write {key} = {WORKLOAD_ISSUER[key].says}"
                yield "workload_issuers", name, key, "a setting is missing", remedy
    named = [issuer.get("issuer", "") for issuer in document.get("workload_issuers", {}).values()]
    for name, issuer in document.get("workload_issuers", {}).items():
        if named.count(issuer.get("issuer", "")) > 1:
            yield "workload_issuers", name, "issuer", "two tables for one issuer", "write all of it in one table"
