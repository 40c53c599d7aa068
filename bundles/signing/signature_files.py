"""Signatures as files beside what they are over: `FILE.<keyid>.<kind>`, a key's algorithm naming its kinds exactly.

| key | files |
|---|---|
| ECDSA, Ed25519, RSA | `.sig` |
| SSH, FIDO tokens | `.sshsig` |
| a certificate's, below a pinned root | `.cms` (bundles.signing.cms) |
| hybrid | `.sig` (ECDSA) and `.mldsa` (ML-DSA-87): both |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from bundles.signing import hybrid
from bundles.signing.ssh import keys, sshsig

KINDS: Final = ("sig", "sshsig", "mldsa", "cms")
_NAME: Final = re.compile(r"(?P<stem>.+)\.(?P<keyid>[0-9a-f]{16})\.(?P<kind>sig|sshsig|mldsa|cms)\Z", re.DOTALL)
_CMS_BEGIN: Final = b"-----BEGIN CMS-----"


def parse_name(name: str, stem: str) -> tuple[str, str] | None:
    """The keyid and kind of a signature file over `stem`, or None for another name."""
    match = _NAME.match(name)
    return None if match is None or match["stem"] != stem else (match["keyid"], match["kind"])


def kinds_of(algorithm: str) -> tuple[str, ...]:
    """The files that a key of this algorithm leaves."""
    if algorithm == hybrid.ALGORITHM:
        return ("sig", "mldsa")
    return ("sshsig",) if algorithm in keys.ALGORITHMS else ("sig",)


def files_of(stem: str, keyid: str, signature: bytes) -> dict[str, bytes]:
    """A signature that was just made, as its files: name to bytes."""
    if signature.startswith(sshsig.BEGIN):
        return {f"{stem}.{keyid}.sshsig": signature}
    if signature.startswith(_CMS_BEGIN):
        return {f"{stem}.{keyid}.cms": signature}
    if len(signature) > hybrid.POST_QUANTUM_LENGTH:
        first, second = hybrid.split(signature)
        return {f"{stem}.{keyid}.sig": first, f"{stem}.{keyid}.mldsa": second}
    return {f"{stem}.{keyid}.sig": signature}


def join(algorithm: str, found: Mapping[str, bytes]) -> bytes | None:
    """A key's files (kind to bytes) as one signature; None where they are not exactly those of its algorithm."""
    kinds = kinds_of(algorithm)
    if set(found) != set(kinds):
        return None
    if algorithm == hybrid.ALGORITHM and len(found["mldsa"]) != hybrid.POST_QUANTUM_LENGTH:
        return None
    return b"".join(found[kind] for kind in kinds)


def by_key(names: Iterable[str], stem: str) -> dict[str, dict[str, str]]:
    """The signature files over `stem` among `names`: keyid to kind to name."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if (parsed := parse_name(name, stem)) is not None:
            found.setdefault(parsed[0], {})[parsed[1]] = name
    return found
