"""Pages to print: a trust folder's review, and the record of a first trust."""

from __future__ import annotations

from typing import Final

from bundles.io.display import safe, some
from bundles.signing.fingerprint_words import GROUP, words_of
from bundles.signing.keys import PublicKey
from bundles.signing.trust import TrustFolder, TrustRecord

_WIDTH: Final = 78
_SIGN: Final = "Name ____________________  Date ____________  Signature ______________________"


def review(folder: TrustFolder, at: str) -> str:
    """Who is believed for what, a few lines a key, to be looked through and signed by an officer."""
    revoked = sum(record.revoked is not None for record in folder.records)
    lines = [
        f"LOCKGATE TRUST REVIEW   site {folder.site}   {at}",
        "=" * _WIDTH,
        f"{some(len(folder.records), 'pinned key')}, {revoked} of them revoked",
        "",
    ]
    for record in sorted(folder.records, key=lambda one: (one.owner, one.keyid)):
        lines += _record(record, folder.site, at)
    lines += ["RULES" if folder.policy.rules else "RULES       no extra rules: one valid signature is enough"]
    for rule in folder.policy.rules:
        demands = [f"{rule.signers} distinct owners"]
        demands += [f"by {' or '.join(rule.algorithms)}"] if rule.algorithms else []
        demands += ["gaps allowed"] if rule.gaps else []
        demands += [f"alarm after {some(rule.silence_days, 'day')}"] if rule.silence_days else []
        lines.append(f"  {rule.purpose} from {rule.site or 'any site'}: {', '.join(demands)}")
    return "\n".join([*(safe(line) for line in lines), "", _SIGN]) + "\n"


def _record(record: TrustRecord, site: str, at: str) -> list[str]:
    streams = ", ".join(f"{source}.{site}" for source in record.sites) or "none"
    if record.revoked is not None:
        state = f"[!!] REVOKED {record.revoked.at}: {record.revoked.why}"
    elif record.not_after is not None and record.not_after < at:
        state = f"[!!] EXPIRED {record.not_after}"
    else:
        state = f"[ok] {record.not_before or 'always'} to {record.not_after or 'always'}"
    return [
        f"{record.owner}: {', '.join(record.purposes)}",
        f"  key {record.keyid} ({record.key.algorithm}), streams {streams}",
        f"  {state}",
        "",
    ]


def ceremony(
    key: PublicKey, *, purpose: str, owner: str, sites: tuple[str, ...], site: str, witness: str, at: str
) -> str:
    """The record of a key's first trust: what was compared, how, by whom."""
    words = words_of(key.fingerprint)
    groups = [" ".join(words[start : start + GROUP]) for start in range(0, len(words), GROUP)]
    digits = [key.fingerprint[start : start + 4] for start in range(0, len(key.fingerprint), 4)]
    lines = [
        "LOCKGATE RECORD OF FIRST TRUST".center(_WIDTH).rstrip(),
        "=" * _WIDTH,
        f"Station     {site}",
        f"Key         {key.keyid} ({key.algorithm})",
        f"Owner       {owner}",
        f"Trusted for {purpose}" + (f", from {', '.join(sites)}" if sites else ""),
        f"At          {at}",
        f"Witness     {witness or '-'}",
        "",
        "The owner read these words over another way than the key came, and they",
        "were typed here and found to be the key's:",
        "",
        *(f"  {number:>2}  {group}" for number, group in enumerate(groups, 1)),
        "",
        f"  {' '.join(digits[:8])}",
        f"  {' '.join(digits[8:])}",
        "",
        "How the owner was known (voice, badge, in person): __________________________",
        "",
        "Officer",
        _SIGN,
        "Witness",
        _SIGN,
    ]
    return "\n".join(safe(line) for line in lines) + "\n"
