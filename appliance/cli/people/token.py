"""`lockgate token`: robots and their secrets, log-ins, and taking them away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from appliance.cli.people.make import make_account
from appliance.cli.people.user import change, path_of
from appliance.cli.shared.context import call, json_option, show, station_option, table
from bundles.io.display import safe

if TYPE_CHECKING:
    from appliance.control.client import ControlClient


@click.group()
def token() -> None:
    """Robots' secrets and people's log-ins: create, rotate, list, revoke."""


def _secret_line(document: dict[str, Any]) -> str:
    return f"{document['name']} until {document['expires']}; this is shown once:\n{document['secret']}"


@token.command()
@click.argument("name")
@click.option("--no-secret", is_flag=True, help="For workloads that log in with tokens of their own issuer.")
@click.option("--for", "full_name", default="", metavar="TEXT", help="What the robot is for.")
@click.option("--days", type=click.IntRange(0), metavar="N", help="Days its secret is good for (default 90).")
@station_option
@json_option
def create(root: Path | None, name: str, no_secret: bool, full_name: str, days: int | None, as_json: bool) -> None:
    """Make a robot, named robot-NAME, and show its secret: a client logs in with both. It has no roles yet."""
    from appliance.store.reads.accounts import check_name
    from bundles.errors import UsageError

    body: dict[str, Any] = {"kind": "robot", "name": check_name(name, robot=True), "full_name": full_name, "days": days}
    if no_secret:
        if days is not None:
            raise UsageError("--no-secret and --days together", thing=name, remedy="leave one of them out")
        body["secretless"] = True
    document = call(root, lambda client: make_account(client, body))
    show(document, as_json, lambda: f"made {name}, without a secret" if no_secret else _secret_line(document))


@token.command()
@click.argument("name")
@click.option("--days", type=click.IntRange(0), metavar="N", help="Days the new secret is good for (default 90).")
@click.option("--overlap", type=click.IntRange(0), metavar="HOURS", help="Hours the old one stays good (default 24).")
@station_option
@json_option
def rotate(root: Path | None, name: str, days: int | None, overlap: int | None, as_json: bool) -> None:
    """Give a robot a new secret; the old one stays good for a while, so that no client is caught between."""
    body: dict[str, Any] = {"days": days}
    if overlap is not None:
        body["overlap_seconds"] = overlap * 3600
    document = call(root, lambda client: client.post(path_of(name, "/secret"), body))
    show(document, as_json, lambda: _secret_line(document))


@token.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@station_option
@json_option
def renew(root: Path | None, name: str, file: Path, as_json: bool) -> None:
    """As a robot, take a new secret into FILE in the place of the one in it, once two thirds of its life are over.

    For a timer: it does nothing before. The old secret stays good for 24 hours; an interrupted one is begun again.
    """
    from appliance.store.reads.accounts import check_name
    from bundles import limits
    from bundles.io.files import read_small, write_atomic

    robot = check_name(name, robot=True)
    old = read_small(file, limits.KEY_FILE).split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8", "replace")
    mode = file.stat().st_mode & 0o600

    async def ask(client: ControlClient) -> dict[str, Any]:
        client.session = None
        await client.log_in(robot, old, "robot")
        try:
            answer: dict[str, Any] = await client.post("/v1/session/secret", {})
            if answer["secret"]:
                write_atomic(file, f"{answer['secret']}\n".encode(), mode)
        finally:
            await client.log_out()
        return answer

    document = call(root, ask)
    renewed = bool(document.pop("secret"))
    line = (
        f"{robot}: {file} has a new secret, good until {document['expires']}; the old one until {document['old_until']}"
    )
    before = f"{robot}: the secret is good until {document['expires']}, and renewed from {document['due']} on"
    show(document | {"renewed": renewed}, as_json, lambda: safe(line if renewed else before))


@token.command("list")
@click.argument("name")
@station_option
@json_option
def list_(root: Path | None, name: str, as_json: bool) -> None:
    """An account's secrets and log-ins."""
    document = call(root, lambda client: client.get(path_of(name, "/tokens")))
    fields = ("id", "kind", "client", "created", "expires", "state")
    rows = [tuple(entry[field] for field in fields) for entry in document["items"]]
    show(document, as_json, lambda: table(rows, tuple(field.upper() for field in fields)))


@token.command()
@click.argument("token_id", metavar="ID", required=False)
@click.option("--all-of", "account", metavar="ACCOUNT", help="Every log-in and token of this account.")
@station_option
@json_option
def revoke(root: Path | None, token_id: str | None, account: str | None, as_json: bool) -> None:
    """Void a secret or a log-in, by its id, with every token made with it; at once on every worker."""
    from bundles.errors import UsageError

    if (token_id is None) is (account is None):
        raise UsageError("name what to revoke", remedy="give ID, or --all-of ACCOUNT")
    if account is not None:
        change(root, account, "revoke", as_json, f"revoked every log-in of {account}")
        return
    if str(token_id).startswith("robot-"):
        said = f"all of it goes with --all-of {token_id}; see: lockgate token list {token_id}"
        raise UsageError("an account, and no token's id", thing=str(token_id), remedy=said)
    document = call(root, lambda client: client.post(f"/v1/tokens/{quote(str(token_id), safe='')}/revoke"))
    show(document, as_json, lambda: f"revoked {token_id}")
