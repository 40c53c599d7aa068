"""`lockgate role`: who may do what, and why."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.people.user import change, path_of
from appliance.cli.shared.context import call, json_option, show, station_option, table


@click.group()
def role() -> None:
    """Roles: list, grant, withdraw, explain."""


@role.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The roles: what each gives, and what it rules out whatever else an account holds. The same on every station."""
    from appliance.api.states import ROLES
    from appliance.permissions import GIVES, PERMISSIONS, RULES_OUT

    document = {
        name: {
            "gives": [word for word in PERMISSIONS if word in GIVES[name]],
            "rules_out": [word for word in PERMISSIONS if word in RULES_OUT[name]],
        }
        for name in ROLES
    }
    rows = [(name, ", ".join(entry["gives"]), ", ".join(entry["rules_out"]) or "-") for name, entry in document.items()]
    show(document, as_json, lambda: table(rows, ("ROLE", "GIVES", "RULES OUT")))


@role.command()
@click.argument("account")
@click.argument("role_name", metavar="ROLE")
@click.option("--on", "pattern", default="**", show_default=True, metavar="PATTERN", help="Repositories it counts for.")
@station_option
@json_option
def grant(root: Path | None, account: str, role_name: str, pattern: str, as_json: bool) -> None:
    """Give an account a role on a pattern of repositories: team/app, team/* or **."""
    from appliance.api.states import ROLES
    from bundles.errors import UsageError

    if role_name not in ROLES and account in ROLES:
        remedy = f"write lockgate role grant {role_name} {account}"
        raise UsageError("the account stands before the role", thing=f"{account} {role_name}", remedy=remedy)
    line = f"{account} is {role_name} on {pattern}"
    change(root, account, "grant", as_json, line, role=role_name, pattern=pattern)


@role.command()
@click.argument("account")
@click.argument("role_name", metavar="ROLE")
@click.option("--on", "pattern", default="", metavar="PATTERN", help="This pattern alone (default: every one).")
@station_option
@json_option
def withdraw(root: Path | None, account: str, role_name: str, pattern: str, as_json: bool) -> None:
    """Take a role away. It counts at once, for tokens that are out too."""
    line = f"{account} is no {role_name}{f' on {pattern}' if pattern else ''} any more"
    change(root, account, "withdraw", as_json, line, role=role_name, pattern=pattern)


@role.command()
@click.argument("account")
@click.argument("repository", metavar="REPO")
@click.option("--from", "address", default="", metavar="ADDRESS", help="As if the account called from there.")
@station_option
@json_option
def explain(root: Path | None, account: str, repository: str, address: str, as_json: bool) -> None:
    """Say what an account may do with a repository and on the station, and why."""
    document = call(
        root, lambda client: client.get(path_of(account, "/explain"), repository=repository, address=address)
    )
    rows = [("yes" if entry["allowed"] else "no", entry["permission"], entry["why"]) for entry in document["items"]]
    show(document, as_json, lambda: table(rows, ("MAY", "PERMISSION", "WHY")))
