"""Scopes of the Docker token protocol (distribution: Token Scope Documentation). Text in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from appliance.limits import access as limits
from appliance.permissions import Caller, Permission, Rules
from bundles.errors import MalformedError, UsageError
from bundles.oci.reference import check_repository

CATALOG: Final = "registry:catalog:*"
_ACTIONS: Final[dict[str, Permission]] = {"pull": "pull", "push": "push", "delete": "delete"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked for, or allowed, on one resource: `repository` with a name, or `registry` with `catalog`."""

    kind: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(sorted(self.actions))}"

    def to_claim(self) -> dict[str, Any]:
        """An entry of the token's `access` claim."""
        return {"type": self.kind, "name": self.name, "actions": sorted(self.actions)}


def parse_scopes(texts: Iterable[str]) -> tuple[Scope, ...]:
    """Scopes as clients send them: several parameters, each with several scopes between spaces.

    A repository's class (`repository(plugin)`) is left out; a kind nobody knows is asked for in vain, so it is kept
    and will be granted nothing. Raises UsageError for what is no scope, and for too many.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for text in (part for whole in texts for part in whole.split(" ") if part):
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        kind = kind.partition("(")[0]
        if not kind or not name or not actions:
            raise UsageError("not a scope", thing=repr(text)[:120], remedy="write repository:NAME:pull,push")
        if kind == "repository":
            try:
                check_repository(name)
            except MalformedError:
                raise UsageError("not a scope", thing=repr(text)[:120], remedy="name a repository") from None
        found.setdefault((kind, name), set()).update(action for action in actions.split(",") if action)
        if len(found) > limits.TOKEN_SCOPES:
            raise UsageError("too many scopes", thing=str(len(found)), remedy=f"ask for {limits.TOKEN_SCOPES} at most")
    return tuple(Scope(kind, name, frozenset(actions)) for (kind, name), actions in found.items())


def granted(scopes: Iterable[Scope], caller: Caller, rules: Rules) -> tuple[Scope, ...]:
    """What of the scopes the caller may have; a scope with nothing left is not there."""
    allowed = []
    for scope in scopes:
        actions = frozenset(action for action in _wanted(scope) if _may(scope, action, caller, rules))
        if actions:
            allowed.append(Scope(scope.kind, scope.name, actions))
    return tuple(allowed)


def _wanted(scope: Scope) -> frozenset[str]:
    """`*` stands for everything on a repository."""
    if scope.kind == "repository" and "*" in scope.actions:
        return scope.actions - {"*"} | set(_ACTIONS)
    return scope.actions


def _may(scope: Scope, action: str, caller: Caller, rules: Rules) -> bool:
    if scope.kind == "repository":
        return action in _ACTIONS and bool(rules.decide(caller, _ACTIONS[action], scope.name))
    return (scope.kind, scope.name, action) == ("registry", "catalog", "*") and bool(rules.decide(caller, "pull"))
