"""`lockgate key`: works on the station's folder, without a running station."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

import click

from appliance.cli.context import (
    json_option,
    passphrase_option,
    read_passphrase,
    show,
    station_option,
    station_root,
    table,
)


@click.group()
def key() -> None:
    """Keys: create, list, export, trust, revoke."""


@key.command()
@click.argument("name")
@click.option("--algorithm", default="ecdsa-p256", show_default=True, help="ecdsa-p256 or ecdsa-p384.")
@click.option("--no-passphrase", is_flag=True, help="Leave the key unencrypted, for a machine that signs by itself.")
@passphrase_option
@station_option
@json_option
def create(
    root: Path | None, name: str, algorithm: str, no_passphrase: bool, passphrase_fd: int | None, as_json: bool
) -> None:
    """Make a key pair in the station's key folder, encrypted with a passphrase."""
    from bundles.errors import UsageError
    from bundles.signing.keys import check_name, create_private, save_private

    folder = station_root(root)
    check_name(name)
    if no_passphrase and passphrase_fd is not None:
        raise UsageError("--no-passphrase and --passphrase-fd contradict one another", remedy="give one of them")
    passphrase = None if no_passphrase else read_passphrase(passphrase_fd, f"Passphrase for {name}", confirm=True)
    made = create_private(algorithm)
    save_private(folder / "keys" / f"{name}.pem", made, passphrase)
    document = {
        "name": name,
        "keyid": made.public.keyid,
        "algorithm": algorithm,
        "fingerprint": made.public.fingerprint,
    }
    _record(folder, "key.create", made.public.keyid, {"name": name})
    show(document, as_json, lambda: f"{name}: key {made.public.keyid}\nfingerprint {made.public.fingerprint}")


@key.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The station's own keys, and the pinned ones."""
    from bundles.signing.keys import PublicKey
    from bundles.signing.trust import TrustFolder

    folder = station_root(root)
    own = []
    for path in sorted((folder / "keys").glob("*.pub.pem")):
        public = PublicKey.from_pem(path.read_bytes())
        own.append({"name": path.name.removesuffix(".pub.pem"), "keyid": public.keyid, "algorithm": public.algorithm})
    trusted: list[dict[str, Any]] = [
        {
            "keyid": record.keyid,
            "owner": record.owner,
            "purposes": list(record.purposes),
            "sites": list(record.sites),
            "revoked": None if record.revoked is None else {"at": record.revoked.at, "why": record.revoked.why},
        }
        for record in TrustFolder.load(folder / "trust").records
    ]

    def text() -> str:
        mine = table([(entry["name"], entry["keyid"], entry["algorithm"]) for entry in own], ("KEY", "ID", "ALGORITHM"))
        rows = [
            (
                entry["keyid"], entry["owner"], ", ".join(entry["purposes"]), ", ".join(entry["sites"]),
                f"revoked {entry['revoked']['at']}: {entry['revoked']['why']}" if entry["revoked"] else "trusted",
            )
            for entry in trusted
        ]  # fmt: skip
        return mine + "\n\n" + table(rows, ("PINNED", "OWNER", "PURPOSES", "SITES", "STATE"))

    show({"keys": own, "trusted": trusted}, as_json, text)


@key.command()
@click.argument("name")
@station_option
@json_option
def export(root: Path | None, name: str, as_json: bool) -> None:
    """Print a key's public half, to be pinned elsewhere."""
    from bundles import limits
    from bundles.errors import UsageError
    from bundles.files import read_small
    from bundles.signing.keys import PublicKey, check_name

    path = station_root(root) / "keys" / f"{check_name(name)}.pub.pem"
    if not path.is_file():
        raise UsageError("no such key", thing=name, remedy="see: lockgate key list")
    pem = read_small(path, limits.KEY_FILE)
    public = PublicKey.from_pem(pem)
    document = {"name": name, "keyid": public.keyid, "fingerprint": public.fingerprint, "pem": pem.decode()}
    show(document, as_json, lambda: pem.decode().rstrip("\n"))


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--purpose", required=True, help="bundle, release, receipt, image, audit, verdict, backup or update.")
@click.option("--owner", required=True, metavar="WHO", help="Whose key it is.")
@click.option("--from", "sites", multiple=True, metavar="SITE", help="The sites a bundle or receipt key may sign for.")
@station_option
@json_option
def trust(root: Path | None, file: Path, purpose: str, owner: str, sites: tuple[str, ...], as_json: bool) -> None:
    """Pin a public key for a purpose. Compare its fingerprint over another channel first."""
    from bundles import limits
    from bundles.errors import UsageError
    from bundles.files import read_small
    from bundles.signing.keys import PublicKey
    from bundles.signing.trust import trust_key

    folder = station_root(root)
    if not file.is_file():
        raise UsageError("no such file", thing=str(file), remedy="give a public key in PEM")
    public = PublicKey.from_pem(read_small(file, limits.KEY_FILE))
    record = trust_key(folder / "trust", public, purpose=purpose, owner=owner, sites=list(sites))
    _record(folder, "key.trust", public.keyid, {"purpose": purpose, "owner": owner, "sites": list(sites)})
    document = {
        "keyid": public.keyid, "fingerprint": public.fingerprint, "owner": record.owner,
        "purposes": list(record.purposes), "sites": list(record.sites),
    }  # fmt: skip
    show(document, as_json, lambda: f"pinned {public.keyid} of {owner} for {purpose}\nfingerprint {public.fingerprint}")


@key.command()
@click.argument("keyid")
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept with the key.")
@station_option
@json_option
def revoke(root: Path | None, keyid: str, why: str, as_json: bool) -> None:
    """Stop believing a pinned key, from now on and at once."""
    from appliance import clock
    from bundles.signing.trust import revoke_key

    folder = station_root(root)
    record = revoke_key(folder / "trust", keyid, why=why, at=clock.now())
    _record(folder, "key.revoke", keyid, {"why": why})
    show({"keyid": keyid, "owner": record.owner, "why": why}, as_json, lambda: f"revoked {keyid} of {record.owner}")


def _record(folder: Path, act: str, thing: str, detail: dict[str, object]) -> None:
    from appliance.observe.audit import AuditEvent, FileAudit
    from appliance.paths import StationPaths

    actor = f"{getpass.getuser()}({os.geteuid()})"
    FileAudit(StationPaths(folder).audit).record(AuditEvent(act, actor, thing, "done", detail))
