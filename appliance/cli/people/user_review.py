"""`lockgate user review`: who may do what, since when, last seen when, and what is open to whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from appliance.cli.shared.context import call, json_option, show, station_option, table
from appliance.cli.shared.pages import whole_list
from bundles.io.display import safe

_PATH: Final = "/v1/access-review"
_CONCERNS: Final = {
    "never-used": "was made more than 90 days ago and never used",
    "unused": "was not used for 90 days",
    "no-roles": "holds no role",
    "disabled-with-roles": "is disabled and still holds roles",
    "writes-everywhere": "writes to every repository",
    "foreign-credential": "has a credential that another person set and nobody confirmed;"
    " see, as an administrator: lockgate user show {name}",
    "key-not-good": "has a key that does not count for releases here; see: lockgate key list",
    "no-good-secret": "is a robot without a secret that is good",
    "long-lived-secret": "has a secret that is good for more than half a year",
}
_EXPOSED: Final = {
    "open-station": "an open station: whoever reaches it may do everything",
    "listens-to-everybody": "the registry answers every address; [access] addresses narrows it",
    "metrics-for-everybody": "the metrics answer every address; [access] metrics_addresses narrows it",
    "anonymous-pull": "pulls without an account",
    "clients-push": "clients with the role write here, inside",
    "unapproved-cache": "content of an upstream that nobody approves is pulled here, inside",
    "workload-pattern": "workloads by a pattern of subjects; name them where they are few",
    "socket-group": "a system group that reaches the control socket",
}


@click.command()
@station_option
@json_option
def review(root: Path | None, as_json: bool) -> None:
    """Who may do what, since when, and when they were last seen; what to look at; and what is open to whom.

    For administrators and auditors. Times of roles are the audit log's. The exit status is 0 whatever is found.
    """
    exposure = call(root, lambda client: client.get(f"{_PATH}/exposure"))
    document = whole_list(root, _PATH)
    show(document | exposure, as_json, lambda: "\n".join(_lines(document["items"], exposure)))


def _lines(accounts: list[dict[str, Any]], exposure: dict[str, Any]) -> list[str]:
    rows = [row for one in accounts for row in _rows(one)]
    lines = [
        table(rows, ("ACCOUNT", "KIND", "PROVED BY", "ROLE", "ON", "SINCE", "LAST SEEN"))
        if rows
        else "there are no accounts"
    ]
    lines += [
        safe(f"[!!] {one['name']} {_CONCERNS.get(code, code).replace('{name}', one['name'])}")
        for one in accounts
        for code in one["concerns"]
    ]
    lines += [safe(f"[!!] {_EXPOSED.get(one['code'], one['code'])}: {one['thing']}") for one in exposure["exposed"]]
    return lines


def _rows(one: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each role, the account's own columns in the first alone."""
    kind = f"{one['kind']}, disabled" if one["disabled"] else one["kind"]
    roles = [(role["role"], role["pattern"], role["since"] or "not known") for role in one["roles"]] or [
        ("-", "-", "-")
    ]
    mine, seen = (one["name"], kind, one["origin"]), one["seen"] or "never"
    return [
        (*(mine if not number else ("", "", "")), *role, "" if number else seen) for number, role in enumerate(roles)
    ]
