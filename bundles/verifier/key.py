"""`lockgate-verify key create | export | fingerprint`: a person's own key, on a machine without a station.

The private half is a file of its owner's, never sent anywhere. The public half beside it is what is carried to a
station, and the fingerprint is what its owner reads out there.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.errors import UsageError
from bundles.io.display import safe
from bundles.io.files import read_small, write_atomic
from bundles.io.secret import passphrase_from
from bundles.signing.keys import (
    CREATABLE,
    PUBLIC_SUFFIX,
    PrivateKey,
    PublicKey,
    create_private,
    exposure,
    is_encrypted,
    load_private,
    load_public,
    save_private,
)
from bundles.signing.signatures import DEFAULT_ALGORITHM
from bundles.verifier.arguments import Words

NAME: Final = "lockgate-verify key"
_SUFFIX: Final = ".pem"


def run(words: Sequence[str]) -> int:
    """The command; its status is 0, or follows from the error that it raises."""
    asked = parser().parse_args(words)
    if asked.command == "create":
        return _create(asked)
    public = _public(asked.file, asked.passphrase_fd)
    if asked.command == "fingerprint":
        return _show(asked, public, [f"{asked.file}: key {public.keyid} ({public.algorithm})", *_to_compare(public)])
    pem = public.to_pem()
    if asked.out is not None:
        write_atomic(asked.out, pem, replace=False)
    lines = [str(asked.out)] if asked.out is not None else pem.decode().splitlines()
    return _show(asked, public, lines, pem=pem.decode())


def _create(asked: argparse.Namespace) -> int:
    path, public_path = _new(asked.file)
    if asked.no_passphrase and asked.passphrase_fd is not None:
        raise UsageError("--no-passphrase and --passphrase-fd contradict one another", remedy="give one of them")
    key = create_private(asked.algorithm)
    save_private(path, key, None if asked.no_passphrase else _new_passphrase(path, asked.passphrase_fd))
    lines = [
        f"{path}: key {key.public.keyid}, your private half; keep it to yourself",
        *_to_compare(key.public),
        "the public half, to be pinned at a station:",
        str(public_path),
    ]
    return _show(asked, key.public, lines, private=str(path), file=str(public_path))


def _new(path: Path) -> tuple[Path, Path]:
    """The files of a new key. Raises UsageError for a name that hides which half it is, or where one is."""
    if path.suffix != _SUFFIX or path.name.endswith(PUBLIC_SUFFIX) or path.name == _SUFFIX:
        raise UsageError("not a name for a private key's file", thing=str(path), remedy="write NAME.pem")
    if not path.absolute().parent.is_dir():
        raise UsageError("no such folder", thing=str(path.absolute().parent), remedy="make it first")
    public_path = path.with_name(f"{path.stem}{PUBLIC_SUFFIX}")
    for file in (path, public_path):
        if file.exists() or file.is_symlink():
            raise UsageError("the key exists", thing=str(file), remedy="choose another name")
    return path, public_path


def _new_passphrase(path: Path, descriptor: int | None) -> bytes:
    if descriptor is not None:
        passphrase = passphrase_from(descriptor)
    elif sys.stdin.isatty():
        passphrase = getpass.getpass(f"Passphrase for {safe(path.name)}: ").encode()
        if getpass.getpass("Repeat it: ").encode() != passphrase:
            raise UsageError("the two passphrases differ", thing=str(path), remedy="run the command again")
    else:
        raise UsageError("a passphrase is needed", thing=str(path), remedy="give it with --passphrase-fd 3 3< FILE")
    if not passphrase:
        raise UsageError("the passphrase is empty", thing=str(path), remedy="give one of at least a character")
    return passphrase


def _public(path: Path, descriptor: int | None) -> PublicKey:
    """The public half in a public key's file, or of a private key, which is opened for it: no other file vouches."""
    if path.is_file() and b"PRIVATE KEY-----" in read_small(path, limits.KEY_FILE):
        return open_key(path, descriptor).public
    return load_public(path)


def open_key(path: Path, descriptor: int | None) -> PrivateKey:
    """A person's private key, which never leaves this machine; says on stderr where others may read its file.

    `descriptor`: where its passphrase is read from; None asks at the terminal. Raises UsageError.
    """
    if not path.is_file():
        raise UsageError("no such key", thing=str(path), remedy=f"make one with: {NAME} create NAME.pem")
    if not is_encrypted(read_small(path, limits.KEY_FILE)):
        passphrase = None
    elif descriptor is not None:
        passphrase = passphrase_from(descriptor)
    elif sys.stdin.isatty():
        passphrase = getpass.getpass(f"Passphrase of {safe(path.name)}: ").encode()
    else:
        raise UsageError("a passphrase is needed", thing=str(path), remedy="give it with --passphrase-fd 3 3< FILE")
    key = load_private(path, passphrase)
    if warning := exposure(path):
        print(f"{NAME.partition(' ')[0]}: {safe(warning)}", file=sys.stderr)
    return key


def _to_compare(public: PublicKey) -> list[str]:
    return [f"fingerprint {public.fingerprint}", f"words {public.words}"]


def _show(asked: argparse.Namespace, public: PublicKey, lines: Sequence[str], **more: str) -> int:
    document = {
        "keyid": public.keyid, "algorithm": public.algorithm, "fingerprint": public.fingerprint, "words": public.words,
        **more,
    }  # fmt: skip
    text = "\n".join(safe(line) for line in lines)
    print(json.dumps(document, indent=2, sort_keys=True) if asked.json else text)
    return 0


def parser() -> Words:
    """The command's words."""
    made = Words(
        prog=NAME,
        description="Your own key, on your own machine: for an officer who decides, or an engineer who signs or"
        " co-signs. Nothing of a station is needed.",
        epilog="Exit status: 0 done, 1 failed, 2 usage.",
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="create|export|fingerprint")
    create = commands.add_parser(
        "create", help="make a key pair",
        description="Make a key pair: FILE, NAME.pem, with your private half, under a passphrase; NAME.pub.pem beside"
        " it with the public half. The last line is the public half's file.",
    )  # fmt: skip
    create.add_argument("file", metavar="FILE", type=Path, help="A new file, NAME.pem.")
    create.add_argument(
        "--algorithm", metavar="A", default=DEFAULT_ALGORITHM,
        help=f"One of {', '.join(CREATABLE)} (default {DEFAULT_ALGORITHM}).",
    )  # fmt: skip
    create.add_argument("--no-passphrase", action="store_true", help="Leave the private half unencrypted.")
    export = commands.add_parser(
        "export", help="print the public half",
        description="Print a key's public half, to be pinned at a station. A private key is opened for it.",
    )  # fmt: skip
    export.add_argument("--out", metavar="FILE", type=Path, help="Write it to a new file.")
    fingerprint = commands.add_parser(
        "fingerprint", help="show what to compare",
        description="Show a key's id, its fingerprint, and the words to read it out by; for your own key and for"
        " another's, before it is pinned.",
    )  # fmt: skip
    for one in (export, fingerprint):
        one.add_argument("file", metavar="FILE", type=Path, help="A public key in PEM, or a private one.")
    for one in (create, export, fingerprint):
        one.add_argument("--passphrase-fd", metavar="N", type=int, help="Read the passphrase from descriptor N.")
        one.add_argument("--json", action="store_true", help="Print one JSON document.")
    return made
