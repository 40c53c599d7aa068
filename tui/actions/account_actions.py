"""What can be done on Accounts, Deltas, Transfers and Replication, and what may stand in its way."""

from __future__ import annotations

from typing import Final

from appliance.api.jobs import Job
from appliance.api.people import AccountChange
from appliance.api.transfers import Replica, ReplicaRepository, TransferHost
from tui.actions.action import Action, Context, may
from tui.wording.transfers import Lying

_ACCOUNTS: Final = ("accounts",)
_DELTAS: Final = ("deltas",)
_TRANSFERS: Final = ("transfers",)


def _chosen(context: Context) -> str:
    chosen = context.item is not None and not isinstance(context.item, AccountChange)
    return "" if chosen else "choose an account first"


def _waits(context: Context) -> str:
    return "" if isinstance(context.item, AccountChange) else "choose a waiting change first: tab leads to them"


def _is(context: Context, name: str, value: object, otherwise: str) -> str:
    return _chosen(context) or ("" if getattr(context.item, name, None) == value else otherwise)


def _person(context: Context) -> str:
    return _is(context, "kind", "person", "it is a robot")


def _robot(context: Context) -> str:
    return _is(context, "kind", "robot", "it is a person: p sets a password")


def _holds(context: Context) -> str:
    return _chosen(context) or ("" if getattr(context.item, "roles", ()) else "it holds no role")


def _bound(context: Context) -> str:
    return _chosen(context) or ("" if getattr(context.item, "keys", ()) else "no key is bound to it")


def _enabled(context: Context) -> str:
    return _is(context, "disabled", None, "it is disabled: e enables it")


def _shut_out(context: Context) -> str:
    shut = getattr(context.item, "disabled", None) or getattr(context.item, "locked_until", None)
    return _chosen(context) or ("" if shut else "it is neither disabled nor locked")


def _sent(context: Context) -> str:
    sent = getattr(context.item, "last_sequence", 0)
    return "" if sent else "choose a stream that something was sent on"


def _host(context: Context) -> str:
    return "" if isinstance(context.item, TransferHost) else "choose a transfer host first (tab)"


def _lies(context: Context) -> str:
    lies = isinstance(context.item, Lying) and context.item.host and context.item.id
    return "" if lies else "choose a bundle that lies on a host first: l on the host finds it"


def _followed(context: Context) -> str:
    chosen = isinstance(context.item, Replica | ReplicaRepository)
    return "" if chosen else "choose a followed station first: config.toml names them"


def _goes(context: Context) -> str:
    if not isinstance(context.item, Job):
        return "choose a transfer first (tab)"
    return f"it is {context.item.state}" if context.item.final else ""


ACCOUNTS: Final = (
    Action("account_new", ("n",), "New", "make an account of a person or a robot", _ACCOUNTS, may("account"), hint=1),
    Action("change_confirm", ("c",), "Confirm", "confirm a waiting change, as a second person",
           _ACCOUNTS, may("status", _waits), hint=2),
    Action("change_cancel", ("z",), "Cancel", "cancel a waiting change", _ACCOUNTS, may("status", _waits), hint=3),
    Action("account_grant", ("a",), "Give role", "give a role on a pattern of repositories", _ACCOUNTS,
           may("account", _chosen), hint=2),
    Action("account_withdraw", ("x",), "Take role", "take a role away", _ACCOUNTS, may("account", _holds), hint=3),
    Action("account_explain", ("v",), "Explain", "what it may do in a repository, and why", _ACCOUNTS,
           may("account", _chosen), hint=4),
    Action("account_disable", ("d",), "Disable", "shut it out at once, with its tokens", _ACCOUNTS,
           may("account", _enabled), hint=5),
    Action("account_enable", ("e",), "Enable", "let it in again; unlocks it too", _ACCOUNTS,
           may("account", _shut_out), hint=5),
    Action("account_password", ("p",), "Set password", "give a person another password", _ACCOUNTS,
           may("account", _person)),
    Action("account_secret", ("o",), "New secret", "give a robot another secret, shown once", _ACCOUNTS,
           may("account", _robot)),
    Action("account_end", ("t",), "End log-ins", "take back every token it has now", _ACCOUNTS,
           may("account", _chosen)),
    Action("account_bind", ("b",), "Bind key", "say that a key's approvals are this person's", _ACCOUNTS,
           may("account", _person)),
    Action("account_unbind", ("u",), "Unbind key", "say that a key stands for them no more", _ACCOUNTS,
           may("account", _bound)),
)  # fmt: skip

DELTAS: Final = (
    Action("delta_void", ("v",), "Void", "say that the last bundle was lost on its way", _DELTAS,
           may("build", _sent), hint=2),
    Action("delta_receipt", ("e",), "Receipt", "write a receipt of what this station holds", _DELTAS, may("receipt"),
           hint=3),
    Action("delta_take", ("i",), "Take receipt", "record a receipt or want-list that came back", _DELTAS,
           may("receipt"), hint=3),
    Action("delta_build", ("n",), "New delta", "a bundle of only what is not known to be there",
           _DELTAS, may("build", _sent), hint=4),
)  # fmt: skip

TRANSFERS: Final = (
    Action("transfer_look", ("l",), "Look", "see what lies on the transfer host", _TRANSFERS, may("media", _host),
           hint=1),
    Action("transfer_push", ("p",), "Push", "send bundles to the transfer host", _TRANSFERS, may("media", _host),
           hint=2),
    Action("transfer_pull", ("u",), "Pull", "fetch a bundle that lies there into a folder", _TRANSFERS,
           may("media", _lies), hint=2),
    Action("transfer_cancel", ("c",), "Cancel", "stop the transfer; begun again it goes on", _TRANSFERS,
           may("cancel", _goes), hint=3),
)  # fmt: skip
REPLICATION: Final = (
    Action("replica_sync", ("c",), "Compare", "with the primary now, and take what differs", ("replication",),
           may("collect", _followed), hint=2),
)  # fmt: skip
