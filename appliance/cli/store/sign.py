"""`lockgate sign`. The signature is made in this process: the private key goes nowhere (ADR 0002)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.completion import KEY
from appliance.cli.shared.context import (
    call,
    is_key_file,
    json_option,
    key_and_passphrase,
    load_key,
    passphrase_option,
    show,
    station_option,
    station_root,
    warn_of,
)
from bundles.errors import UsageError
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from bundles.image_signatures.making import Made
    from bundles.signing.keys import PrivateKey, PublicKey

FORMATS: Final = ("sigstore", "cosign")
"""Those that need a key alone."""
_NOTATION: Final = "notation"
"""Needs the key's certificates, too."""

key_option: Final = click.option(
    "--key", "key_name", type=KEY, required=True, metavar="KEY",
    help="A name in the key folder, a key's file, or a pkcs11: URI.",
)  # fmt: skip


@click.command()
@click.argument("reference", metavar="REF")
@key_option
@click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS, _NOTATION]),
    default=FORMATS[0],
    show_default=True,
    help="How: what cosign 3 writes, what every cosign reads below its tag, or Notation's JWS.",
)
@click.option(
    "--certificates",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --format notation: the key's certificate, and each issuer's to the root.",
)
@click.option("--recursive", is_flag=True, help="Sign each image beneath an index, too.")
@click.option(
    "--annotation",
    "annotations",
    multiple=True,
    metavar="NAME=VALUE",
    help="Sign this along; repeatable; not with --format sigstore.",
)
@passphrase_option
@station_option
@json_option
def sign(
    root: Path | None,
    reference: str,
    key_name: str,
    form: str,
    certificates: Path | None,
    recursive: bool,
    annotations: tuple[str, ...],
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Sign an image or index with one's own key, and show the signature beside it.

    An index's signature covers its images by their digests. A signature is added to released content, too, and moves
    none of its tags. KEY is of ecdsa-p256, in PEM or as cosign keeps it; with --format notation of ECDSA or RSA, with
    its certificates. The last line is the digest that was signed.
    """
    from bundles.image_signatures.making import Form, sign_image
    from bundles.oci.digest import Digest

    notes = _annotations(annotations)
    if (certificates is None) is (form == _NOTATION):
        remedy = "give them with --certificates FILE" if certificates is None else "add --format notation"
        raise UsageError("Notation, and nothing else, signs with certificates", thing=f"--format {form}", remedy=remedy)
    if notes and form == Form.SIGSTORE:
        raise UsageError(
            "a Sigstore bundle carries no annotations", thing=", ".join(notes)[:120], remedy="add --format cosign"
        )
    asked = ask(root, reference, recursive=recursive)
    if certificates is not None:
        _sign_by_notation(root, asked, key_name, passphrase_fd, certificates, notes, as_json)
        return
    key = load_signer(root, key_name, passphrase_fd)
    made = [
        (one["digest"], sign_image(Form(form), Digest.parse(one["digest"]), key, name=asked["repository"],
                                   annotations=notes))
        for one in asked["artifacts"]
    ]  # fmt: skip
    hand_in(root, asked, public_file(root, key_name), key.public, made, as_json)


def _sign_by_notation(
    root: Path | None, asked: dict[str, Any], key_name: str, passphrase_fd: int | None, certificates: Path,
    notes: dict[str, str], as_json: bool,
) -> None:  # fmt: skip
    """Sign by a key whose certificates lead to a root. What is pinned is the root."""
    from appliance import clock
    from bundles.image_signatures import making_notation as notation
    from bundles.oci.digest import Digest
    from bundles.signing.pkcs11_uri import is_uri

    if is_uri(key_name):
        raise UsageError("Notation signs by key files here", thing=key_name[:120], remedy="give the key's file")
    path, passphrase = key_and_passphrase(station_root(root), key_name, passphrase_fd)
    at = clock.now()
    signer = notation.load_signer(path, passphrase, certificates, at)
    warn_of(path)
    made = [
        (one["digest"], notation.sign_image(Digest.parse(one["digest"]), one["media_type"], one["size"], signer, at,
                                            notes))
        for one in asked["artifacts"]
    ]  # fmt: skip
    pem = str(certificates) if len(signer.chain) == 1 else "ROOT.crt"
    hand_in(root, asked, pem, signer.root, made, as_json)


def _annotations(said: tuple[str, ...]) -> dict[str, str]:
    """Annotations by name. Raises UsageError."""
    found: dict[str, str] = {}
    for one in said:
        name, equals, value = one.partition("=")
        if not (name and equals) or name in found:
            raise UsageError("not an annotation of its own", thing=one[:120], remedy="write NAME=VALUE, each name once")
        found[name] = value
    return found


def ask(root: Path | None, reference: str, *, recursive: bool) -> dict[str, Any]:
    """What is to be signed, as the station shows it."""
    asked: dict[str, Any] = call(
        root, lambda client: client.get("/v1/signatures/subjects", ref=reference, recursive=int(recursive))
    )
    return asked


def load_signer(root: Path | None, name: str, passphrase_fd: int | None) -> PrivateKey:
    """A private key whose signatures cosign verifies. Raises UsageError."""
    from bundles.image_signatures.making import check_key

    key = load_key(station_root(root), name, passphrase_fd)
    check_key(key.public)
    return key


def hand_in(
    root: Path | None, asked: dict[str, Any], pem: str, public: PublicKey, made: list[tuple[str, Made]], as_json: bool
) -> None:  # fmt: skip
    """Hand documents in, each with the digest that it is about; say what became of them, and whether anybody here
    believes the key. `pem` is the file to pin it by."""
    body = {
        "repository": asked["repository"],
        "public_key": public.to_pem().decode(),
        "signatures": [
            {"subject": digest, "media_type": one.media_type, "signature": one.signature,
             "document": base64.b64encode(one.document).decode()}
            for digest, one in made
        ],
    }  # fmt: skip
    document = call(root, lambda client: client.post("/v1/signatures", body))
    kinds = {one["digest"]: f"{one['kind']} {one['platform']}".rstrip() for one in asked["artifacts"]}
    lines = [
        f"{'signed' if one['is_new'] else 'was signed so before'}: {kinds[one['subject']]} {one['subject']}"
        f" ({one['format']}, {'tag ' + one['tag'] if one['tag'] else 'referrer ' + one['carrier']})"
        for one in document["signatures"]
    ]
    lines += [f"[!!] not here, and not signed: {digest}" for digest in asked["absent"]]
    show(document | {"absent": asked["absent"]}, as_json, lambda: "\n".join([*map(safe, lines), asked["digest"]]))
    for warning in _warnings(pem, document, len(asked["absent"])):
        click.echo(f"lockgate: {safe(warning)}", err=True)


def _warnings(pem: str, document: dict[str, Any], absent: int) -> list[str]:
    """What whoever signed should know: that nobody here believes the key, and what to do."""
    keyid, found = document["keyid"], []
    match document["objection"]:
        case "unknown-key":
            found.append(
                f"what verifies it is not pinned here for images, and it counts for nobody yet: {keyid};"
                f" pin it: lockgate key trust {pem} --purpose image --owner WHO"
            )
        case "key-revoked":
            found.append(
                f"what verifies it is revoked here, and it counts for nobody: {document['reason']};"
                " sign again with another key: lockgate key create NAME"
            )
        case "key-not-valid":
            found.append(
                f"what verifies it does not count here for images now: {document['reason']};"
                " sign again with a key that is pinned for image; see: lockgate key list"
            )
    if absent:
        found.append(
            f"{some(absent, 'image')} that the index names {'is' if absent == 1 else 'are'} not here: collect the"
            " index whole, and sign again"
        )
    return found


def public_file(root: Path | None, key_name: str) -> str:
    """Where the public half of a key is, as `key trust` takes it; a word for it where that is not known."""
    folder = station_root(root)
    path = Path(key_name) if is_key_file(folder, key_name) else folder / "keys" / f"{key_name}.pem"
    beside = (path.with_name(f"{path.stem}.pub.pem"), path.with_name(f"{path.stem}.pub"))
    return next((str(one) for one in beside if one.is_file()), "PUBLIC.pem")
