"""First trust: a key is pinned where what its owner read out is its fingerprint, and a page is left to sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bundles.errors import RefusedError, UsageError
from bundles.io.files import write_atomic
from bundles.signing.fingerprint_words import fingerprint_of
from bundles.signing.keys import PublicKey
from bundles.signing.pinning import trust_key
from bundles.signing.printed_pages import ceremony as page
from bundles.signing.trust import TrustFolder, TrustRecord


@dataclass(frozen=True, slots=True)
class FirstTrust:
    """Whose key it is to be, for what and from where, who listened, and the new file that the record goes to."""

    key: PublicKey
    purpose: str
    owner: str
    sites: Sequence[str]
    not_after: str | None
    witness: str
    record: Path

    def carry_out(self, trust: Path, heard: str, at: str) -> TrustRecord:
        """Compare, pin, and write the record. Raises RefusedError where what was heard is not the key's, UsageError
        for words that are none and what `trust_key` refuses; then nothing is pinned."""
        if self.record.exists():
            raise UsageError("the record exists", thing=str(self.record), remedy="give a new file")
        if digits_of(heard) != self.key.fingerprint:
            raise RefusedError(
                "what was read out is not this key's fingerprint", thing=self.key.keyid, remedy="do not trust the file"
            )
        text = page(
            self.key, purpose=self.purpose, owner=self.owner, sites=tuple(self.sites),
            site=TrustFolder.load(trust).site, witness=self.witness, at=at,
        )  # fmt: skip
        pinned = trust_key(
            trust, self.key,
            purpose=self.purpose, owner=self.owner, sites=self.sites, not_after=self.not_after, at=at,
        )  # fmt: skip
        write_atomic(self.record, text.encode(), replace=False)
        return pinned


def digits_of(heard: str) -> str:
    """What was heard, words or digits, as hex. Raises UsageError naming the first wrong word's place."""
    plain = heard.replace(" ", "").replace(":", "").lower()
    if plain and all(letter in "0123456789abcdef" for letter in plain):
        return plain
    try:
        return fingerprint_of(heard)
    except ValueError as error:
        raise UsageError(str(error), thing="what you heard", remedy="have it read again from there") from None
