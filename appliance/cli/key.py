"""`lockgate key`: works on the station's folder, whether the station runs or not.

A running station holds the folder's own lock and reads the trust folder anew at each decision, so these commands take
the trust folder's lock alone (bundles.signing.trust), and a revocation counts at once.
"""

from __future__ import annotations

from pathlib import Path

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
@click.option("--algorithm", default="ecdsa-p256", show_default=True, help="ecdsa-p256, ecdsa-p384 or ed25519.")
@click.option("--no-passphrase", is_flag=True, help="Leave the key unencrypted, for a machine that signs by itself.")
@passphrase_option
@station_option
@json_option
def create(
    root: Path | None, name: str, algorithm: str, no_passphrase: bool, passphrase_fd: int | None, as_json: bool
) -> None:
    """Make a key pair in the station's key folder, encrypted with a passphrase."""
    from appliance.cli.recorded import recorded
    from appliance.paths import StationPaths
    from bundles.errors import FailedError, UsageError
    from bundles.signing.keys import check_name, create_private, save_private

    station = station_root(root)
    path = StationPaths(station).keys / f"{check_name(name)}.pem"
    if path.exists():
        raise FailedError("the key exists", thing=str(path), remedy="choose another name")
    if no_passphrase and passphrase_fd is not None:
        raise UsageError("--no-passphrase and --passphrase-fd contradict one another", remedy="give one of them")
    made = create_private(algorithm)
    passphrase = None if no_passphrase else read_passphrase(passphrase_fd, f"Passphrase for {name}", confirm=True)
    with recorded(station, "key.create", made.public.keyid, {"name": name, "algorithm": algorithm}):
        save_private(path, made, passphrase)
    document = {
        "name": name,
        "keyid": made.public.keyid,
        "algorithm": algorithm,
        "fingerprint": made.public.fingerprint,
    }
    show(document, as_json, lambda: f"{name}: key {made.public.keyid}\nfingerprint {made.public.fingerprint}")


@key.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The station's own keys, and the pinned ones."""
    from appliance.control.public_keys import own_keys
    from appliance.paths import StationPaths
    from bundles.signing.trust import TrustFolder, TrustRecord

    paths = StationPaths(station_root(root))
    own = own_keys(paths)
    trusted = TrustFolder.load(paths.trust).records
    document = {
        "keys": [
            {"name": k.name, "keyid": k.key.keyid, "algorithm": k.key.algorithm, "encrypted": k.encrypted} for k in own
        ],
        "trusted": [
            {
                "keyid": record.keyid,
                "owner": record.owner,
                "algorithm": record.key.algorithm,
                "purposes": list(record.purposes),
                "sites": list(record.sites),
                "not_before": record.not_before,
                "not_after": record.not_after,
                "revoked": None if record.revoked is None else {"at": record.revoked.at, "why": record.revoked.why},
            }
            for record in trusted
        ],
    }

    def state(record: TrustRecord) -> str:
        if record.revoked is not None:
            return f"[!!] revoked {record.revoked.at}: {record.revoked.why}"
        return f"[ok] until {record.not_after}" if record.not_after else "[ok]"

    def text() -> str:
        mine = [(k.name, k.key.keyid, k.key.algorithm, "needed" if k.encrypted else "none") for k in own]
        pinned = [(r.keyid, r.owner, ", ".join(r.purposes), ", ".join(r.sites) or "-", state(r)) for r in trusted]
        return "\n\n".join(
            [
                table(mine, ("KEY", "ID", "ALGORITHM", "PASSPHRASE")),
                table(pinned, ("PINNED", "OWNER", "PURPOSES", "SITES", "STATE")),
            ]
        )

    show(document, as_json, text)


@key.command()
@click.argument("name")
@station_option
@json_option
def export(root: Path | None, name: str, as_json: bool) -> None:
    """Print a key's public half, to be pinned elsewhere."""
    from appliance.paths import StationPaths
    from bundles.signing.keys import PUBLIC_SUFFIX, check_name, load_public

    public = load_public(StationPaths(station_root(root)).keys / f"{check_name(name)}{PUBLIC_SUFFIX}")
    pem = public.to_pem().decode()
    document = {"name": name, "keyid": public.keyid, "fingerprint": public.fingerprint, "pem": pem}
    show(document, as_json, lambda: pem.rstrip("\n"))


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--purpose", required=True, help="bundle, release, receipt, image, audit, verdict, backup or update.")
@click.option("--owner", required=True, metavar="WHO", help="Whose key it is.")
@click.option("--from", "sites", multiple=True, metavar="SITE", help="The sites a bundle or receipt key may sign for.")
@click.option("--not-before", metavar="TIME", help="From when it counts, YYYY-MM-DDTHH:MM:SSZ.")
@click.option("--not-after", metavar="TIME", help="Until when it counts.")
@station_option
@json_option
def trust(
    root: Path | None,
    file: Path,
    purpose: str,
    owner: str,
    sites: tuple[str, ...],
    not_before: str | None,
    not_after: str | None,
    as_json: bool,
) -> None:
    """Pin a public key for a purpose. Compare its fingerprint over another channel first."""
    from appliance.cli.recorded import recorded
    from appliance.paths import StationPaths
    from bundles.display import safe
    from bundles.signing.keys import load_public
    from bundles.signing.trust import trust_key

    station = station_root(root)
    public = load_public(file)
    with recorded(station, "key.trust", public.keyid, {"purpose": purpose, "owner": owner, "sites": list(sites)}):
        record = trust_key(
            StationPaths(station).trust, public,
            purpose=purpose, owner=owner, sites=sites, not_before=not_before, not_after=not_after,
        )  # fmt: skip
    document = {
        "keyid": public.keyid, "fingerprint": public.fingerprint, "owner": record.owner,
        "purposes": list(record.purposes), "sites": list(record.sites),
        "not_before": record.not_before, "not_after": record.not_after,
    }  # fmt: skip
    line = f"pinned {public.keyid} of {safe(owner)} for {purpose}\nfingerprint {public.fingerprint}"
    show(document, as_json, lambda: line)


@key.command()
@click.argument("keyid")
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept with the key.")
@station_option
@json_option
def revoke(root: Path | None, keyid: str, why: str, as_json: bool) -> None:
    """Stop believing a pinned key, from now on and at once."""
    from appliance import clock
    from appliance.cli.recorded import recorded
    from appliance.paths import StationPaths
    from bundles.display import safe
    from bundles.signing.keys import check_keyid
    from bundles.signing.trust import revoke_key

    station = station_root(root)
    check_keyid(keyid)
    with recorded(station, "key.revoke", keyid, {"why": why}):
        record = revoke_key(StationPaths(station).trust, keyid, why=why, at=clock.now())
    document = {"keyid": keyid, "owner": record.owner, "why": why if record.revoked is None else record.revoked.why}
    show(document, as_json, lambda: f"revoked {keyid} of {safe(record.owner)}")
