"""`lockgate user`: accounts of people and robots, and who one is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from appliance.audit.acts import Act
from appliance.cli.people.make import make_account
from appliance.cli.people.user_pending import cancel, confirm, credential_line, pending, report
from appliance.cli.people.user_review import review
from appliance.cli.shared.context import (
    call,
    folder_option,
    json_option,
    read_passphrase,
    show,
    station_option,
    station_root,
    table,
)
from appliance.cli.shared.pages import whole_list
from appliance.limits import station as limits
from bundles.io.display import safe

if TYPE_CHECKING:
    from appliance.control.client import ControlClient


def password_option(command: Any) -> Any:
    """`--password-fd N` as `password_fd: int | None`."""
    return click.option(
        "--password-fd", type=int, metavar="N", help="Read the password from descriptor N, up to a newline."
    )(command)


def read_password(password_fd: int | None, prompt: str, *, confirm: bool = False, option: str = "--password-fd") -> str:
    """A password from the descriptor that `option` named, or typed. Raises UsageError."""
    from bundles.errors import UsageError

    try:
        return read_passphrase(password_fd, prompt, confirm=confirm, option=option, what="password").decode()
    except UnicodeDecodeError:
        raise UsageError("a password is UTF-8 text", thing=prompt, remedy="type it again") from None


def path_of(name: str, what: str = "") -> str:
    """An account's path in the control API."""
    return f"/v1/accounts/{quote(name, safe='')}{what}"


def change(root: Path | None, name: str, what: str, as_json: bool, line: str, **body: object) -> None:
    """A change of an account, and a line about it. Raises IncompleteError where it waits for a second person."""
    document = call(root, lambda client: client.post(path_of(name, f"/{what}"), body))
    report(document, as_json, line)


@click.group()
def user() -> None:
    """Accounts: create, list, show, password, enable, disable, bind; log in and out; confirm what waits; review."""


for command in (pending, confirm, cancel, review):
    user.add_command(command)


@user.command()
@click.argument("name")
@click.option("--full-name", default="", metavar="TEXT", help="Whose account it is.")
@click.option("--code-fd", type=int, metavar="N", help="Read the one-time code from descriptor N, up to a newline.")
@password_option
@folder_option
@json_option
def claim(
    root: Path | None, name: str, full_name: str, code_fd: int | None, password_fd: int | None, as_json: bool
) -> None:
    """Make the first administrator, with the one-time code that `lockgate init` showed. The station must not run."""
    from appliance.cli.shared.first_steps import FirstSteps
    from appliance.store.reads.accounts import check_name

    station = station_root(root)
    check_name(name)
    _require_accounts(station)
    steps = FirstSteps(station)
    steps.require(name)
    code = read_passphrase(code_fd, "One-time code", option="--code-fd", what="one-time code")
    password = read_password(password_fd, f"New password of {name}", confirm=True)
    steps.claim(name, full_name, code.decode("utf-8", "replace"), password)
    document = {"name": name, "role": "administrator"}
    show(document, as_json, lambda: f"{name} is administrator\nstart the station with: lockgate serve -C {station}")


def _require_accounts(station: Path) -> None:
    from appliance.half_closed import require_accounts
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config

    paths = StationPaths(station)
    require_accounts(paths, load_config(paths.config))


@user.command()
@folder_option
@json_option
def code(root: Path | None, as_json: bool) -> None:
    """Make a new one-time code for the first administrator. The station must not run, and must have none yet."""
    from appliance.access.first_administrator import make_code, require_code
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from appliance.station import station_lock

    station = station_root(root)
    paths = StationPaths(station)
    _require_accounts(station)
    with station_lock(paths), recorded(station, Act.ACCOUNT_CODE, station.name, {}):
        require_code(paths)
        made = make_code(paths)
    show({"code": made}, as_json, lambda: f"one-time code {made}")


@user.command()
@click.argument("name")
@password_option
@click.option("--secret-fd", type=int, metavar="N", help="Read a robot's secret from descriptor N, up to a newline.")
@folder_option
@json_option
def login(root: Path | None, name: str, password_fd: int | None, secret_fd: int | None, as_json: bool) -> None:
    """Be that person or robot in the commands that follow, until `user logout` or fifteen silent minutes.

    A robot logs in with its secret: from --secret-fd, or as the systemd credential `lockgate.NAME`.
    """
    from appliance.cli.shared.sessions import keep_session
    from appliance.store.reads.accounts import ROBOT
    from bundles.errors import UsageError

    station = station_root(root)
    is_robot = name.startswith(ROBOT)
    if (password_fd if is_robot else secret_fd) is not None:
        remedy = "give its secret with --secret-fd N" if is_robot else "give the password with --password-fd N"
        raise UsageError("a robot has a secret, and a person a password", thing=name, remedy=remedy)
    if is_robot:
        read = read_passphrase(secret_fd, f"Secret of {name}", name=name, option="--secret-fd", what="secret")
        password = read.decode("utf-8", "replace")
    else:
        password = read_password(password_fd, f"Password of {name}")

    async def ask(client: ControlClient) -> dict[str, Any]:
        client.session = None
        answer = await client.log_in(name, password, "robot" if is_robot else "person")
        keep_session(station, str(client.session))
        return answer

    document = call(root, ask)
    show(document, as_json, lambda: _who(document))


@user.command()
@folder_option
@json_option
def logout(root: Path | None, as_json: bool) -> None:
    """End the log-in of this command line."""
    from appliance.cli.shared.sessions import forget_session, kept_session
    from bundles.errors import RefusedError

    station = station_root(root)
    if kept_session(station) is not None:
        try:
            call(root, lambda client: client.log_out())
        except RefusedError:  # it was over already
            pass
        finally:
            forget_session(station)
    show({}, as_json, lambda: "logged out")


@user.command()
@station_option
@json_option
def whoami(root: Path | None, as_json: bool) -> None:
    """Who this command line is to the station, and what they may."""
    document = call(root, lambda client: client.who())
    show(document, as_json, lambda: _who(document))


def _who(document: dict[str, Any]) -> str:
    held = ", ".join(f"{entry['role']} on {entry['pattern']}" for entry in document["roles"])
    nothing = "all: the station is open" if document["open"] else "none"
    lines = [f"account  {safe(document['account'])}", f"roles    {held or nothing}"]
    return "\n".join([*lines, f"may      {', '.join(document['permissions']) or 'nothing'}"])


@user.command()
@click.argument("name")
@click.option("--full-name", default="", metavar="TEXT", help="Whose account it is.")
@click.option(
    "--uid", type=click.IntRange(0, limits.UID_MOST), metavar="UID", help="The system account that calls for it."
)
@click.option("--role", metavar="ROLE", help="A role to grant at once, on everything: lockgate role list.")
@click.option("--key", metavar="KEYID|FILE", help="A pinned key that is theirs, by its id or its public half.")
@password_option
@station_option
@json_option
def create(
    root: Path | None,
    name: str,
    full_name: str,
    uid: int | None,
    role: str | None,
    key: str | None,
    password_fd: int | None,
    as_json: bool,
) -> None:
    """Make a person's account, with a role and a key where they are named. Robots: `lockgate token create`.

    It is what `user create`, `user bind-key` and `role grant` do one after the other: three acts, each of which may be
    refused or wait for a second person (exit status 4) while those before it stand.
    """
    from appliance.access.passwords import check_password
    from appliance.permissions import check_role
    from appliance.store.reads.accounts import check_name
    from bundles.errors import LockgateError

    station_root(root)
    check_name(name)
    if role is not None:
        check_role(role)
    keyid = None if key is None else _keyid_of(key)
    password = check_password(read_password(password_fd, f"Password of {name}", confirm=True))
    body = {"name": name, "full_name": full_name, "uid": uid, "password": password}

    async def ask(client: ControlClient) -> dict[str, Any]:
        document = await make_account(client, body)
        try:
            if keyid is not None:
                document = await client.post(path_of(name, "/bind-key"), {"keyid": keyid})
            if role is not None and "waits" not in document:
                document = await client.post(path_of(name, "/grant"), {"role": role, "pattern": "**"})
        except LockgateError as error:
            error.what = f"{name} was made, and not all of what it was to have: {error.what}"
            raise
        return document

    document = call(root, ask)
    lines = [f"made {name}" if role is None else f"made {name}, {role}"]
    lines += [f"{keyid} stands for {name}"] if keyid is not None else []
    lines += [f"give it a role with: lockgate role grant {name} ROLE"] if role is None else []
    report(document, as_json, "\n".join(lines))


def _keyid_of(text: str) -> str:
    """A key's id, given as it is or by the file of its public half. Raises UsageError, MalformedError."""
    from bundles.errors import LockgateError, UsageError
    from bundles.signing.keys import check_keyid, load_public

    if Path(text).is_file():
        return load_public(Path(text)).keyid
    try:
        return check_keyid(text)
    except LockgateError:
        raise UsageError(
            "neither a file nor a key's id", thing=text[:280],
            remedy="give the path of its public half, or 16 lower-case hex digits (see: lockgate key list)",
        ) from None  # fmt: skip


@user.command("list")
@click.option("--filter", "text", default="", metavar="TEXT", help="Those whose name contains it.")
@station_option
@json_option
def list_(root: Path | None, text: str, as_json: bool) -> None:
    """The accounts, with their roles and state."""
    found = whole_list(root, "/v1/accounts", filter=text)["items"]
    rows = [
        (entry["name"], entry["kind"], entry["full_name"], entry["origin"], _roles(entry), _state(entry))
        for entry in found
    ]
    show({"items": found}, as_json, lambda: table(rows, ("ACCOUNT", "KIND", "WHO", "PROVED BY", "ROLES", "STATE")))


def _roles(entry: dict[str, Any]) -> str:
    held = (f"{role['role']}" + ("" if role["pattern"] == "**" else f" {role['pattern']}") for role in entry["roles"])
    return ", ".join(held) or "-"


def _state(entry: dict[str, Any]) -> str:
    if entry["disabled"]:
        return f"[!!] disabled {entry['disabled']}"
    return f"[!!] locked until {entry['locked_until']}" if entry["locked_until"] else "[ok]"


@user.command("show")
@click.argument("name")
@station_option
@json_option
def show_(root: Path | None, name: str, as_json: bool) -> None:
    """An account: roles, keys, the system account it stands for, its state."""
    document = call(root, lambda client: client.get(path_of(name)))

    def text() -> str:
        fields = [
            ("account", document["name"]), ("kind", document["kind"]), ("who", document["full_name"] or "-"),
            ("by", document["origin"]),
            ("roles", _roles(document)), ("keys", ", ".join(document["keys"]) or "-"),
            ("uid", "-" if document["uid"] is None else str(document["uid"])), ("state", _state(document)),
            ("created", document["created"]), ("seen", document["seen"] or "never"),
        ]  # fmt: skip
        lines = [f"{name:<8} {safe(value)}" for name, value in fields]
        return "\n".join([*lines, *(credential_line(one) for one in document["credentials"])])

    show(document, as_json, text)


@user.command()
@click.argument("name")
@click.option("--old-fd", type=int, metavar="N", help="Read the old password from descriptor N, for one's own.")
@password_option
@station_option
@json_option
def password(root: Path | None, name: str, old_fd: int | None, password_fd: int | None, as_json: bool) -> None:
    """Set a password: one's own with the old one, an administrator anybody's. Tokens made before are void."""
    from appliance.access.passwords import check_password

    me = call(root, lambda client: client.who())["account"]
    body = {"old": read_password(old_fd, "Old password", option="--old-fd")} if me == name else {}
    body["password"] = check_password(read_password(password_fd, f"New password of {name}", confirm=True))
    document = call(root, lambda client: client.post(path_of(name, "/password"), body))
    report(document, as_json, f"the password of {name} is set; log in again where it was used")


@user.command()
@click.argument("name")
@station_option
@json_option
def disable(root: Path | None, name: str, as_json: bool) -> None:
    """Shut an account out at once, with every token it has."""
    change(root, name, "disable", as_json, f"{name} is disabled")


@user.command()
@click.argument("name")
@station_option
@json_option
def enable(root: Path | None, name: str, as_json: bool) -> None:
    """Let an account in again; unlocks it too."""
    change(root, name, "enable", as_json, f"{name} may log in")


@user.command()
@click.argument("name")
@click.option(
    "--uid",
    type=click.IntRange(0, limits.UID_MOST),
    metavar="UID",
    help="The system account; without it, none any more.",
)
@station_option
@json_option
def bind(root: Path | None, name: str, uid: int | None, as_json: bool) -> None:
    """Let a system account call for this account through the control socket."""
    line = f"{name} is nobody's system account" if uid is None else f"uid {uid} calls for {name}"
    change(root, name, "uid", as_json, line, uid=uid)


@user.command("bind-key")
@click.argument("name")
@click.argument("key", metavar="KEYID|FILE")
@station_option
@json_option
def bind_key(root: Path | None, name: str, key: str, as_json: bool) -> None:
    """Say that a key's approvals are this person's: a pinned key, by its id or its public half."""
    keyid = _keyid_of(key)
    change(root, name, "bind-key", as_json, f"{keyid} stands for {name}", keyid=keyid)


@user.command("unbind-key")
@click.argument("name")
@click.argument("key", metavar="KEYID|FILE")
@station_option
@json_option
def unbind_key(root: Path | None, name: str, key: str, as_json: bool) -> None:
    """Say that a key stands for this person no more."""
    keyid = _keyid_of(key)
    change(root, name, "unbind-key", as_json, f"{keyid} stands for nobody", keyid=keyid)
