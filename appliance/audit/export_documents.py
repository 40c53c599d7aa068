"""What an export of the audit log lacks of what its events name: documents of decisions, and approvals of releases.

verify-export.sh asks the same, with stock tools. Events are read as they are: whether the lanes hold is another
question (bundles.documents.audit_log.verify).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from appliance.audit.acts import Act, mark
from appliance.audit.reading import newest
from bundles import limits
from bundles.documents import signed
from bundles.documents.signed import Approval
from bundles.errors import LockgateError
from bundles.io.files import read_small
from bundles.signing import signature_files
from bundles.signing.keys import PublicKey, check_keyid, load_public

_BUNDLES: Final = "bundles"
_DECISIONS: Final = {Act.INTAKE_APPROVE: "approve", Act.INTAKE_REJECT: "reject"}
_LOSE: Final = (Act.RESTORE, Act.REBUILD)
_ASKED: Final = (*_DECISIONS, *_LOSE, Act.AUDIT_EXPORT, Act.INTAKE_RELEASE)
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Undocumented:
    """An event whose document the export lacks. `due`: the document must be there, since the export has the bundle's
    others, and no restore can have lost it."""

    lane: int
    seq: int
    what: str
    due: bool


@dataclass(slots=True)
class _Documents:
    """What the export holds: the bundles' digests, and (decision, keyid, digest) of each document that its signature
    holds for, or whose key is not in the export."""

    digests: set[str] = field(default_factory=set)
    decided: set[tuple[str, str, str]] = field(default_factory=set)

    def approved(self, digest: str) -> bool:
        return any((decision, of) == ("approve", digest) for decision, _, of in self.decided)


def undocumented(folder: Path) -> list[Undocumented]:
    """Decisions without their documents and releases without an approval, the newest first.

    The documents are read after the event of the export, and a decision is recorded before it is in the database:
    within a second before it none is missed. Raises FailedError where a file cannot be read.
    """
    documents = _read(folder)
    export = lost = 0
    undone: set[tuple[str, str, str]] = set()
    lacking: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    for event in newest(folder, marks=tuple(map(mark, _ASKED))):
        act, key = event["act"], (event["act"], event["thing"], event["actor"])
        if event["outcome"] != "done":
            if event["detail"].get("takes_back"):
                undone.add(key)
        elif key in undone:  # recorded first, and then it did not happen
            undone.discard(key)
        elif act == Act.AUDIT_EXPORT:
            export = max(export, event["micros"])
        elif act in _LOSE:
            lost = max(lost, event["micros"])
        elif said := _missing(event, documents):
            lacking.append((said, event))
    found: dict[tuple[str, ...], Undocumented] = {}
    for said, event in lacking:
        decided = event["act"] in _DECISIONS
        if decided and export and event["micros"] >= export - _SECOND:
            continue
        due = event["detail"].get("digest") in documents.digests and not (decided and event["micros"] <= lost)
        if due or said not in found:
            found[said] = Undocumented(event["lane"], event["seq"], " ".join(said), due)  # the oldest that is due
    return list(found.values())


def _missing(event: Mapping[str, Any], documents: _Documents) -> tuple[str, ...]:
    """What an event names that is not there, in words; () for nothing."""
    detail = event["detail"]
    digest, keyid = str(detail.get("digest", "")), str(detail.get("keyid", ""))
    if event["act"] == Act.INTAKE_RELEASE:
        return () if documents.approved(digest) else ("no approval of", digest, "which was released")
    decision = next((word for act, word in _DECISIONS.items() if act == event["act"]), "")
    try:
        check_keyid(keyid)
    except LockgateError:
        return ()
    if not decision or (decision, keyid, digest) in documents.decided:
        return ()
    return (f"no document of the decision ({decision}) of key", keyid, "about", digest)


def _read(folder: Path) -> _Documents:
    found = _Documents()
    for bundle in _folders(folder / _BUNDLES):
        sums = bundle / "SHA256SUMS"
        if not sums.is_file():
            continue
        digest = f"sha256:{hashlib.sha256(read_small(sums, limits.SIGNED_DOCUMENT)).hexdigest()}"
        found.digests.add(digest)
        for path in sorted((bundle / "decisions").glob("*.json")):
            if (said := _decision(path, folder / "keys", digest)) is not None:
                found.decided.add(said)
    return found


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir() and not folder.is_symlink():
        yield from sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _decision(path: Path, keys: Path, digest: str) -> tuple[str, str, str] | None:
    """The decision about a bundle in a document; None where it is none, or its one signature does not hold."""
    try:
        raw = read_small(path, limits.SIGNED_DOCUMENT)
        signatures = signature_files.by_key((one.name for one in path.parent.iterdir()), path.name)
        approval = signed.decode(raw, Approval)
        if approval.digest != digest or set(signatures) != {approval.keyid}:
            return None
        files = {
            kind: read_small(path.parent / name, limits.SIGNATURE_FILE)
            for kind, name in signatures[approval.keyid].items()
        }
        key = keys / f"{approval.keyid}.pem"
        if key.exists() and not holds(load_public(key), raw, files):
            return None
    except LockgateError:
        return None
    return approval.decision, approval.keyid, digest


def holds(key: PublicKey, raw: bytes, files: Mapping[str, bytes]) -> bool:
    """Whether signature files (kind to bytes) are the key's over `raw`. An earlier version kept both halves of a hybrid
    signature in one file."""
    return key.verify_files(raw, files) or (set(files) == {"sig"} and key.verify(raw, files["sig"]))
