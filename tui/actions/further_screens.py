"""The further screens: what stands under key 9, beside the eight that have a key of their own.

To add a screen:

1. one file `tui/screens/<subject>/<name>.py` with a `StationScreen` (`name_of = "<name>"`); it asks the station with
   `self.ask(lambda station: station.fetch(SHAPE, "/v1/...", limit=200), self.show_it)` and changes something with
   `station.send(SHAPE, "/v1/...", body)`; its shapes are those of `appliance.api`;
2. one entry in `MORE` below, in the order of the alphabet: it is then in More, in the palette and in the jump, has a
   title, a place in the help, and a picture at 80x24 and 120x40 in the snapshot tests and in docs/screens;
3. one test file `tests/console/test_more_<name>.py` that presses each of its actions, on a real station where it asks
   or changes one; for its picture an answer of the test double `tests/console/doubles/<name>.py`, named in
   `doubles/further_screens.py`; then `pytest tests/console/test_snapshots.py -k <name> --snapshot-update` and
   `python -m tests.console.doubles.pictures docs/screens <name> more`.

A screen about one thing (of a bundle, of a key) has `listed=False` and is opened by `console_app.open_further(name,
reference)`. Actions of a screen's own are in its entry, with `may("<permission>", rule)` where the account needs one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.api.bundles import Site
from appliance.api.content import Artifact, Block
from appliance.api.promotion import Channel
from tui.actions.account_actions import ACCOUNTS, DELTAS, REPLICATION, TRANSFERS
from tui.actions.action import Action, Context, may, may_see_recalls
from tui.actions.trust_actions import TRUST
from tui.wording.bundles import Carried


@dataclass(frozen=True)
class Further:
    """A further screen: `screen` is its class in `tui.screens.<subject>.<name>`, `about` at most 53 characters. `opens`
    and `filters` give it the actions of these names; `under` names the screen in whose place of the tab row it belongs;
    `keys` lead from More to what its picture shows."""

    name: str
    subject: str
    screen: str
    title: str
    about: str
    listed: bool = True
    opens: bool = False
    filters: bool = False
    under: str = "more"
    actions: tuple[Action, ...] = ()
    keys: tuple[str, ...] = ()


READING: Final = "reading"
"""What actions on Verify are about while it reads."""


def _carried(context: Context) -> str:
    return "" if context.item is not None else "choose a bundle first"


def _cut(context: Context) -> str:
    if not isinstance(context.item, Carried):
        return "choose a bundle first"
    return "" if context.item.cut else "only a bundle that was signed here is cut again: tab leads to Outgoing"


def _reading(context: Context) -> str:
    return "" if context.item == READING else "nothing is being verified"


def _blocked(context: Context) -> str:
    return "" if isinstance(context.item, Block) else "choose a blocked digest first"


def _channel(context: Context) -> str:
    return "" if isinstance(context.item, Channel) else "choose a channel first"


def _content(context: Context) -> str:
    return "" if isinstance(context.item, Block | Artifact) else "choose content first"


def _listed(context: Context) -> str:
    if not isinstance(context.item, Site):
        return "choose a site first"
    return "" if context.item.listed else "it is on no list: its bundles make it known"


MORE: Final[tuple[Further, ...]] = (
    Further(
        "accounts",
        "people",
        "AccountsScreen",
        "Accounts",
        "people and robots: roles, keys, state",
        filters=True,
        actions=ACCOUNTS,
    ),
    Further(
        "approval",
        "intake",
        "ApprovalScreen",
        "Approval",
        "one bundle that waits for people",
        listed=False,
        opens=True,
        keys=("colon", *"approvals", "enter", "down", "enter"),
    ),
    Further(
        "approvals",
        "intake",
        "ApprovalsScreen",
        "Approvals",
        "what waits for people, and what a signature will do",
        opens=True,
        filters=True,
    ),
    Further(
        "audit",
        "record",
        "AuditScreen",
        "Audit",
        "who did what and when, and whether the record holds",
        filters=True,
        actions=(
            Action("narrow", ("f",), "Narrow", "by act, who, thing, outcome and time", ("audit",), hint=1),
            Action(
                "check_chain", ("c",), "Check chain", "look at every event of the log", ("audit",), may("audit"), hint=2
            ),
        ),
    ),
    Further(
        "blocks",
        "content",
        "BlocksScreen",
        "Blocked",
        "digests that are shown to nobody, and why",
        opens=True,
        filters=True,
        actions=(
            Action(
                "unblock", ("u",), "Unblock", "show it again where it was", ("blocks",), may("policy", _blocked), hint=2
            ),
            Action(
                "recall",
                ("R",),
                "Recall",
                "where it went, and who pulled it",
                ("blocks", "artifact"),
                may_see_recalls(_content),
                hint=6,
            ),
        ),
    ),
    Further(
        "bundles",
        "outgoing",
        "BundlesScreen",
        "Bundles",
        "what is carried out and in, and what comes next",
        opens=True,
        filters=True,
        actions=(
            Action(
                "recut",
                ("t",),
                "Recut",
                "write a lost medium again, byte for byte",
                ("bundles",),
                may("build", _cut),
                hint=3,
            ),
        ),
    ),
    Further(
        "certificates",
        "people",
        "CertificatesScreen",
        "Certificates",
        "what clients meet, until when, for which names",
        actions=(
            Action(
                "tls_reload",
                ("t",),
                "Take up",
                "let the station take up the files as they are",
                ("certificates",),
                may("operate"),
                hint=1,
            ),
        ),
    ),
    Further(
        "channels",
        "content",
        "ChannelsScreen",
        "Channels",
        "what stands in each stage, since when, by whom",
        opens=True,
        filters=True,
        actions=(
            Action(
                "promote",
                ("p",),
                "Promote",
                "to the next stage, where it passes the gates",
                ("channels",),
                may("push", _channel),
                hint=2,
            ),
            Action(
                "roll_back",
                ("b",),
                "Roll back",
                "to what was promoted there before",
                ("channels",),
                may("delete", _channel),
                hint=3,
            ),
        ),
    ),
    Further(
        "custody",
        "record",
        "CustodyScreen",
        "Custody",
        "through whose hands a bundle went, as a form",
        opens=True,
        filters=True,
        actions=(
            Action(
                "hand_over",
                ("h",),
                "Hand-over",
                "write down who gave a medium to whom, and its seal",
                ("custody", "custody_record"),
                may("custody", _carried),
                hint=2,
            ),
            Action(
                "page",
                ("p",),
                "HTML",
                "save the record as an HTML page to print",
                ("custody_record",),
                _carried,
                hint=3,
            ),
        ),
    ),
    Further(
        "custody_record",
        "record",
        "CustodyRecordScreen",
        "Record",
        "one bundle's custody record",
        listed=False,
        keys=("colon", *"custody", "enter", *("down",) * 6, "enter"),
    ),
    Further(
        "deltas",
        "outgoing",
        "DeltasScreen",
        "Deltas",
        "what each inside is known to hold, since when",
        actions=DELTAS,
    ),
    Further(
        "difference",
        "content",
        "DifferenceScreen",
        "Difference",
        "what is different between two artifacts",
        listed=False,
        filters=True,
        under="repositories",
        keys=("2", "enter", "down", "enter", "d", "enter"),
    ),
    Further(
        "key",
        "trust",
        "KeyScreen",
        "Key",
        "a pinned key, and what stands on it",
        listed=False,
        under="trust",
        keys=("6", "enter"),
        actions=TRUST,
    ),
    Further(
        "layer",
        "content",
        "LayerScreen",
        "Layer",
        "the files in a layer of an image",
        listed=False,
        filters=True,
        under="repositories",
        keys=("2", "enter", "down", "enter", "down", "enter", "down", "down", "enter"),
    ),
    Further("media", "outgoing", "MediaScreen", "Media", "what is plugged in, and the bundles on it"),
    Further(
        "period",
        "record",
        "PeriodScreen",
        "Period report",
        "what a week, a month or a quarter came to",
        actions=(
            Action("period", ("p",), "Period", "a week, a month or a quarter", ("period",), may("audit"), hint=1),
        ),
    ),
    Further(
        "policy",
        "content",
        "PolicyScreen",
        "Policy",
        "what the policy for images says of an artifact",
        listed=False,
        under="repositories",
        keys=("2", "enter", "down", "enter", "e"),
        actions=(
            Action(
                "policy",
                ("e",),
                "Policy",
                "what the policy asks of it, and what is lacking",
                ("artifact", "signatures"),
                hint=3,
            ),
        ),
    ),
    Further(
        "recall",
        "content",
        "RecallScreen",
        "Recall",
        "where something went, and who pulled it",
        listed=False,
        keys=("colon", *"blocked", "enter", "R"),
    ),
    Further(
        "replication",
        "outgoing",
        "ReplicationScreen",
        "Replication",
        "stations that are followed: lag, and what waits",
        opens=True,
        filters=True,
        actions=REPLICATION,
    ),
    Further(
        "report",
        "intake",
        "ReportScreen",
        "Report",
        "what this station found in a bundle; signed here",
        listed=False,
        opens=True,
        filters=True,
        under="intake",
        keys=("4", "enter", "o"),
        actions=(Action("unfold", ("t",), "Unfold", "open what is folded, or fold it again", ("report",), hint=5),),
    ),
    Further(
        "requests",
        "record",
        "RequestsScreen",
        "Requests",
        "what the registry answers now, by repository",
        filters=True,
    ),
    Further(
        "signatures",
        "content",
        "SignaturesScreen",
        "Signatures",
        "who signed an artifact, and whether it counts here",
        listed=False,
        under="repositories",
        keys=("2", "enter", "down", "enter", "o"),
        actions=(
            Action(
                "signatures",
                ("o",),
                "Signatures",
                "who signed it, and whether that counts here",
                ("artifact",),
            ),
            Action(
                "sign_image",
                ("n",),
                "Sign image",
                "sign it with your key, and show that beside it",
                ("signatures",),
                hint=2,
            ),
        ),
    ),
    Further(
        "sites",
        "outgoing",
        "SitesScreen",
        "Sites",
        "known destinations, and receipts given and taken",
        actions=(
            Action("site_add", ("n",), "List a site", "make a destination known", ("sites",), may("build"), hint=1),
            Action(
                "site_remove", ("u",), "Unlist", "take a site off the list", ("sites",), may("build", _listed), hint=2
            ),
        ),
    ),
    Further(
        "transfers",
        "outgoing",
        "TransfersScreen",
        "Transfers",
        "bundles by SFTP: hosts, what lies there, how fast",
        opens=True,
        filters=True,
        actions=TRANSFERS,
    ),
    Further(
        "verify",
        "trust",
        "VerifyScreen",
        "Verify",
        "check a bundle without taking anything in",
        keys=("v", "enter"),
        actions=(
            Action("check", ("v",), "Verify", "choose a medium or a folder, and verify it", ("verify",), hint=1),
            Action("stop", ("c",), "Stop", "stop verifying", ("verify",), _reading, hint=3),
        ),
    ),
)

LISTED: Final = tuple(further for further in MORE if further.listed)
BY_SCREEN: Final = {further.name: further for further in MORE}
