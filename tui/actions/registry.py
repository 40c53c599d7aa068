"""The one registry of actions: it feeds the keys, the command palette, the footer and the help.

An action is carried out by the method `do_<name>` of the screen that is shown, or of the application. `allowed` says
why it cannot be done now, in words for the person at the keyboard; the empty text means that it can.
"""

from __future__ import annotations

from typing import Final

from appliance.api.content import Artifact, Tag
from appliance.api.intake import EntrySummary
from appliance.api.jobs import Job
from appliance.api.states import DECIDABLE, FINAL_STATES, WRONG_STATES
from tui.actions.action import Action, Context, known, may, reachable, reachable_then
from tui.actions.further_screens import LISTED, MORE
from tui.wording.job_results import opens

__all__ = ["ACTIONS", "BY_NAME", "ROOTS", "SCREENS", "TITLES", "Action", "Context", "place_of"]

SCREENS: Final = (
    "home",
    "repositories",
    "new_bundle",
    "intake",
    "jobs",
    "trust",
    "ledger",
    "guides",
    "more",
)
"""The screens of the keys 1 to 9, in that order."""

ROOTS: Final = (*SCREENS, "help", *(further.name for further in LISTED))
"""Screens that are about no one thing: they are made once and keep what they show."""

TITLES: Final = {
    "home": "Home",
    "repositories": "Repositories",
    "artifact": "Artifact",
    "new_bundle": "New bundle",
    "intake": "Intake",
    "intake_entry": "Intake",
    "jobs": "Jobs",
    "job": "Job",
    "trust": "Trust",
    "ledger": "Ledger",
    "guides": "Guides",
    "guide": "Guide",
    "more": "More",
    "help": "Help",
    **{further.name: further.title for further in MORE},
}


LEADS: Final = {
    "artifact": "repositories",
    "intake_entry": "intake",
    "report": "intake",
    "approval": "approvals",
    "job": "jobs",
    "guide": "guides",
    "key": "trust",
    "custody_record": "custody",
    "recall": "blocks",
    "signatures": "repositories",
    "layer": "repositories",
    "difference": "repositories",
}
"""From which list a screen that is about one thing is opened."""


def place_of(action: Action) -> str:
    """The list or screen on which an action is found; empty for one that is everywhere."""
    found = [screen for screen in action.screens if screen in ROOTS]
    return found[0] if found else LEADS[action.screens[0]] if action.screens else ""


def _has_step(context: Context) -> str:
    return "" if context.item is not None else "do the steps before it"


SIGNING: Final = "signing"
"""The item of a job's screen while media are checked for a co-signature."""


def _openable(context: Context) -> str:
    if context.item is None:
        return "nothing is selected"
    if context.item == SIGNING:
        return "the media are being checked"
    if context.screen == "job" and isinstance(context.item, Job):
        return "" if opens(context.item)[0] else "there is nothing to open yet"
    return ""


def _pickable(context: Context) -> str:
    return "" if isinstance(context.item, Tag | Artifact) else "choose a tag first"


def _plannable(context: Context) -> str:
    return context.draft.missing_for_plan()


def _buildable(context: Context) -> str:
    return context.draft.missing_for_build()


def _chosen(context: Context) -> str:
    return "" if context.item is not None else "choose a bundle first"


def _approvable(context: Context) -> str:
    item = context.item
    if not isinstance(item, EntrySummary):
        return "choose a bundle first"
    match item.state:
        case "quarantined" | "withdrawn":
            return ""
        case "receiving":
            return "volumes are still to come: import the next medium first"
        case "approved":
            return "enough people have approved it: release it"
        case _:
            return f"it is {item.state}"


def _rejectable(context: Context) -> str:
    item = context.item
    if not isinstance(item, EntrySummary):
        return "choose a bundle first"
    return "" if item.state in DECIDABLE else f"it is {item.state}"


def _releasable(context: Context) -> str:
    item = context.item
    if not isinstance(item, EntrySummary):
        return "choose a bundle first"
    if item.state in ("quarantined", "withdrawn"):
        return f"{item.approvals} of {item.needed} approvals are given"
    return "" if item.state == "approved" else f"it is {item.state}"


def _withdrawable(context: Context) -> str:
    item = context.item
    if not isinstance(item, EntrySummary):
        return "choose a bundle first"
    return "" if item.state == "released" else f"it is {item.state}, and shown to nobody"


def _inspectable(context: Context) -> str:
    item = context.item
    if not isinstance(item, EntrySummary):
        return "choose a bundle first"
    return "" if item.state in DECIDABLE else f"it is {item.state}"


def _blockable(context: Context) -> str:
    return "" if isinstance(context.item, Artifact) else "the artifact is not here yet"


def _cancellable(context: Context) -> str:
    item = context.item
    if item == SIGNING:
        return ""
    if not isinstance(item, Job):
        return "choose a job first"
    return f"it is {item.state} already" if item.state in FINAL_STATES else ""


def _dismissable(context: Context) -> str:
    item = context.item
    jobs = [one for one in context.marked if isinstance(one, Job)]
    if any(job.state in WRONG_STATES and job.dismissed is None for job in jobs):
        return ""
    if isinstance(item, Job):
        if item.dismissed is not None:
            return "it is dismissed already"
        return "" if item.state in WRONG_STATES else f"it is {item.state}: nothing went wrong"
    return "" if getattr(item, "ids", ()) else "choose what was refused, failed or is incomplete"


def _signable(context: Context) -> str:
    item = context.item
    if not isinstance(item, Job):
        return "choose a job first"
    return "" if item.state == "to-sign" else "it waits for no signature"


def _not_home(context: Context) -> str:
    return "this is the first screen" if context.screen == "home" else ""


def _cosignable(context: Context) -> str:
    result = context.item.result if isinstance(context.item, Job) else None
    return "" if result and result.get("missing_signers") else "no signature is missing"


DEMO_ALONE: Final = frozenset({"swap"})
"""Actions that only the demo has; a station's help does not name them."""


def _in_demo(context: Context) -> str:
    return "" if context.demo else "only in the demo"


_LISTS: Final = (
    *("home", "repositories", "artifact", "intake", "jobs", "job", "trust", "ledger", "guides", "more"),
    *(further.name for further in MORE if further.opens),
)
_FILTERED: Final = (
    *("repositories", "artifact", "intake", "jobs", "trust", "ledger", "help"),
    *(further.name for further in MORE if further.filters),
)
_SORTED: Final = (
    *("repositories", "artifact", "intake", "jobs", "trust", "ledger", "accounts", "approvals", "audit", "blocks"),
    *("bundles", "custody", "deltas", "layer", "media", "sites", "transfers"),
)
"""Screens with tables: their columns can be chosen and sorted, and their rows marked."""
_MARKED: Final = tuple(screen for screen in _SORTED if screen not in ("repositories", "artifact"))
"""Where space marks a row; on the other two it picks for the next bundle."""
_MARKED_MANY: Final = (*_MARKED, "repositories")
_LANDING: Final = ("intake", "home", "media")
_PARTLY: Final = ("intake", "intake_entry")
_BEFORE_IT: Final = ("intake_entry", "approvals", "approval", "guide")
_BUNDLES: Final = ("intake", "intake_entry", "approvals", "approval")
_DECIDED_ON: Final = (*_BUNDLES, "report")
_JOBS: Final = ("jobs", "job")

ACTIONS: Final[tuple[Action, ...]] = (
    Action("home", ("1",), "Home", "the station at a glance, and what to do next"),
    Action("repositories", ("2",), "Repositories", "what the store holds, by repository and tag"),
    Action("new_bundle", ("3",), "New bundle", "pick artifacts, plan, sign and write a bundle"),
    Action("intake", ("4",), "Intake", "what was carried in: verify, approve, release"),
    Action("jobs", ("5",), "Jobs", "what runs, what waits, what ended"),
    Action("trust", ("6",), "Trust", "pinned keys: owners, purposes, fingerprints"),
    Action("ledger", ("7",), "Ledger", "streams, and what came when"),
    Action("guides", ("8",), "Guides", "carry out, bring in and recover, step by step"),
    Action("more", ("9",), "More", "further screens, each by its name"),
    Action("help", ("question_mark",), "Help", "keys, marks and words", hint=8),
    Action("open", ("enter",), "Open", "open what the cursor is on", _LISTS, _openable, hint=1),
    Action("change", ("enter",), "Change", "change the field the cursor is on", ("new_bundle",), hint=1),
    Action("step", ("enter",), "Go to this step", "do the step the cursor is on", ("guide",), _has_step, hint=1),
    Action("next_pane", ("tab",), "Next pane", "go to the other pane of this screen"),
    Action("filter", ("slash",), "Filter", "show only rows that hold a text", _FILTERED, hint=5),
    Action("sort", ("S",), "Sort", "sort the list by a column, or turn its order round", _SORTED),
    Action("columns", ("C",), "Columns", "choose the columns of the list", _SORTED),
    Action("mark", ("space",), "Mark", "mark the row, or unmark it: y copies all marked", _MARKED),
    Action("mark_range", ("V",), "Mark to here", "mark from the last marked row to this one", _MARKED_MANY),
    Action("mark_all", ("A",), "Mark all", "mark all rows that are shown, or none", _MARKED_MANY),
    Action("jump", ("g",), "Jump", "go to anything by a part of its name or digest", (), reachable, hint=6),
    Action("palette", ("colon",), "Palette", "every action by name, or why it is not allowed", hint=7),
    Action("pick", ("space",), "Pick", "put it into the next bundle, or take it out",
           ("repositories", "artifact"), _pickable, hint=2),
    Action("tree", ("t",), "Tree", "the artifact as a tree: platforms, layers, referrers", ("artifact",), hint=3),
    Action("components", ("b",), "SBOM", "the components of its bill of materials", ("artifact",), hint=3),
    Action("manifest", ("m",), "Manifest", "the manifest, a value a line", ("artifact",), hint=4),
    Action("compare", ("d",), "Difference", "compare it with another tag: layers, packages", ("artifact",), hint=5),
    Action("config", ("c",), "Configuration", "the image's configuration, a value a line", ("artifact",)),
    Action("plan", ("p",), "Plan", "work out volumes and bytes; nothing is written", ("new_bundle",),
           may("build", _plannable), hint=2),
    Action("build", ("b",), "Build", "lay out, hash, sign and write it as planned", ("new_bundle",),
           may("build", _buildable), hint=3),
    Action("clear", ("x",), "Start over", "empty the form of the new bundle", ("new_bundle",), hint=4),
    Action("bring_in", ("i",), "Import", "verify a bundle into quarantine", _LANDING,
           may("import"), hint=2),
    Action("import_next", ("i",), "Import", "verify the next medium, or another bundle", _BEFORE_IT, may("import")),
    Action("approve", ("a",), "Approve", "sign for the bundle and its report", _DECIDED_ON, may("approve", _approvable),
           hint=3),
    Action("release", ("e",), "Release", "make the approved content visible to clients", _DECIDED_ON,
           may("release", _releasable), hint=3),
    Action("release_part", ("E",), "Release part", "make only some of its artifacts visible", _DECIDED_ON,
           may("release", _releasable)),
    Action("import_part", ("p",), "Import part", "take in what is whole without volumes that are lost", _PARTLY,
           may("import")),
    Action("reject", ("x",), "Reject", "sign a refusal, with the reason", _DECIDED_ON,
           may("reject", _rejectable),
           hint=4),
    Action("withdraw", ("u",), "Withdraw", "take back what it made visible, with the reason",
           ("intake", "intake_entry", "report"), may("withdraw", _withdrawable)),
    Action("inspect", ("v",), "Inspect", "make its report anew; older approvals are then void", _DECIDED_ON,
           may("quarantine", _inspectable)),
    Action("block", ("x",), "Block", "show it to nobody, in any repository, from now on", ("artifact",),
           may("policy", _blockable)),
    Action("maintain", ("m",), "Maintain", "take away what nothing shows, or read every blob", ("jobs",),
           may("operate")),
    Action("report", ("o",), "Report", "what this station found in the bundle",
           _BUNDLES, _chosen, hint=2),
    Action("cancel", ("c",), "Cancel", "stop the job; nothing of it stays visible", _JOBS,
           may("cancel", _cancellable), hint=3),
    Action("dismiss", ("d",), "Dismiss", "somebody has looked into what went wrong", ("home", *_JOBS),
           reachable_then(_dismissable), hint=5),
    Action("cosign", ("o",), "Co-sign", "put your signature onto written media", ("job",), _cosignable, hint=2),
    Action("sign", ("n",), "Sign", "sign what the job waits for", _JOBS, may("sign", _signable), hint=2),
    Action("copy", ("y",), "Copy", "copy the name or digest to the clipboard"),
    Action("save", ("s",), "Save", "write what this screen shows to a text file"),
    Action("refresh", ("r",), "Refresh", "ask the station again"),
    Action("redraw", ("ctrl+l",), "Redraw", "paint the whole screen again"),
    Action("swap", ("w",), "Other side", "carry on at the demo's other station", (), _in_demo),
    Action("lock", ("L",), "Lock", "hide the screen until you log in again", (), known),
    Action("log_out", ("O",), "Log out", "end the log-in; another person may begin", (), known),
    Action("password", ("P",), "Password", "set another password of your own", (), known),
    Action("back", ("escape",), "Back", "close what is open, or go back", (), _not_home, hint=9),
    Action("quit", ("q", "ctrl+c"), "Quit", "leave the console; jobs go on", hint=9),
    *(Action(further.name, (), further.title, further.about) for further in LISTED),
    *(action for further in MORE for action in further.actions),
)  # fmt: skip

BY_NAME: Final = {action.name: action for action in ACTIONS}
