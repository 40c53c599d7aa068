"""`lockgate key import | rotate | escrow | recover`: what becomes of private keys. They stay in this process."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.audit.acts import Act
from appliance.cli.completion import KEY
from appliance.cli.shared.context import (
    folder_option,
    is_key_file,
    json_option,
    load_key,
    no_such_key,
    passphrase_option,
    read_passphrase,
    show,
    station_root,
    warn_of,
)

_DAY_TO_SPEAK = (
    "have other sites follow it (lockgate key rotation make --follow OLD=NEW --why TEXT),"
    " or pin it there and revoke the old one"
)


@click.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--no-passphrase", is_flag=True, help="Keep a key that is not encrypted so.")
@passphrase_option
@folder_option
@json_option
def import_(
    root: Path | None, name: str, file: Path, no_passphrase: bool, passphrase_fd: int | None, as_json: bool
) -> None:
    """Take a key made elsewhere into the key folder: PKCS#8, cosign's, or OpenSSH's.

    A PKCS#8 or cosign key is kept as PKCS#8 under the passphrase it came with. Of an SSH key the file itself is kept,
    and ssh-keygen signs with it; give a .pub where an agent or a token holds the private half.
    """
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from bundles import limits
    from bundles.errors import UsageError
    from bundles.io.files import read_small
    from bundles.signing.keys import SshPrivateKey, check_name, is_encrypted, load_private, save_files

    station = station_root(root)
    path = StationPaths(station).keys / f"{check_name(name)}.pem"
    if not file.is_file():
        raise UsageError("no such file", thing=str(file), remedy="give a private key's file, in PEM")
    data = read_small(file, limits.KEY_FILE)
    encrypted = is_encrypted(data)
    passphrase = read_passphrase(passphrase_fd, f"Passphrase of {file.name}", name=name) if encrypted else None
    key = load_private(file, passphrase)
    is_ssh = isinstance(key, SshPrivateKey)
    if not encrypted and not is_ssh and not no_passphrase:
        raise UsageError(
            "the key is not encrypted", thing=str(file), remedy="encrypt it first, or say --no-passphrase to keep it so"
        )
    warn_of(file)
    with recorded(station, Act.KEY_IMPORT, key.public.keyid, {"name": name, "algorithm": key.public.algorithm}):
        save_files(path, data if is_ssh else key.to_pem(passphrase), key.public)
    document = {
        "name": name, "keyid": key.public.keyid, "algorithm": key.public.algorithm,
        "fingerprint": key.public.fingerprint, "words": key.public.words,
    }  # fmt: skip
    show(document, as_json, lambda: f"{name}: key {key.public.keyid} ({key.public.algorithm})\n{key.public.words}")


@click.command()
@click.argument("name", type=KEY)
@click.option("--algorithm", help="The new key's (default: the old one's).")
@click.option("--no-passphrase", is_flag=True, help="Leave the new key unencrypted.")
@passphrase_option
@folder_option
@json_option
def rotate(
    root: Path | None,
    name: str,
    algorithm: str | None,
    no_passphrase: bool,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Make a new key under a name. The old one is kept as NAME.KEYID, to sign until the new one is pinned."""
    from appliance import trust_acts
    from appliance.paths import STATION_KEYS, StationPaths
    from bundles.signing.keys import check_name
    from bundles.signing.rotation import Rotation

    station = station_root(root)
    keys = StationPaths(station).keys
    if not (keys / f"{check_name(name)}.pem").is_file():
        raise no_such_key(keys, name)
    planned = Rotation.prepare(keys, name, algorithm)
    public, old, kept = planned.made.public, planned.old, planned.kept
    if name in STATION_KEYS:  # the station signs with it, and nobody is there to open it
        no_passphrase = True
    passphrase = None if no_passphrase else read_passphrase(passphrase_fd, f"New passphrase for {name}", confirm=True)
    trust_acts.rotate(station, planned, passphrase)
    document = {
        "name": name, "keyid": public.keyid, "fingerprint": public.fingerprint,
        "words": public.words, "old": {"name": kept, "keyid": old.keyid},
    }  # fmt: skip
    line = f"{name}: key {public.keyid}, the old one is {kept}; {_DAY_TO_SPEAK}\n{public.words}"
    show(document, as_json, lambda: line)


@click.command()
@click.argument("name", type=KEY)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@click.option("--shares", default=3, show_default=True, help="How many people get a share.")
@click.option("--needed", default=2, show_default=True, help="How many of them together open the copy.")
@passphrase_option
@folder_option
@json_option
def escrow(
    root: Path | None, name: str, out: Path, shares: int, needed: int, passphrase_fd: int | None, as_json: bool
) -> None:
    """Write a copy of a key that several people can open only together: NAME.escrow.pem, and a file a share.

    Give each share to another person, on paper or on a medium of their own, and delete the files.
    """
    import secrets

    from appliance.audit.folder_acts import recorded
    from bundles.errors import UsageError
    from bundles.io.files import os_failure, write_atomic
    from bundles.signing import escrow as sharing

    station = station_root(root)
    key = load_key(station, name, passphrase_fd)
    secret = secrets.token_bytes(sharing.SECRET)
    made = sharing.split(secret, shares, needed)
    copy = key.to_pem(secret.hex().encode())
    if out.exists():
        raise UsageError("the folder exists", thing=str(out), remedy="give a new one")
    with recorded(station, Act.KEY_ESCROW, key.public.keyid, {"name": name, "shares": shares, "needed": needed}):
        try:
            out.mkdir(mode=0o700)
        except OSError as error:
            raise os_failure(error, out, "the escrow cannot be written") from None
        stem = Path(name).stem if is_key_file(station, name) else name
        write_atomic(out / f"{stem}.escrow.pem", copy, 0o600, replace=False)
        for share in made:
            write_atomic(
                out / f"{stem}.share-{share.number}.txt", share.render().encode() + b"\n", 0o600, replace=False
            )
    document = {"keyid": key.public.keyid, "folder": str(out), "shares": shares, "needed": needed}
    show(document, as_json, lambda: f"key {key.public.keyid} in escrow: {needed} of {shares} shares open it\n{out}")


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--share", "shares", multiple=True, required=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A share; as many as are needed.",
)  # fmt: skip
@passphrase_option
@folder_option
@json_option
def recover(
    root: Path | None, name: str, file: Path, shares: tuple[Path, ...], passphrase_fd: int | None, as_json: bool
) -> None:
    """Open a key from escrow with enough shares, and keep it under a new passphrase."""
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from bundles import limits
    from bundles.errors import MalformedError, UsageError
    from bundles.io.files import read_small, require_file
    from bundles.signing import escrow as sharing
    from bundles.signing.keys import check_name, load_private, save_private

    station = station_root(root)
    path = StationPaths(station).keys / f"{check_name(name)}.pem"
    for share in shares:
        require_file(share, "give a share's file")
    if path.exists():
        raise UsageError("the key exists", thing=str(path), remedy="choose another name")
    parts = []
    for share in shares:
        try:
            parts.append(sharing.parse(read_small(share, limits.KEY_FILE).decode("utf-8", "replace")))
        except MalformedError as error:
            raise UsageError(error.what, thing=str(share), remedy="give a file that the escrow wrote") from None
    secret = sharing.join(parts)
    key = load_private(file, secret.hex().encode())
    passphrase = read_passphrase(passphrase_fd, f"New passphrase for {name}", confirm=True)
    with recorded(station, Act.KEY_RECOVER, key.public.keyid, {"name": name, "shares": len(shares)}):
        save_private(path, key, passphrase)
    document = {"name": name, "keyid": key.public.keyid}
    show(document, as_json, lambda: f"{name}: key {key.public.keyid} is back")
