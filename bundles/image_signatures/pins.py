"""The keys and roots that are pinned for images. Every one of them is tried: no document chooses its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bundles.errors import LockgateError
from bundles.image_signatures.verdict import Refusal, refused
from bundles.signing import certificates
from bundles.signing.signatures import ALGORITHMS, RSA, Hashed
from bundles.signing.trust import TrustFolder, TrustRecord

PURPOSE: Final = "image"
_BARE: Final = frozenset({*ALGORITHMS, RSA})
"""Algorithms of keys that sign images themselves: what cosign and Sigstore sign by. An Ed25519 key signs the bytes
(RFC 8032, Ed25519), never their hash (Ed25519ph)."""


@dataclass(frozen=True, slots=True)
class Pins:
    """What a trust folder says of images at a time (UTC text): bare keys, and X.509 roots."""

    keys: tuple[TrustRecord, ...]
    roots: tuple[TrustRecord, ...]
    at: str

    @classmethod
    def of(cls, folder: TrustFolder, at: str) -> Pins:
        """Those of a folder, revoked ones among them: that a revoked key made a signature is to be said."""
        records: Sequence[TrustRecord] = [one for one in folder.records if PURPOSE in one.purposes]
        keys = tuple(one for one in records if one.key.algorithm in _BARE)
        return cls(keys, tuple(one for one in records if one.key.algorithm == certificates.ALGORITHM), at)

    def signer(self, data: bytes | Hashed, signature: bytes) -> TrustRecord:
        """The pinned key that made the signature. Who asks for several signatures over the same bytes hands them in as
        `Hashed`. Raises RefusedError: no pinned key did, or it does not count now."""
        hashed = data if isinstance(data, Hashed) else Hashed(data)
        for record in self.keys:
            if record.key.verify_hashed(hashed, signature):
                return self.counting(record)
        raise refused(Refusal.UNKNOWN_KEY, "no key that is pinned here for images made the signature")

    def root(self, der: bytes) -> TrustRecord:
        """The pinned root with this encoding. Raises RefusedError as `signer`."""
        for record in self.roots:
            if record.key.encoded == der:
                return self.counting(record)
        raise refused(Refusal.UNKNOWN_ROOT, "the chain ends in a root that is not pinned here for images")

    def counting(self, record: TrustRecord) -> TrustRecord:
        """The record, where it counts at `at`. Raises RefusedError."""
        objection = record.objection(PURPOSE, self.at)
        if objection is not None:
            code = Refusal.KEY_REVOKED if record.revoked is not None else Refusal.KEY_NOT_VALID
            raise PinError(record, code, objection)
        return record


class PinError(LockgateError):
    """A signature that holds, by a pinned key that does not count (any more). `record` is the key's."""

    exit_status = 3

    def __init__(self, record: TrustRecord, code: Refusal, what: str) -> None:
        super().__init__(what, code=code.value)
        self.record = record
