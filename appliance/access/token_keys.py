"""The keys that sign bearer tokens: made and taken away by the control process, read by every worker."""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance import clock
from appliance.limits import access as limits
from bundles.errors import FailedError
from bundles.io.files import make_folder, read_small, write_atomic
from bundles.limits import KEY_FILE

_NAME: Final = re.compile(r"(?P<made>[0-9]{10,12})-[0-9a-f]{16}\Z")
_KEPT: Final = limits.TOKEN_LIFE + 2 * (limits.TOKEN_KEY_SPREAD + limits.TOKEN_KEYS_READ)
"""Seconds a key is kept after another took over: no worker signs with it any more, and no token of it lives."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys as they were read: which signs, and all that verify. `read` is time.monotonic()."""

    kid: str
    signs: ec.EllipticCurvePrivateKey
    verifies: Mapping[str, ec.EllipticCurvePublicKey]
    read: float

    @property
    def stale(self) -> bool:
        """Whether it is time to read them again."""
        return time.monotonic() - self.read > limits.TOKEN_KEYS_READ


def rotate(folder: Path) -> bool:
    """Make a key where there is none that is young enough, and take away those that are done. Blocking.

    Returns whether one was made. Only the control process calls this.
    """
    make_folder(folder)
    now = clock.seconds(clock.now())
    names = _names(folder)
    made = not names or now - _made(names[-1]) >= limits.TOKEN_KEY_LIFE
    if made:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_atomic(folder / f"{now}-{secrets.token_hex(8)}.pem", pem, 0o600, replace=False, owned=True)
        names = _names(folder)
    for name, after in itertools.pairwise(names):
        if now - _made(after) > _KEPT:
            (folder / f"{name}.pem").unlink(missing_ok=True)
    return made


def load(folder: Path) -> Ring:
    """The keys. Blocking, below a millisecond. Raises FailedError where there are none.

    The newest signs that every worker has read by now: a token is good everywhere from the moment it is given.
    """
    keys: dict[str, ec.EllipticCurvePrivateKey] = {}
    for name in _names(folder):
        try:
            raw = read_small(folder / f"{name}.pem", KEY_FILE)
        except FailedError:  # taken away since the folder was listed
            continue
        key = serialization.load_pem_private_key(raw, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise FailedError("not a key for tokens", thing=str(folder / f"{name}.pem"), remedy="remove the file")
        keys[name] = key
    if not keys:
        raise FailedError("there is no key for tokens", thing=str(folder), remedy="start the station again")
    now = clock.seconds(clock.now())
    known = [name for name in keys if now - _made(name) >= limits.TOKEN_KEY_SPREAD]
    kid = max(known) if known else min(keys)
    publics = {name: key.public_key() for name, key in keys.items()}
    return Ring(kid, keys[kid], MappingProxyType(publics), time.monotonic())


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.pem") if _NAME.match(path.stem))


def _made(name: str) -> int:
    return int(name.partition("-")[0])
