"""What a guide is made of: steps with their state, what to do, and the summary at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final

from appliance.api.bundles import Medium, OutgoingBundle
from appliance.api.intake import IntakeEntry
from appliance.api.jobs import Job
from appliance.api.people import Account, Who
from appliance.api.status import Status
from appliance.api.trust import OwnKey, TrustedKey
from tui.guides.new_bundle import Draft
from tui.station.troubles import Trouble


@dataclass(frozen=True)
class Step:
    """`role` of `tui.terminal.look`; `act` names what enter does: an action, or a thing to open as `kind:reference`.
    `in_lines` takes the place of a text that names keys which the plain console has not."""

    role: str
    name: str
    text: str
    act: str = ""
    in_lines: str = ""


@dataclass(frozen=True)
class SettingUp:
    """`accounts` is None where this account may not see them; `imported` whether any bundle ever came."""

    who: Who
    accounts: Sequence[Account] | None
    own: Sequence[OwnKey]
    pinned: Sequence[TrustedKey]
    sent: Sequence[OutgoingBundle]
    imported: bool


@dataclass(frozen=True)
class GuideFacts:
    """All that a guide looks at."""

    status: Status
    draft: Draft = field(default_factory=Draft)
    jobs: Sequence[Job] = ()
    intake: Sequence[IntakeEntry] = ()
    media: Sequence[Medium] = ()
    troubles: Sequence[Trouble] = ()
    intake_hidden: bool = False
    """Whether this account may not see the quarantine: nothing is said of it then."""
    setting_up: SettingUp | None = None
    """What only the guide of a new station looks at."""


TITLES: Final = {
    "carry_out": "Carry out",
    "bring_in": "Bring in",
    "recover": "Recover",
    "first_run": "Set up",
}

ABOUT: Final = {
    "carry_out": "Put artifacts on a medium, signed, for another site.",
    "bring_in": "Verify what came on a medium, look at it, approve, release.",
    "recover": "What failed, was refused or is missing, and what to do about it.",
    "first_run": "A new station: people, keys, trust, then the first bundle.",
}


def next_index(steps: Sequence[Step]) -> int:
    """The step to do next: the first that waits for a person, else the first that is not done."""
    for roles in (("need", "bad"), ("busy",), ("wait",)):
        for index, step in enumerate(steps):
            if step.role in roles:
                return index
    return max(len(steps) - 1, 0)


def steps_of(guide: str, facts: GuideFacts) -> list[Step]:
    """The steps of a guide by its name, as they stand."""
    steps: list[Step] = import_module(f"tui.guides.{guide}").steps(facts)
    return steps


def latest(jobs: Sequence[Job], kind: str) -> Job | None:
    """The newest job of a kind; the station lists newest first."""
    return next((job for job in jobs if job.kind == kind), None)
