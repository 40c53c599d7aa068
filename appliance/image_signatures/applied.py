"""The policy for images that a station goes by: proposed and signed by people, applied when two have signed it.

The folder `image-policy` holds `policy.json` (applied) and `proposed.json`, each with its signers' signature files
beside it. The audit log says which one was applied last (appliance.image_signatures.logged): a file that is another
one, an older one or gone is an error, so that nobody loosens a policy by exchanging a file. Two people can always apply
the next one over it. A prune of the log says it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.distinct_people import people_behind
from appliance.image_signatures.logged import logged_digest, read_logged
from appliance.paths import StationPaths
from appliance.settings.image_policy import ImagePolicy, PolicyRules, decode, encode
from bundles import limits
from bundles.documents.signed import check_signature
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.io.files import failures_named, make_folder, read_small, write_atomic
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import locked
from bundles.signing.signature_files import by_key, files_of, join
from bundles.signing.trust import TrustFolder, TrustRecord, site_of

_APPLIED: Final = "policy.json"
_PROPOSED: Final = "proposed.json"
_PEOPLE: Final = 2


@dataclass(frozen=True, slots=True)
class Applied:
    """The policy in force, with its digest."""

    policy: ImagePolicy
    digest: str


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature came to: the document, who has signed it so far, and whether it is in force now. `over` says
    what is wrong with the policy before it, "" where nothing is."""

    policy: ImagePolicy
    digest: str
    owners: tuple[str, ...]
    applied: bool
    over: str = ""


def load_applied(paths: StationPaths) -> Applied | None:
    """The policy in force, None where none was applied. Raises RefusedError where the log does not name one, or the
    file is not the one that it names: then nothing is decided by it."""
    wanted, file = logged_digest(paths), paths.image_policy / _APPLIED
    if wanted is None and not (file.exists() or file.is_symlink()):
        return None
    raw = _bytes(file)
    if raw is None or str(Digest.of(raw)) != wanted:
        # A power cut between the event and the file: the document that the log names still lies where it was signed.
        waiting = _waiting(paths)
        if waiting is None or str(Digest.of(waiting)) != wanted:
            raise _not_applied(file, "it is gone" if raw is None else "it is another one than the audit log says")
        raw = waiting
    try:
        policy = decode(raw)
    except MalformedError as error:
        raise _not_applied(file, error.what) from None
    if policy.site != site_of(paths.trust):
        raise _not_applied(file, "it is another site's")
    return Applied(policy, str(wanted))


def _bytes(file: Path) -> bytes | None:
    """A file's bytes, None where it is not there. Raises a LockgateError for what is no small regular file."""
    return read_small(file, limits.IMAGE_POLICY) if file.exists() else None


def _waiting(paths: StationPaths) -> bytes | None:
    """The proposed document's bytes, None where there is none, or what lies there is no small regular file: nobody has
    signed that."""
    try:
        return _bytes(paths.image_policy / _PROPOSED)
    except LockgateError:
        return None


def _not_applied(file: Path, why: str) -> RefusedError:
    return RefusedError(
        f"the policy for images is not the one that was applied ({why})",
        thing=str(file),
        remedy="put the applied one back from a copy, or two people apply the next one:"
        " lockgate policy apply FILE --key KEY",
        code="image-policy",
    )


def proposal_of(paths: StationPaths, rules: PolicyRules) -> ImagePolicy:
    """The document for these rules that would be applied next. Its number is the one above the highest in the log,
    whatever became of that policy's file: two people can always apply another one."""
    logged = read_logged(paths)
    number = 0 if logged is None else logged.number
    if logged is not None and not number:  # an earlier version's word, without a number: the file has it
        applied = load_applied(paths)
        number = 0 if applied is None else applied.policy.number
    return ImagePolicy.of(rules, site_of(paths.trust), number + 1)


def _fault(paths: StationPaths) -> str:
    """What is wrong with the policy that is in force, "" where nothing is."""
    try:
        load_applied(paths)
    except LockgateError as error:
        return f"{error.what}: {error.thing}" if error.thing else error.what
    return ""


def sign(station: Path, rules: PolicyRules, key: PrivateKey) -> Signed:
    """Sign the document for these rules, and apply it where two people have signed it now.

    Another document that was proposed before is given up by this. A policy before it that is lost, exchanged or not
    the log's is no obstacle: the events say what was wrong with it. Raises RefusedError: a key that is not pinned for
    releases, or does not count now; UsageError where the same person has signed it already.
    """
    paths = StationPaths(station)
    with locked(paths.trust):
        return _sign(station, paths, rules, key)


def _sign(station: Path, paths: StationPaths, rules: PolicyRules, key: PrivateKey) -> Signed:
    trust, over = TrustFolder.load(paths.trust), _fault(paths)
    raw = encode(proposal_of(paths, rules))
    policy, digest = decode(raw), str(Digest.of(raw))
    signature = key.sign(raw)
    mine = check_signature(raw, key.public.keyid, signature, trust, at=clock.now(), site=None)
    others = [one for one in _signers(paths, raw, trust) if one.keyid != mine.keyid]
    signers = [*others, mine]
    if others and people_behind(paths, signers) < _PEOPLE:
        raise UsageError(
            "the same person has signed this policy already", thing=mine.owner, remedy="another one signs it, too"
        )
    replacing = {"over": over} if over else {}
    detail = {"keyid": mine.keyid, "owner": mine.owner, "number": policy.number, **replacing}
    with recorded(station, Act.IMAGE_POLICY_SIGN, digest, detail):
        _propose(paths, raw, key.public.keyid, signature)
    owners = tuple(one.owner for one in signers)
    if people_behind(paths, signers) < _PEOPLE:
        return Signed(policy, digest, owners, applied=False, over=over)
    detail = {"number": policy.number, "keyids": [one.keyid for one in signers], "owners": list(owners), **replacing}
    with recorded(station, Act.IMAGE_POLICY_APPLY, digest, detail):
        _copy(paths)
    _remove(paths.image_policy, _PROPOSED)
    return Signed(policy, digest, owners, applied=True, over=over)


def proposed(paths: StationPaths) -> tuple[ImagePolicy, list[TrustRecord]] | None:
    """The document that waits for a second person, with who has signed it; None where none waits."""
    raw = _waiting(paths)
    if raw is None:
        return None
    try:
        return decode(raw), _signers(paths, raw, TrustFolder.load(paths.trust))
    except MalformedError:
        return None


def keep_logged(station: Path) -> None:
    """Say again which policy is applied, so that a prune of the log does not take the word of it along.

    Where another one is applied meanwhile, nothing is said: its own event is newer than what the prune removes. Raises
    RefusedError where the log does not name one.
    """
    paths = StationPaths(station)
    digest = logged_digest(paths)
    if digest is None:
        return
    with locked(paths.trust):
        logged = read_logged(paths)
        if logged is None or logged.fault or logged.digest != digest:
            return
        detail = {"number": logged.number} if logged.number else {}
        with recorded(station, Act.IMAGE_POLICY_KEPT, digest, detail):
            pass


def _signers(paths: StationPaths, raw: bytes, trust: TrustFolder) -> list[TrustRecord]:
    """Whose signatures beside the proposed document count for these very bytes now."""
    folder, found = paths.image_policy, list[TrustRecord]()
    if _waiting(paths) != raw:
        return []
    for keyid, names in by_key((one.name for one in folder.iterdir()), _PROPOSED).items():
        record = trust.find(keyid)
        files = {kind: read_small(folder / name, limits.SIGNATURE_FILE) for kind, name in names.items()}
        signature = None if record is None else join(record.key.algorithm, files)
        if signature is None:
            continue
        try:
            found.append(check_signature(raw, keyid, signature, trust, at=clock.now(), site=None))
        except RefusedError:  # revoked since, or not a release key any more: it counts not
            continue
    return found


def _propose(paths: StationPaths, raw: bytes, keyid: str, signature: bytes) -> None:
    folder = paths.image_policy
    with failures_named(folder, "the policy for images cannot be written"):
        make_folder(folder)
        waiting, logged = _waiting(paths), read_logged(paths)
        if waiting != raw:
            if waiting is not None and logged is not None and str(Digest.of(waiting)) == logged.digest:
                _copy(paths)  # applied, and cut off before its file was there
            _remove(folder, _PROPOSED)
    write_atomic(folder / _PROPOSED, raw, owned=True)
    for name, data in files_of(_PROPOSED, keyid, signature).items():
        write_atomic(folder / name, data, owned=True)


def _copy(paths: StationPaths) -> None:
    """The proposed document becomes the applied one: its signatures first, the document last."""
    folder = paths.image_policy
    with failures_named(folder, "the policy for images cannot be written"):
        names = [one.name for one in folder.iterdir() if one.name.startswith(f"{_PROPOSED}.")]
        for name in names:
            data = read_small(folder / name, limits.SIGNATURE_FILE)
            write_atomic(folder / f"{_APPLIED}{name.removeprefix(_PROPOSED)}", data, owned=True)
        for old in [one for one in folder.iterdir() if one.name.startswith(f"{_APPLIED}.")]:
            if old.name.removeprefix(_APPLIED) not in {name.removeprefix(_PROPOSED) for name in names}:
                old.unlink()
        write_atomic(folder / _APPLIED, read_small(folder / _PROPOSED, limits.IMAGE_POLICY), owned=True)


def _remove(folder: Path, name: str) -> None:
    """Remove a document, first, and its signatures."""
    with failures_named(folder, "the policy for images cannot be written"):
        (folder / name).unlink(missing_ok=True)
        for one in [each for each in folder.iterdir() if each.name.startswith(f"{name}.")]:
            one.unlink()
