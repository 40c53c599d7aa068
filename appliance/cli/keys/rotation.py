"""`lockgate key rotation`: keys that follow keys, said by their site and accepted by two people of another. It works on
the station's folder, whether the station runs or not."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.completion import KEY
from appliance.cli.shared.context import (
    folder_option,
    json_option,
    load_key,
    no_such_key,
    passphrase_option,
    show,
    station_root,
)
from bundles.io.display import safe

if TYPE_CHECKING:
    from appliance.paths import StationPaths
    from appliance.rotations.accepting import Waiting
    from appliance.rotations.folder import Kept
    from bundles.signing.keys import PublicKey

_ID = click.argument("name", metavar="ID")


@click.group()
def rotation() -> None:
    """Keys that follow keys: make, sign, list, show, take, accept."""


@rotation.command()
@click.option("--follow", "pairs", multiple=True, metavar="OLD=NEW", help="The old key, and the one that follows it.")
@click.option("--revoke", "revoked", multiple=True, metavar="KEYID", help="A key that is to count no longer.")
@click.option("--why", required=True, help="The reason, for who accepts it.")
@click.option(
    "--overlap-days", type=click.IntRange(0, 3660), default=30, show_default=True,
    help="Days that the old key counts beside the new one.",
)  # fmt: skip
@folder_option
@json_option
def make(
    root: Path | None, pairs: tuple[str, ...], revoked: tuple[str, ...], why: str, overlap_days: int, as_json: bool
) -> None:
    """Write down which keys of this site follow which, or count no longer. Nobody has signed it yet.

    OLD and NEW are a key's name in the key folder, its id, or a public key's file. Every key that is named by --follow
    signs it next (key rotation sign); then each bundle carries it.
    """
    from appliance.paths import StationPaths
    from appliance.rotations import making
    from bundles.errors import UsageError
    from bundles.signing.keys import check_keyid

    station = station_root(root)
    paths = StationPaths(station)
    successors = []
    for pair in pairs:
        old, found, new = pair.partition("=")
        if not found or not old or not new:
            raise UsageError("--follow names two keys", thing=pair[:120], remedy="write OLD=NEW")
        successors.append((_public(paths, old).keyid, _public(paths, new)))
    for keyid in revoked:
        check_keyid(keyid)
    kept = making.make(station, successors, revoked, why, overlap_days)
    missing = making.unsigned_by(paths, kept)
    document = {**_document(kept), "missing": missing}
    text = f"{kept.id} is to be signed by {', '.join(missing)}\n{kept.id}"
    show(document, as_json, lambda: text)


def _public(paths: StationPaths, name: str) -> PublicKey:
    """A key by its name in the key folder, its id or its file."""
    from appliance.known_keys import find_public_key
    from bundles.errors import MalformedError
    from bundles.signing.keys import PUBLIC_SUFFIX, check_keyid, check_name, load_public

    with contextlib.suppress(MalformedError):
        return find_public_key(paths, check_keyid(name))
    if "/" in name or Path(name).is_file():
        return load_public(Path(name))
    path = paths.keys / f"{check_name(name)}{PUBLIC_SUFFIX}"
    if not path.is_file():
        raise no_such_key(paths.keys, name)
    return load_public(path)


@rotation.command()
@_ID
@click.option("--key", "key_name", type=KEY, metavar="KEY", help="One of the keys that it is to be signed by.")
@click.option(
    "--signature", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="One made elsewhere."
)
@click.option("--of", "keyid", metavar="KEYID", help="Whose the signature in FILE is.")
@passphrase_option
@folder_option
@json_option
def sign(
    root: Path | None,
    name: str,
    key_name: str | None,
    signature: Path | None,
    keyid: str | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Sign a key rotation that was made here, with one of its keys; the old and the new one both sign.

    A root certificate's key signs where it is kept, the bytes of rotations/made/ID.json, as openssl dgst -sha256 -sign
    does; --signature takes the file.
    """
    from appliance.paths import StationPaths
    from appliance.rotations import making
    from appliance.rotations.folder import MADE, load
    from bundles import limits
    from bundles.errors import UsageError
    from bundles.io.files import read_small, require_file

    station = station_root(root)
    paths = StationPaths(station)
    kept = load(paths, MADE, name)
    if (key_name is None) == (signature is None) or (signature is None) != (keyid is None):
        raise UsageError("one key signs", thing=name, remedy="give --key KEY, or --signature FILE with --of KEYID")
    if signature is not None and keyid is not None:
        require_file(signature, "give a signature's file")
        public = making.key_of(paths, kept, keyid)
        kept = making.add_signature(station, name, public, read_small(signature, limits.SIGNATURE_FILE))
    else:
        kept = making.sign(station, name, load_key(station, str(key_name), passphrase_fd))
    missing = making.unsigned_by(paths, kept)
    said = f"still to be signed by {', '.join(missing)}" if missing else "the next bundles carry it"
    show({**_document(kept), "missing": missing}, as_json, lambda: f"{name}: {said}")


@rotation.command("list")
@folder_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The key rotations that were made here, that wait for two people, and that were accepted."""
    from appliance.paths import StationPaths
    from appliance.rotations import accepting, making
    from appliance.rotations.folder import ACCEPTED, MADE, ids, load

    paths = StationPaths(station_root(root))
    carried = {one.id for one in making.carried(paths)}
    rows = [(load(paths, MADE, name), "carried" if name in carried else "to be signed") for name in ids(paths, MADE)]
    came = accepting.waiting(paths)
    rows += [(one.kept, "refused" if one.refusal else "waits") for one in came]
    rows += [(load(paths, ACCEPTED, name), "accepted") for name in ids(paths, ACCEPTED)]
    document = {"rotations": [{**_document(kept), "state": state} for kept, state in rows]}
    lines = [f"{kept.id}  {state}  {_line(kept)}" for kept, state in rows]
    show(document, as_json, lambda: "\n".join(lines) or "no key rotation")


@rotation.command("show")
@_ID
@folder_option
@json_option
def show_(root: Path | None, name: str, as_json: bool) -> None:
    """What a key rotation says: which keys, whose, and what it would change here."""
    from appliance.paths import StationPaths
    from appliance.rotations import accepting
    from appliance.rotations.folder import ACCEPTED, CAME, MADE, find

    paths = StationPaths(station_root(root))
    kept = find(paths, name, CAME, ACCEPTED, MADE)
    document, lines = _document(kept), _lines(kept)
    if kept.place == CAME:
        waiting = accepting.look(paths, kept)
        document |= _waiting(waiting)
        lines += _waiting_lines(waiting)
    show(document, as_json, lambda: "\n".join(lines))


@rotation.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@folder_option
@json_option
def take(root: Path | None, file: Path, as_json: bool) -> None:
    """Take in a key rotation of another site that came as a file, with its signatures beside it. It waits then.

    FILE is what the other station has as rotations/made/ID.json; bundles carry it by themselves.
    """
    from appliance.rotations import accepting
    from bundles import limits
    from bundles.documents.rotation_carried import CarriedRotation
    from bundles.io.files import read_small, require_file
    from bundles.signing.signature_files import by_key

    station = station_root(root)
    require_file(file, "give a key rotation's file")
    beside = by_key((one.name for one in file.parent.iterdir()), file.name.removesuffix(".json"))
    files = {
        keyid: {kind: read_small(file.parent / name, limits.SIGNATURE_FILE) for kind, name in kinds.items()}
        for keyid, kinds in beside.items()
    }
    kept = accepting.take(station, CarriedRotation(read_small(file, limits.KEY_ROTATION), files))
    text = "\n".join([*_lines(kept), f"two people accept it: lockgate key rotation accept {kept.id} --key KEY"])
    show(_document(kept), as_json, lambda: text)


@rotation.command()
@_ID
@click.option("--key", "key_name", type=KEY, required=True, metavar="KEY", help="A release key, by name or PEM.")
@passphrase_option
@folder_option
@json_option
def accept(root: Path | None, name: str, key_name: str, passphrase_fd: int | None, as_json: bool) -> None:
    """Accept a site's key rotation with your own key. It counts once two people have: then the new keys are pinned.

    Look at it first (key rotation show ID), and have the words of the new keys read out where you can.
    """
    from appliance.paths import StationPaths
    from appliance.rotations import accepting
    from appliance.rotations.folder import ACCEPTED, CAME, load

    station = station_root(root)
    kept = load(StationPaths(station), CAME, name)
    outcome = accepting.accept(station, name, load_key(station, key_name, passphrase_fd))
    if outcome.applied:
        kept = load(StationPaths(station), ACCEPTED, name)
    document = {
        **_document(kept), "accepted_by": list(outcome.owners), "applied": outcome.applied,
        "changes": accepting.changes_in_words(outcome.verdict),
    }  # fmt: skip
    second = f"a second person accepts it, too: lockgate key rotation accept {name} --key KEY"
    said = "in force" if outcome.applied else second
    lines = [*_lines(kept), f"accepted by {', '.join(outcome.owners)}", said]
    show(document, as_json, lambda: "\n".join(map(safe, lines)))


def _document(kept: Kept) -> dict[str, Any]:
    said = kept.rotation
    return {
        "id": kept.id,
        "site": said.site,
        "number": said.number,
        "digest": kept.digest,
        "created": said.created,
        "why": said.why,
        "follows": [
            {
                "old": one.follows, "keyid": one.keyid, "algorithm": one.public.algorithm,
                "fingerprint": one.public.fingerprint, "words": one.public.words, "until": one.until,
            }
            for one in said.successors
        ],
        "revokes": [{"keyid": one.keyid, "why": one.why} for one in said.revoked],
        "signed_by": sorted(kept.files),
    }  # fmt: skip


def _line(kept: Kept) -> str:
    said = kept.rotation
    changes = [f"{one.keyid} follows {one.follows}" for one in said.successors]
    changes += [f"{one.keyid} revoked" for one in said.revoked]
    return safe(f"{'; '.join(changes)}: {said.why}")


def _lines(kept: Kept) -> list[str]:
    said = kept.rotation
    lines = [f"{kept.id} of {said.created}: {said.why}", kept.digest]
    for one in said.successors:
        lines += [
            f"{one.keyid} follows {one.follows}, which counts until {one.until}",
            f"  fingerprint {one.public.fingerprint}",
            f"  words {one.public.words}",
        ]
    lines += [f"{one.keyid} is revoked: {one.why}" for one in said.revoked]
    return [safe(line) for line in lines]


def _waiting(waiting: Waiting) -> dict[str, Any]:
    verdict = waiting.verdict
    return {
        "refused": "" if waiting.refusal is None else waiting.refusal.diagnostics(),
        "accepted_by": [one.owner for one in waiting.accepted_by],
        "signed_for_by": [] if verdict is None else [one.owner for one in verdict.signers],
        "left": {} if verdict is None else dict(verdict.left),
        "changes": []
        if verdict is None
        else [
            {
                "keyid": one.keyid, "owner": one.owner, "purposes": list(one.purposes), "sites": list(one.sites),
                "not_after": one.not_after, "revoked": one.revoked is not None,
            }
            for one in verdict.after
        ],
    }  # fmt: skip


def _waiting_lines(waiting: Waiting) -> list[str]:
    if waiting.verdict is None:
        return [safe(f"[!!] it does not count here: {waiting.refusal}")]
    lines = [f"signed by {', '.join(one.owner for one in waiting.verdict.signers)}, pinned here"]
    for one in waiting.verdict.after:
        until = f"revoked: {one.revoked.why}" if one.revoked else f"until {one.not_after}" if one.not_after else "new"
        sites = f" from {', '.join(one.sites)}" if one.sites else ""
        lines.append(f"would be pinned: {one.keyid} of {one.owner} for {', '.join(one.purposes)}{sites}, {until}")
    lines += [f"left as it is: {keyid}, {why}" for keyid, why in waiting.verdict.left.items()]
    by = ", ".join(one.owner for one in waiting.accepted_by)
    lines.append(f"accepted by {by}; a second person accepts it, too" if by else "two people accept it")
    return [safe(line) for line in lines]
