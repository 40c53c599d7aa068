"""Who may do what, decided from values alone: no files, no clock, no database.

An account holds grants; a grant is a role on a pattern of repositories. A permission is one word an act. What no grant
gives is denied. What a role rules out is denied whatever other roles the account holds (separation of duties,
SP 800-53 AC-5): an administrator cannot approve, and an officer cannot import. Permissions on repositories (pull,
push, delete) count where the grant's pattern matches; the others are the station's, and every grant of the role
gives them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, get_args

from appliance.api.states import ROLES, Role
from appliance.patterns import EVERYTHING, covers
from bundles.errors import RefusedError, UsageError

Permission = Literal[
    "status",  # see how the station does, and its jobs
    "pull",  # read a repository
    "push",  # write to a repository, without taking anything away
    "delete",  # take tags and manifests away, roll a tag back
    "collect",  # bring artifacts into the store from elsewhere
    "build",  # plan a bundle, build it, write it to media
    "sign",  # hand in a signature for a build, or over an artifact
    "receipt",  # export a receipt, or read one
    "media",  # see and register media
    "custody",  # record a hand-over, print a custody form
    "import",  # verify a bundle into quarantine
    "quarantine",  # see what is in quarantine, and the reports about it
    "approve",
    "reject",
    "release",
    "withdraw",  # take back what was released
    "reset",  # set where a stream stands
    "trust",  # pin and revoke keys
    "policy",  # blocks, gates, immutability, quotas
    "audit",  # read and export the audit log
    "account",  # accounts, roles, tokens
    "operate",  # sweep, scrub, back up; cancel others' jobs; reload certificates
]
Kind = Literal["person", "robot", "system", "anonymous"]

PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)
ON_REPOSITORIES: Final[frozenset[Permission]] = frozenset({"pull", "push", "delete"})

GIVES: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        "reader": frozenset({"status", "pull"}),
        "writer": frozenset({"status", "pull", "push"}),
        "maintainer": frozenset({"status", "pull", "push", "delete"}),
        "security-officer": frozenset(
            {
                "status",
                "pull",
                "quarantine",
                "approve",
                "reject",
                "release",
                "withdraw",
                "reset",
                "trust",
                "policy",
                "sign",
                "custody",
            }
        ),
        "auditor": frozenset({"status", "audit", "custody"}),
        "administrator": frozenset({"status", "account", "operate"}),
        "collector": frozenset({"status", "pull", "collect", "build", "sign", "receipt", "media", "custody"}),
        "courier": frozenset({"status", "import", "media", "receipt", "custody"}),
    }
)
"""What each role gives."""

DOES: Final[Mapping[Permission, str]] = MappingProxyType(
    {
        "status": "see how the station does",
        "pull": "pull",
        "push": "push",
        "delete": "delete",
        "collect": "collect",
        "build": "build bundles",
        "sign": "hand in signatures for bundles",
        "receipt": "export or read receipts",
        "media": "see media",
        "custody": "see or record custody",
        "import": "import bundles",
        "quarantine": "see what is in quarantine",
        "approve": "approve bundles",
        "reject": "reject bundles",
        "release": "release bundles",
        "withdraw": "withdraw what was released",
        "reset": "set where a stream stands",
        "trust": "pin or revoke keys",
        "policy": "see or change blocks and rules",
        "audit": "read the audit log",
        "account": "see or change accounts",
        "operate": "do the station's maintenance",
    }
)
"""Each permission behind `may`, for a person who was refused."""

_DECIDING: Final[frozenset[Permission]] = frozenset({"approve", "reject", "release", "withdraw", "reset"})
_CARRYING: Final[frozenset[Permission]] = frozenset({"collect", "build", "import"})

PERSONS: Final[frozenset[Role]] = frozenset({"security-officer", "auditor", "administrator"})
"""Roles that no robot holds."""

RULES_OUT: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        "reader": frozenset(),
        "writer": frozenset(),
        "maintainer": frozenset(),
        "security-officer": _CARRYING | {"account"},
        "auditor": _DECIDING | _CARRYING | {"account", "operate", "trust", "policy"},
        "administrator": _DECIDING | {"trust", "policy", "quarantine", "audit"},
        "collector": _DECIDING | {"account"},
        "courier": _DECIDING | {"account", "trust", "policy"},
    }
)
"""What an account with the role may never do, whatever else it holds: who decides does not carry, who gives roles out
neither decides nor looks after the log, and who looks after the log changes nothing."""

GUARDED: Final[frozenset[Permission]] = _DECIDING | {"trust", "policy", "account"}
"""Permissions whose roles, and the credentials of whose accounts, no administrator changes alone
(docs/adr/0015-duties.md)."""

_COMPONENT: Final = r"[a-z0-9*]+(?:(?:\.|_|__|-+)[a-z0-9*]+)*"
_PATTERN: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_PATTERN_MOST: Final = 255

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_pattern(text: str) -> str:
    """A pattern of repository names: `*` within a component, `**` for one component or more. Raises UsageError."""
    whole = all(component == EVERYTHING or EVERYTHING not in component for component in text.split("/"))
    if len(text) > _PATTERN_MOST or not whole or not _PATTERN.match(text):
        raise UsageError("not a pattern of repositories", thing=repr(text)[:80], remedy="write team/app, team/* or **")
    return text


def matches(pattern: str, repository: str) -> bool:
    """Whether a checked pattern covers a repository. `**` stands for any name, `team/**` for all below team."""
    return pattern == EVERYTHING or covers(pattern, repository)


def check_role(text: str) -> Role:
    """The role of that name. Raises UsageError."""
    for role in ROLES:
        if role == text:
            return role
    raise UsageError("no such role", thing=repr(text)[:60], remedy=f"use one of {', '.join(ROLES)}")


def is_guarded(role: Role) -> bool:
    """Whether a role gives one of `GUARDED`, on whatever pattern."""
    return not GUARDED.isdisjoint(GIVES[role])


def who_may(permission: Permission) -> str:
    """The roles that give a permission, in words: `a collector or a courier may`."""
    return f"{' or '.join(_article(role) for role in ROLES if permission in GIVES[role])} may"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on the repositories that `pattern` covers."""

    role: Role
    pattern: str = EVERYTHING


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an account, or what stands for one, with the address it calls from.

    `everything`: the owner of an open station, to whom no rule applies. `generation` grows whenever something about
    the account changes; tokens carry it.
    """

    name: str
    kind: Kind = "person"
    grants: tuple[Grant, ...] = ()
    uid: int | None = None
    address: str = ""
    generation: int = 0
    everything: bool = False

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles held on any pattern, in their own order."""
        held = {grant.role for grant in self.grants}
        return tuple(role for role in ROLES if role in held)


ANONYMOUS: Final = Caller("anonymous", "anonymous")


@dataclass(frozen=True, slots=True)
class PermissionDecision:
    """Whether, and why: a sentence that names the role and the pattern, or the rule."""

    allowed: bool
    why: str

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site chose: repositories that anybody may pull, and the addresses from which a role counts.

    A role that `role_addresses` does not name counts from everywhere; calls through the Unix socket have no address
    and are this machine's own.
    """

    anonymous: tuple[str, ...] = ()
    role_addresses: Mapping[Role, Sequence[Network]] = field(default_factory=dict)

    def decide(self, caller: Caller, permission: Permission, repository: str = "") -> PermissionDecision:
        """Whether `caller` may; `repository` is "" for what belongs to none, and then any pattern will do."""
        if caller.everything:
            return PermissionDecision(True, "the station is open")
        if permission == "pull" and repository and any(matches(pattern, repository) for pattern in self.anonymous):
            return PermissionDecision(True, "anybody may pull it")
        for role in caller.roles:
            if permission in RULES_OUT[role]:
                return PermissionDecision(False, f"separation of duties: {_article(role)} may never {DOES[permission]}")
        away = ""
        for grant in caller.grants:
            if permission not in GIVES[grant.role]:
                continue
            bounded = permission in ON_REPOSITORIES and repository
            if bounded and not matches(grant.pattern, repository):
                continue
            if not self._is_at_home(grant.role, caller.address):
                away = f"{_article(grant.role)} may not {DOES[permission]} from {caller.address}"
                continue
            where = f" on {grant.pattern}" if permission in ON_REPOSITORIES else ""
            return PermissionDecision(True, f"{_article(grant.role)}{where} may {DOES[permission]}")
        return PermissionDecision(
            False, away or f"no role of it may {DOES[permission]}{f' on {repository}' if repository else ''}"
        )

    def prefixes(self, caller: Caller, permission: Permission) -> list[str]:
        """What the name of every repository begins with on which `caller` might have `permission`: what comes before
        the first wildcard of each pattern. `decide` alone says whether."""
        if caller.everything:
            return [""]
        patterns = [grant.pattern for grant in caller.grants if permission in GIVES[grant.role]]
        anybody = self.anonymous if permission == "pull" else ()
        return sorted({pattern.partition("*")[0] for pattern in (*patterns, *anybody)})

    def require(self, caller: Caller, permission: Permission, repository: str = "") -> None:
        """Go on only where `caller` may. Raises RefusedError saying why."""
        decision = self.decide(caller, permission, repository)
        if not decision:
            raise RefusedError(
                f"{caller.name} may not {DOES[permission]} ({decision.why})", thing=repository,
                remedy=self._remedy(caller, permission, repository),
            )  # fmt: skip

    def _remedy(self, caller: Caller, permission: Permission, repository: str) -> str:
        """What changes a refusal: logging in, a role that the account may get, or another account."""
        if caller.kind == "anonymous":
            return "log in: lockgate user login NAME"
        giving = [role for role in ROLES if permission in GIVES[role]]
        held = [role for role in giving if role in caller.roles]
        if any(permission in RULES_OUT[role] for role in caller.roles):
            return f"no further role changes that: it takes an account that is {_or(giving)} and not this one"
        if held and not all(self._is_at_home(role, caller.address) for role in held):
            return f"call from where {_article(held[0])} may: role_addresses in config.toml says from where"
        if caller.kind == "robot" and PERSONS.issuperset(giving):
            return f"no robot may: it takes a person who is {_or(giving)}"
        able = [
            role
            for role in giving
            if clash([*caller.roles, role]) is None and not (caller.kind == "robot" and role in PERSONS)
        ]
        if not able:
            return f"no further role changes that: it takes an account that is {_or(giving)} and not this one"
        on = f" --on {repository}" if repository and permission in ON_REPOSITORIES else ""
        least = min(able, key=lambda role: len(GIVES[role]))
        return f"it takes {_or(able)}; an administrator grants it: lockgate role grant {caller.name} {least}{on}"

    def explain(self, caller: Caller, repository: str) -> list[tuple[Permission, PermissionDecision]]:
        """Every permission with its decision, for a person."""
        return [(permission, self.decide(caller, permission, repository)) for permission in PERMISSIONS]

    def _is_at_home(self, role: Role, address: str) -> bool:
        networks = self.role_addresses.get(role)
        return networks is None or not address or is_within(address, networks)


def _or(roles: Sequence[Role]) -> str:
    """`a reader, a writer or a maintainer`."""
    named = [_article(role) for role in roles]
    return " or ".join(filter(None, [", ".join(named[:-1]), named[-1]]))


def clash(roles: Iterable[Role]) -> tuple[Role, Role] | None:
    """Two of the roles that one account may not hold together, or None: one rules out what the other is given for.

    Raises nothing; what both merely see (status, pull) is no clash.
    """
    held = sorted(set(roles), key=ROLES.index)
    for one in held:
        for other in held:
            if RULES_OUT[one] & GIVES[other]:
                return one, other
    return None


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address lies in one of the networks; an IPv4 address mapped into IPv6 is taken for itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    plain = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped else found
    return any(plain in network for network in networks)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks written as `10.0.0.0/8` or as one address. Raises UsageError."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise UsageError("not a network", thing=repr(text)[:60], remedy="write 10.0.0.0/8 or 10.1.2.3") from None
    return tuple(found)


def _article(role: Role) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
