"""SoftHSM as a token, one for each process of the tests: its library reads where tokens are when it is loaded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.peer_tools import cannot, require

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN = b"2468"


class Card:
    """A token with keys of which the public halves are known."""

    def __init__(self, folder: Path) -> None:
        self.module = next((Path(one) for one in MODULES if Path(one).is_file()), None)
        require("softhsm2-util")
        if self.module is None:
            cannot("needs SoftHSM's library (packaging/test-peers installs it)")
        tokens = folder / "tokens"
        tokens.mkdir()
        self.configuration = folder / "softhsm2.conf"
        self.configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
        self._folder = folder
        self._util("--init-token", "--free", "--label", "card 1", "--so-pin", "13579", "--pin", PIN.decode())
        self._number = 0

    def _util(self, *words: str | Path) -> None:
        environment = {"SOFTHSM2_CONF": str(self.configuration), "PATH": "/usr/bin:/bin"}
        subprocess.run(["softhsm2-util", *words], check=True, capture_output=True, env=environment)

    def put(self, label: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        self._number += 1
        file = self._folder / f"{label}.pem"
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(key.private_bytes(*form))
        self._util("--import", file, "--token", "card 1", "--label", label, "--id", f"{self._number:02x}", "--pin",
                   PIN.decode())  # fmt: skip

    def uri(self, label: str, token: str = "card 1") -> str:
        return f"pkcs11:token={quote(token)};object={label}?module-path={self.module}"


@contextmanager
def inserted(base: Path) -> Iterator[Card]:
    """The token of this process, below the folder of all of its tests."""
    pytest.importorskip("pkcs11")
    made = _card(base)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SOFTHSM2_CONF", str(made.configuration))
        yield made


@cache
def _card(base: Path) -> Card:
    folder = base / "card"
    folder.mkdir(exist_ok=True)  # where the test before was skipped
    return Card(folder)
