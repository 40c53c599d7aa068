"""What commands share: the station's folder, JSON, keys, calling the station, and following a job."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from bundles.errors import FailedError, LockgateError, NotFoundError, UsageError
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.control.client import ControlClient
    from bundles.signing.keys import PrivateKey

Answer = TypeVar("Answer")
Command = TypeVar("Command", bound=Callable[..., Any])
MB: Final = 1_000_000
_USER: Final = "lockgate.user"
"""Where a command's context keeps what `--user` said."""
_SESSION: Final = "lockgate.session"
"""And the log-in that was made for it."""


def station_option(command: Command) -> Command:
    """`-C DIR` as `folder_option`, and `--user NAME` for a command that asks the running station (`asking`)."""
    return folder_option(
        click.option(
            "--user", metavar="NAME", expose_value=False, callback=_remember_user,
            help="Log in as NAME for this command alone; asks for the password.",
        )(command)
    )  # fmt: skip


def _remember_user(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta[_USER] = value


def folder_option(command: Command) -> Command:
    """`-C DIR`, or LOCKGATE_DIR, as `root: Path | None`. Members of `socket_group` may enter it and not list it."""
    return click.option(
        "-C", "root", type=click.Path(path_type=Path, file_okay=False, readable=False), envvar="LOCKGATE_DIR",
        metavar="DIR", help="The station's folder (or LOCKGATE_DIR).",
    )(command)  # fmt: skip


def json_option(command: Command) -> Command:
    """`--json` as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def passphrase_option(command: Command) -> Command:
    """`--passphrase-fd N` as `passphrase_fd: int | None`."""
    return click.option(
        "--passphrase-fd", type=int, metavar="N", help="Read the passphrase from descriptor N, up to a newline."
    )(command)


def detach_option(command: Command) -> Command:
    """`--detach` as `detach: bool`."""
    return click.option("--detach", is_flag=True, help="Start the job and print its id; do not wait for it.")(command)


def station_root(root: Path | None) -> Path:
    """The station's folder. Raises UsageError where none was named or it is not one, FailedError where it is shut."""
    if root is None:
        raise UsageError("no station was named", remedy="give -C DIR, or set LOCKGATE_DIR")
    try:
        there = (root / "config.toml").is_file()
    except PermissionError:
        raise FailedError(
            "this system account may not enter the station's folder",
            thing=str(root),
            remedy="call as its owner, or as a member of the group that socket_group in config.toml names",
        ) from None
    if not there:
        raise UsageError(
            "not a station", thing=str(root), remedy="make one with: lockgate init DIR --site NAME --side SIDE"
        )
    return root.resolve()


def call(root: Path | None, ask: Callable[[ControlClient], Awaitable[Answer]]) -> Answer:
    """Ask the running station."""
    folder = station_root(root)

    async def run() -> Answer:
        async with asking(folder) as client:
            return await ask(client)

    import asyncio  # here: it takes longer to load than what most offline commands do

    return asyncio.run(run())


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[ControlClient]:
    """A client of the running station: as who `--user` names, whose log-in ends with this command; else by the kept
    log-in, or by the system account. Raises RefusedError for a wrong password."""
    from appliance.cli.shared.sessions import kept_session
    from appliance.control.client import ControlClient

    context = click.get_current_context(silent=True)
    name = None if context is None else context.meta.get(_USER)
    session = kept_session(folder) if context is None or name is None else context.meta.get(_SESSION)
    async with ControlClient(folder, session=session) as client:
        if context is not None and name is not None and session is None:
            await client.log_in(name, _password_of(name))
            context.meta[_SESSION] = session = client.session
            context.find_root().call_on_close(lambda: _log_out(folder, session))
        try:
            yield client
        except NotFoundError as error:
            from appliance.cli.shared.near import with_meant

            raise await with_meant(client, error) from None


def _log_in_first() -> None:
    """Where `--user` names somebody, their password is asked for before any other secret is, and found wrong then."""
    context = click.get_current_context(silent=True)
    if context is None or context.meta.get(_USER) is None or context.meta.get(_SESSION) is not None:
        return
    call(context.params.get("root"), lambda client: client.who())


def _password_of(name: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            "--user asks for a password, and there is no terminal", thing=name,
            remedy=f"log in first with: lockgate user login {name} --password-fd N",
        )  # fmt: skip
    return str(click.prompt(f"Password of {safe(name)}", hide_input=True, err=True))


def _log_out(folder: Path, session: str | None) -> None:
    """End a log-in that was for one command; it ends by itself where the station is away."""
    import asyncio

    from appliance.control.client import ControlClient

    async def run() -> None:
        async with ControlClient(folder, session=session) as client:
            await client.log_out()

    with contextlib.suppress(LockgateError):
        asyncio.run(run())


def shaped(document: Any, shape: type[Answer]) -> Answer:
    """A station's answer as the shape of `appliance.api` that it has. Fields that this version does not know are left
    out. Raises FailedError for one that does not have the shape: a station of another version sent it."""
    import msgspec  # here: most commands print what they were sent

    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        raise FailedError(
            "the station's answer is not what this version expects", thing=str(error)[:160],
            remedy="use the command line of the version that the station runs: lockgate status",
        ) from None  # fmt: skip


def _plain(shape: object) -> object:
    """A shape within a document, as json.dumps asks for it."""
    import msgspec

    return msgspec.to_builtins(shape)


def show(document: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Print a document, in which shapes may stand, as JSON, or as `text`."""
    click.echo(json.dumps(document, indent=2, sort_keys=True, default=_plain) if as_json else text())


def table(rows: Sequence[Sequence[object]], head: Sequence[str]) -> str:
    """Columns of untrusted text, escaped."""
    cells = [[safe(str(cell)) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def megabytes(size: float) -> str:
    """Bytes as decimal megabytes; what is too little for those as kilobytes or bytes, so that nothing reads `0.0`."""
    if size < 1000:
        return some(int(size), "byte")
    return f"{size / MB:,.1f} MB" if size >= MB // 10 else f"{size / 1000:.1f} kB"


def require_ungiven(names: Collection[str], what: str, remedy: str) -> None:
    """Raises UsageError where an option of this command was given that says nothing without another one. `names` are
    those of its parameters."""
    context = click.get_current_context()
    for one in context.command.params:
        if one.name in names and context.get_parameter_source(one.name) is ParameterSource.COMMANDLINE:
            raise UsageError(what, thing=one.opts[0], remedy=remedy)


def read_passphrase(
    passphrase_fd: int | None,
    prompt: str,
    *,
    confirm: bool = False,
    name: str = "",
    option: str = "--passphrase-fd",
    what: str = "passphrase",
) -> bytes:
    """A secret from a descriptor, from the service manager's credentials, or typed at the terminal.

    The credential of key `name` is the file `lockgate.NAME` in $CREDENTIALS_DIRECTORY (systemd.exec(5)); without a
    name none is read, and none is promised. `option` is the one that gave `passphrase_fd`, `what` the secret's kind.
    Raises UsageError where there is none of them.
    """
    if passphrase_fd is not None:
        from bundles.io.secret import passphrase_from

        passphrase = passphrase_from(passphrase_fd, option)
    elif (credential := _credential(name)) is not None:
        passphrase = credential
    elif sys.stdin.isatty():
        _log_in_first()
        typed: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
        passphrase = typed.encode()
    else:
        credential_too = f", or as the systemd credential lockgate.{name}" if name else ""
        remedy = f"call it at a terminal, or give it with {option} N{credential_too}"
        raise UsageError(f"a {what} is needed", thing=prompt, remedy=remedy)
    if not passphrase:
        raise UsageError(f"the {what} is empty", thing=prompt, remedy="give one of at least a character")
    return passphrase


def _credential(name: str) -> bytes | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / f"lockgate.{name}" if folder and name else None
    if path is None or not path.is_file():
        return None
    from bundles import limits
    from bundles.io.files import read_small

    return read_small(path, limits.KEY_FILE).split(b"\n", 1)[0].rstrip(b"\r")


def warn_of(path: Path) -> None:
    """Say on stderr that a private key's file is open to other accounts, where it is."""
    from bundles.signing.keys import exposure

    if warning := exposure(path):
        click.echo(f"lockgate: {safe(warning)}", err=True)


def is_key_file(root: Path | None, name: str) -> bool:
    """Whether a key is named by its file, and not by its name in the station's key folder: with a folder before it, or
    as `NAME.pem` where no key of the station has that name (or none that this account may see)."""
    if "/" in name:
        return True
    if not name.endswith(".pem"):
        return False
    try:
        return root is None or not (root / "keys" / f"{name}.pem").exists()
    except PermissionError:
        return True


def no_such_key(keys: Path, name: str) -> UsageError:
    """The error for a name that no key in the folder `keys` has; it names the one that was probably meant."""
    from difflib import get_close_matches

    names = sorted(path.stem for path in keys.glob("*.pem") if not path.name.endswith(".pub.pem"))
    near = get_close_matches(name.removesuffix(".pem"), names, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    for file in (name, f"{name}.pem"):
        if Path(file).is_file():
            meant = f"the file here is ./{file}; "
            break
    return UsageError("no such key", thing=name, remedy=f"{meant}see: lockgate key list")


def key_file(root: Path, name: str) -> Path:
    """Where a private key is: by its name in the station's key folder, or by its file. Raises UsageError for no name,
    or one that no key of the station has."""
    from bundles.signing.keys import check_name

    path = Path(name) if is_key_file(root, name) else root / "keys" / f"{check_name(name)}.pem"
    if "/" not in name and not path.is_file():
        raise no_such_key(root / "keys", name)
    return path


def key_and_passphrase(root: Path, name: str, passphrase_fd: int | None) -> tuple[Path, bytes | None]:
    """A private key's file, by name as `key_file`, and the passphrase that it needs."""
    from bundles import limits
    from bundles.io.files import read_small
    from bundles.signing.keys import is_encrypted

    path = key_file(root, name)
    encrypted = path.is_file() and is_encrypted(read_small(path, limits.KEY_FILE))
    return path, read_passphrase(passphrase_fd, f"Passphrase of {path.stem}", name=path.stem) if encrypted else None


def load_key(root: Path, name: str, passphrase_fd: int | None) -> PrivateKey:
    """A private key by its name in the station's key folder, by its file, or by its PKCS#11 URI. It stays in this
    process, or on its token."""
    from bundles.signing.keys import load_private
    from bundles.signing.pkcs11_uri import is_uri, parse
    from bundles.signing.ssh.keys import TOKENS

    if is_uri(name):
        from bundles.signing.token_key import TokenPrivateKey

        named = parse(name)
        return TokenPrivateKey(named, read_passphrase(passphrase_fd, f"PIN of {named.shown}", what="PIN"))
    path, passphrase = key_and_passphrase(root, name, passphrase_fd)
    key = load_private(path, passphrase)
    warn_of(path)
    if key.public.algorithm in TOKENS:
        click.echo("touch the token when it blinks", err=True)
    return key
