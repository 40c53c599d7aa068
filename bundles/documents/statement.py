"""What the inside tells the outside, read from files: a receipt or a want-list, with its one signature beside it.

`FILE` holds the document, `FILE.<keyid>.sig` the signature; the key comes from the reader's own trust folder (purpose
`receipt`, valid now). The signature is verified before the document is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from pathlib import Path

import msgspec

from bundles import limits
from bundles.documents.signed import RECEIPT_TYPE, WANTS_TYPE, Receipt, WantList, check_signature, decode
from bundles.errors import MalformedError, RefusedError
from bundles.io import strict_json
from bundles.io.files import read_small, require_file
from bundles.oci.digest import Digest
from bundles.signing.keys import check_keyid
from bundles.signing.signature_files import by_key, join
from bundles.signing.trust import TrustFolder, TrustRecord


class StatementFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The files of a statement, read and not believed: `name` is the file's path for people, `signatures` are the files
    of one key's signature by kind."""

    name: str
    document: bytes
    keyid: str
    signatures: dict[str, bytes]

    def check(self) -> None:
        """Raises RefusedError for files over the format's ceilings, and for a key id that is none."""
        check_keyid(self.keyid)
        for size, ceiling in (
            (len(self.document), limits.SIGNED_DOCUMENT),
            (len(self.signatures), limits.SIGNATURES),
            (max(map(len, self.signatures.values()), default=0), limits.SIGNATURE_FILE),
        ):
            if size > ceiling:
                raise RefusedError("the file is too large", thing=self.name, remedy=f"the ceiling is {ceiling} bytes")


@dataclass(frozen=True, slots=True)
class Statement:
    """A document whose signature counts, its exact bytes, and the pinned key that signed it."""

    document: Receipt | WantList
    raw: bytes
    signer: TrustRecord

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)


def read_statement(path: Path) -> StatementFiles:
    """The files of a receipt or a want-list, read as they are. Raises UsageError, RefusedError for what is no such."""
    require_file(path)
    raw = read_small(path, limits.SIGNED_DOCUMENT)
    found = by_key((beside.name for beside in path.parent.glob(f"{escape(path.name)}.????????????????.*")), path.name)
    if len(found) != 1:
        raise RefusedError(
            "a receipt has one key's signature beside it", thing=str(path), remedy="copy FILE and FILE.KEYID.sig"
        )
    ((keyid, names),) = found.items()
    files = {kind: read_small(path.with_name(name), limits.SIGNATURE_FILE) for kind, name in names.items()}
    return StatementFiles(name=str(path), document=raw, keyid=keyid, signatures=files)


def verify_statement(files: StatementFiles, trust: TrustFolder, now: str) -> Statement:
    """Verify a receipt's or want-list's signature, then read it. Raises RefusedError naming what does not hold."""
    raw, keyid, pinned = files.document, files.keyid, trust.find(files.keyid)
    signature = (None if pinned is None else join(pinned.key.algorithm, files.signatures)) or b""
    check_signature(raw, keyid, signature, trust, at=now, site=None)
    try:
        document = _decode(raw)
    except MalformedError as error:
        raise RefusedError(error.what, thing=files.name, remedy=error.remedy) from None
    signer = check_signature(raw, keyid, signature, trust, at=now, site=document.site)
    return Statement(document, raw, signer)


def open_statement(path: Path, trust: TrustFolder, now: str) -> Statement:
    """`read_statement` and `verify_statement`."""
    return verify_statement(read_statement(path), trust, now)


def _decode(raw: bytes) -> Receipt | WantList:
    fields = strict_json.loads_canonical(
        raw, ceiling=limits.SIGNED_DOCUMENT, nodes=limits.SIGNED_DOCUMENT_NODES, what="receipt"
    )
    kind = fields.get("type") if isinstance(fields, dict) else None
    if kind == WANTS_TYPE:
        return decode(raw, WantList)
    if kind == RECEIPT_TYPE:
        return decode(raw, Receipt)
    raise MalformedError("not a receipt, and no want-list", thing=repr(kind)[:120])
