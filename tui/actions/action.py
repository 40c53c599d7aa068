"""What an action is, and what may stand in its way. The actions themselves are in `tui.actions.registry`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from appliance.api.people import Who
from appliance.api.status import Status
from tui.guides.new_bundle import Draft


@dataclass(frozen=True)
class Context:
    """What an action's predicate may look at."""

    screen: str
    status: Status | None = None
    who: Who | None = None
    lost: bool = False
    demo: bool = False
    """Whether there is another demo station to carry on at."""
    item: object | None = None
    draft: Draft = field(default_factory=Draft)
    marked: Sequence[object] = ()
    """The rows of the list that are marked."""


Allowed = Callable[[Context], str]


def always(context: Context) -> str:
    return ""


def known(context: Context) -> str:
    """For what takes a log-in: on an open station there is none."""
    if context.who is None:
        return "nobody is logged in"
    return "the station is open: nobody logs in" if context.who.open else ""


def reachable(context: Context) -> str:
    return "the station does not answer" if context.lost or context.status is None else ""


@dataclass(frozen=True)
class May:
    """`rule`, after: the station answers, and its policy lets this account do `act`."""

    act: str
    rule: Allowed

    def __call__(self, context: Context) -> str:
        return self.denied(context) or self.rule(context)

    def denied(self, context: Context) -> str:
        """Why this account may not, whatever is under the cursor."""
        reason = reachable(context)
        return reason if reason or context.who is None else context.who.denied.get(self.act, "")


def may(act: str, rule: Allowed = always) -> May:
    """See `May`."""
    return May(act, rule)


def may_see_recalls(rule: Allowed) -> Allowed:
    """`rule`, after: an auditor or a security officer asks."""
    policy, audit = may("policy"), may("audit")
    return lambda context: (policy(context) and audit(context)) or rule(context)


def reachable_then(rule: Allowed) -> Allowed:
    """`rule`, after: the station answers."""
    return lambda context: reachable(context) or rule(context)


@dataclass(frozen=True)
class Action:
    """`keys` are Textual key names, the first one is shown; `screens` empty means everywhere; a `hint` of 1 to 9
    puts it in the footer, lowest first."""

    name: str
    keys: tuple[str, ...]
    label: str
    help: str
    screens: tuple[str, ...] = ()
    allowed: Allowed = always
    hint: int = 0

    def on(self, screen: str) -> bool:
        """Whether the action belongs to a screen."""
        return not self.screens or screen in self.screens

    def elsewhere(self, context: Context) -> str:
        """Why it could not be done on its own screen either, as far as the account alone decides that."""
        return self.allowed.denied(context) if isinstance(self.allowed, May) else ""

    def offered(self, context: Context) -> bool:
        """Whether the palette lists it: all but itself, and what only the demo has."""
        return self.name != "palette" and (self.name != "swap" or context.demo)
