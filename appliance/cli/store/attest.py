"""`lockgate attest`. The attestation is signed in this process: the private key goes nowhere (ADR 0002)."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.shared.context import json_option, passphrase_option, station_option
from appliance.cli.store.sign import FORMATS, ask, hand_in, key_option, load_signer, public_file


@click.command()
@click.argument("reference", metavar="REF")
@key_option
@click.option(
    "--predicate",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="What is said: a JSON object.",
)
@click.option(
    "--type",
    "predicate_type",
    required=True,
    metavar="URI",
    help="What kind of predicate it is, as https://slsa.dev/provenance/v1.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="How: what cosign 3 writes, or what every cosign reads below its tag.",
)
@passphrase_option
@station_option
@json_option
def attest(
    root: Path | None,
    reference: str,
    key_name: str,
    predicate: Path,
    predicate_type: str,
    form: str,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Sign a statement about an image with one's own key, and show it beside the image.

    An attestation is no signature: who only attests has not signed the image. FILE is carried byte for byte; of a
    verification summary (SLSA) it must say PASSED. The last line is the digest that the statement is about.
    """
    from bundles import limits
    from bundles.image_signatures.making import Form, check_predicate_type
    from bundles.image_signatures.making import attest as make
    from bundles.io.files import read_small, require_file
    from bundles.oci.digest import Digest

    check_predicate_type(predicate_type)
    require_file(predicate)
    raw = read_small(predicate, limits.ATTESTATION)
    asked = ask(root, reference, recursive=False)
    key = load_signer(root, key_name, passphrase_fd)
    digest = Digest.parse(asked["digest"])
    made = make(Form(form), digest, key, predicate_type, raw, name=asked["repository"], source=str(predicate))
    hand_in(root, asked, public_file(root, key_name), key.public, [(str(digest), made)], as_json)
