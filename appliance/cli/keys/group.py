"""`lockgate key`: works on the station's folder, whether the station runs or not.

A running station holds the folder's own lock and reads the trust folder anew at each decision, so these commands take
the trust folder's lock alone (bundles.signing.trust), and a revocation counts at once.
"""

from __future__ import annotations

from pathlib import Path

import click

from appliance.audit.acts import Act
from appliance.cli.completion import KEY
from appliance.cli.keys.keep import escrow, import_, recover, rotate
from appliance.cli.keys.pinned import change, revoke, untrust
from appliance.cli.keys.rotation import rotation
from appliance.cli.keys.trust_folder import ceremony, export_trust, policy, public_half, review, warn_of_sources
from appliance.cli.keys.widening import confirm_widening, widen_option
from appliance.cli.shared.context import (
    folder_option,
    json_option,
    load_key,
    no_such_key,
    passphrase_option,
    read_passphrase,
    show,
    station_root,
    table,
    warn_of,
)
from bundles.io.display import safe


@click.group()
def key() -> None:
    """Keys: create, import, rotate, escrow, list, export, rotation; trust, change, untrust, revoke, policy, review."""


@key.command()
@click.argument("name")
@click.option(
    "--algorithm",
    default="ecdsa-p256",
    show_default=True,
    help="ecdsa-p256, ecdsa-p384, ed25519 or ecdsa-p384+ml-dsa-87.",
)
@click.option("--no-passphrase", is_flag=True, help="Leave the key unencrypted, for a machine that signs by itself.")
@passphrase_option
@folder_option
@json_option
def create(
    root: Path | None, name: str, algorithm: str, no_passphrase: bool, passphrase_fd: int | None, as_json: bool
) -> None:
    """Make a key pair in the station's key folder, encrypted with a passphrase."""
    from appliance import trust_acts
    from bundles.errors import UsageError
    from bundles.signing.keys import create_private

    station = station_root(root)
    trust_acts.free_name(station, name)
    if no_passphrase and passphrase_fd is not None:
        raise UsageError("--no-passphrase and --passphrase-fd contradict one another", remedy="give one of them")
    made = create_private(algorithm)
    passphrase = (
        None if no_passphrase else read_passphrase(passphrase_fd, f"Passphrase for {name}", confirm=True, name=name)
    )
    trust_acts.keep(station, name, made, passphrase)
    public = made.public
    document = {
        "name": name,
        "keyid": public.keyid,
        "algorithm": algorithm,
        "fingerprint": public.fingerprint,
        "words": public.words,
    }
    lines = f"{name}: key {public.keyid}\nfingerprint {public.fingerprint}\nwords {public.words}"
    show(document, as_json, lambda: lines)


@key.command("list")
@folder_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The station's own keys, and the pinned ones, each with its fingerprint and the words to read it out by."""
    from appliance.known_keys import own_keys
    from appliance.paths import StationPaths
    from bundles.signing.keys import exposure
    from bundles.signing.trust import TrustFolder, TrustRecord

    paths = StationPaths(station_root(root))
    own = own_keys(paths)
    exposed = {k.name: exposure(paths.keys / f"{k.name}.pem") for k in own}
    trusted = TrustFolder.load(paths.trust).records
    document = {
        "keys": [
            {
                "name": k.name,
                "keyid": k.key.keyid,
                "algorithm": k.key.algorithm,
                "encrypted": k.encrypted,
                "exposed": bool(exposed[k.name]),
                "fingerprint": k.key.fingerprint,
                "words": k.key.words,
            }
            for k in own
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
                "fingerprint": record.key.fingerprint,
                "words": record.key.words,
            }
            for record in trusted
        ],
    }

    def state(record: TrustRecord) -> str:
        if record.revoked is not None:
            return f"[!!] revoked {record.revoked.at}: {record.revoked.why}"
        return f"[ok] until {record.not_after}" if record.not_after else "[ok]"

    def text() -> str:
        mine = [
            (k.name, k.key.keyid, k.key.algorithm, "needed" if k.encrypted else "none",
             "[!!] open to other accounts" if exposed[k.name] else "[ok]")
            for k in own
        ]  # fmt: skip
        pinned = [(r.keyid, r.owner, ", ".join(r.purposes), ", ".join(r.sites) or "-", state(r)) for r in trusted]
        to_compare = [(k.name, k.key) for k in own] + [(record.owner, record.key) for record in trusted]
        return "\n\n".join(
            [
                table(mine, ("KEY", "ID", "ALGORITHM", "PASSPHRASE", "FILE")),
                table(pinned, ("PINNED", "OWNER", "PURPOSES", "SITES", "STATE")),
                *(
                    f"{safe(name)}, key {public.keyid}\n  fingerprint {public.fingerprint}\n  words {public.words}"
                    for name, public in to_compare
                ),
            ]
        )

    show(document, as_json, text)
    for warning in filter(None, exposed.values()):
        click.echo(f"lockgate: {safe(warning)}", err=True)


@key.command()
@click.argument("name", type=KEY)
@click.option(
    "--private", "private_form", type=click.Choice(["pkcs8", "cosign"]), help="The private key instead, in this form."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="A new file (a private key's is needed).")
@passphrase_option
@folder_option
@json_option
def export(
    root: Path | None,
    name: str,
    private_form: str | None,
    out: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Print a key's public half, to be pinned elsewhere; or write the private key, under its passphrase.

    Of a key on a token, named by its PKCS#11 URI, only the public half.
    """
    from appliance.paths import StationPaths
    from bundles.errors import UsageError
    from bundles.io.files import write_atomic
    from bundles.signing.keys import PUBLIC_SUFFIX, check_name, load_public
    from bundles.signing.pkcs11_uri import is_uri

    station = station_root(root)
    if is_uri(name):
        public = load_key(station, name, passphrase_fd).public
    else:
        path = StationPaths(station).keys / f"{check_name(name)}{PUBLIC_SUFFIX}"
        if not path.is_file():
            raise no_such_key(path.parent, name)
        public = load_public(path)
    document = {
        "name": name, "keyid": public.keyid, "algorithm": public.algorithm, "fingerprint": public.fingerprint,
        "words": public.words,
    }  # fmt: skip
    if private_form is None:
        pem = public.to_pem()
        if out is not None:
            write_atomic(out, pem, replace=False)
        text = str(out) if out is not None else pem.decode().rstrip("\n")
        show({**document, "pem": pem.decode()}, as_json, lambda: text)
        return
    if is_uri(name):
        raise UsageError("the private part stays on the token", thing=name[:120], remedy="leave --private out")
    if out is None:
        raise UsageError("a private key is not printed", thing=name, remedy="give a new file with --out")
    _write_private(station, name, private_form, out, passphrase_fd)
    show({**document, "file": str(out)}, as_json, lambda: str(out))


def _write_private(station: Path, name: str, form: str, out: Path, passphrase_fd: int | None) -> None:
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from bundles.errors import UsageError
    from bundles.io.files import write_atomic
    from bundles.signing.keys import load_private

    path = StationPaths(station).keys / f"{name}.pem"
    if not _encrypted(path):
        raise UsageError("the key has no passphrase", thing=name, remedy="only a key with one leaves the key folder")
    passphrase = read_passphrase(passphrase_fd, f"Passphrase of {name}", name=name)
    key = load_private(path, passphrase)
    warn_of(path)
    sealed = key.to_cosign(passphrase) if form == "cosign" else key.to_pem(passphrase)
    with recorded(station, Act.KEY_EXPORT, key.public.keyid, {"name": name, "form": form}):
        write_atomic(out, sealed, 0o600, replace=False)


def _encrypted(path: Path) -> bool:
    from bundles import limits
    from bundles.io.files import read_small
    from bundles.signing.keys import is_encrypted

    return path.is_file() and is_encrypted(read_small(path, limits.KEY_FILE))


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--purpose", required=True, help="bundle, release, receipt, image, audit, verdict, backup or update.")
@click.option("--owner", required=True, metavar="WHO", help="Whose key it is.")
@click.option("--from", "sites", multiple=True, metavar="SITE", help="The sites a bundle or receipt key may sign for.")
@click.option("--not-before", metavar="TIME", help="From when it counts, YYYY-MM-DDTHH:MM:SSZ.")
@click.option("--not-after", metavar="TIME", help="Until when it counts.")
@widen_option
@folder_option
@json_option
def trust(
    root: Path | None,
    file: Path,
    purpose: str,
    owner: str,
    sites: tuple[str, ...],
    not_before: str | None,
    not_after: str | None,
    widen: bool,
    as_json: bool,
) -> None:
    """Pin a public key for a purpose. Compare its fingerprint over another channel first.

    A key that is pinned already keeps what it counts for. Where this would add to it, the purpose is asked for as a
    word to type; without a terminal --widen says that it is meant.
    """
    from appliance.paths import StationPaths
    from appliance.trust_acts import pin

    station = station_root(root)
    public = public_half(station, file)
    confirm_widening(
        StationPaths(station).trust, public.keyid,
        widen=widen, purpose=purpose, owner=owner, sites=sites, not_before=not_before, not_after=not_after,
    )  # fmt: skip
    record = pin(station, public, purpose=purpose, owner=owner, sites=sites, not_before=not_before, not_after=not_after)
    document = {
        "keyid": public.keyid, "fingerprint": public.fingerprint, "owner": record.owner,
        "purposes": list(record.purposes), "sites": list(record.sites),
        "not_before": record.not_before, "not_after": record.not_after, "words": public.words,
    }  # fmt: skip
    line = (
        f"pinned {public.keyid} of {safe(owner)} for {purpose}\nfingerprint {public.fingerprint}\nwords {public.words}"
    )
    show(document, as_json, lambda: line)
    warn_of_sources(station, purpose, sites)


for _command in (
    import_,
    rotate,
    escrow,
    recover,
    revoke,
    untrust,
    change,
    ceremony,
    policy,
    review,
    export_trust,
    rotation,
):
    key.add_command(_command)
