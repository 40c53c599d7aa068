"""The public keys of issuers whose tokens workloads log in with: a JWK Set (RFC 7517) in a file, read anew when it
changes. Nothing is fetched: people carry the file in."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.limits import access as limits
from bundles.errors import FailedError, LockgateError, MalformedError
from bundles.io.files import read_small
from bundles.io.strict_json import loads

_NODES: Final = 4_000
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final[Mapping[str, str]] = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_SETTLED: Final = 2 * 10**9
"""Nanoseconds without a change after which another change of a file has another time: file systems count in steps."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key, and the algorithms that it verifies: none that its own kind does not have. `key` is joserfc's."""

    kid: str
    algorithms: frozenset[str]
    key: Any


def parse_keys(raw: bytes) -> dict[str, IssuerKey]:
    """The keys of a JWK Set by their `kid`. Keys for something else than signatures are left out. Raises
    MalformedError for what is no such set, for a private key or a shared secret in it, and for a name that is there
    twice."""
    ceiling, most = limits.WORKLOAD_KEYS
    document = loads(raw, ceiling=ceiling, nodes=_NODES, what="the set of keys", floats=True)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise MalformedError("not a set of keys", remedy='write {"keys": [...]}, as the issuer publishes it')
    if len(entries) > most:
        raise MalformedError("too many keys", thing=str(len(entries)), remedy=f"the ceiling is {most}")
    found: dict[str, IssuerKey] = {}
    for entry in entries:
        if entry.get("kty") == "oct" or not _PRIVATE.isdisjoint(entry):
            raise MalformedError("a secret among public keys", remedy="carry in what the issuer publishes, and no more")
        if entry.get("use", "sig") != "sig":
            continue
        key = _key(entry)
        if key is None:
            continue
        if key.kid in found:
            raise MalformedError("two keys of one name", thing=repr(key.kid)[:80], remedy="each kid may stand once")
        found[key.kid] = key
    if not found:
        raise MalformedError("no key for signatures", remedy="carry in what the issuer publishes")
    return found


def _key(entry: Mapping[str, Any]) -> IssuerKey | None:
    """One key; None for a kind that verifies nothing here."""
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    kid, kty = entry.get("kid"), entry.get("kty")
    if not isinstance(kid, str) or not 0 < len(kid) <= limits.WORKLOAD_SUBJECT:
        raise MalformedError("a key without a name", remedy="each key has a kid")
    wrong = MalformedError("a key that cannot be used", thing=repr(kid)[:80], remedy="carry the issuer's file in anew")
    try:
        if kty == "RSA":
            least, most = limits.WORKLOAD_RSA
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a short key: it is refused below
                key: Any = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
            numbers = key.public_key.public_numbers()
            if not least <= numbers.n.bit_length() <= most or not 3 <= numbers.e < 1 << 32:
                raise wrong
            able = _RSA
        elif kty == "EC" and entry.get("crv") in _CURVES:
            key = ECKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "y")})
            able = frozenset({_CURVES[str(entry["crv"])]})
        elif kty == "OKP" and entry.get("crv") == "Ed25519":
            key = OKPKey.import_key({name: entry[name] for name in ("kty", "crv", "x")})
            able = frozenset({"EdDSA"})
        else:
            return None
        key.public_key  # noqa: B018  made on first use: a point off its curve shows here
    except (JoseError, KeyError, TypeError, ValueError, AttributeError):
        raise wrong from None
    if "alg" in entry:
        able = able & {str(entry["alg"])}
    return IssuerKey(kid, able, key) if able else None


class KeyFile:
    """An issuer's file of keys; one worker's. Looked at once a second at most, and read where it is another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: Mapping[str, IssuerKey] = {}
        self._error: LockgateError | None = None
        self._file: tuple[int, ...] | None = None
        self._looked = -limits.WORKLOAD_KEYS_LOOKED_AT
        self._looking = asyncio.Lock()

    async def keys(self) -> Mapping[str, IssuerKey]:
        """The keys as the file has them now. Never blocks. Raises LockgateError where it cannot be read or used: keys
        from before do not count then."""
        if time.monotonic() - self._looked >= limits.WORKLOAD_KEYS_LOOKED_AT:
            async with self._looking:
                if time.monotonic() - self._looked >= limits.WORKLOAD_KEYS_LOOKED_AT:
                    await asyncio.to_thread(self._look)
                    self._looked = time.monotonic()
        if self._error is not None:
            raise self._error
        return self._keys

    def _look(self) -> None:
        try:
            found = self._path.stat()
            file = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if file == self._file:
                return
            self._keys, self._error = parse_keys(read_small(self._path, limits.WORKLOAD_KEYS[0])), None
            self._file = file if 0 <= found.st_ctime_ns <= time.time_ns() - _SETTLED else None
        except LockgateError as error:
            self._keys, self._file, self._error = {}, None, error
        except OSError as error:
            self._keys, self._file = {}, None
            self._error = FailedError("the file cannot be read", thing=str(self._path), remedy=str(error.strerror))
