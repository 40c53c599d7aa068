"""Signing with SSH keys: by `ssh-keygen -Y sign`, which asks the agent, the file or the token itself.

A passphrase or a token's PIN is asked for by ssh-keygen at its own terminal and never passes through this process.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.errors import FailedError, MalformedError, UsageError
from bundles.io.files import read_small
from bundles.processes import start
from bundles.signing.ssh import keys, sshsig

PRIVATE: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_PATIENCE: Final = 180
"""Seconds for a person to type a passphrase or to touch a token."""

_PASSED: Final = (
    "HOME", "TERM", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
)  # fmt: skip
"""Variables by which ssh-keygen reaches the person's agent and asks them (ssh-keygen(1), ENVIRONMENT)."""


def is_ssh(data: bytes) -> bool:
    """Whether a key's file is OpenSSH's: a private key, or a public key whose private half an agent holds."""
    return data.startswith(PRIVATE) or keys.is_line(data)


def public_blob(path: Path, data: bytes) -> bytes:
    """The public half's blob of a key file: its own line, the line beside it, or what ssh-keygen says of it.

    Raises UsageError naming the file.
    """
    try:
        if keys.is_line(data):
            return keys.parse_line(data)
        for beside in (path.with_name(f"{path.name}.pub"), path.with_name(f"{path.stem}.pub.pem")):
            if beside.is_file():
                return keys.parse_line(read_small(beside, limits.KEY_FILE))
        return keys.parse_line(_keygen(["-y", "-f", str(path.absolute())]))
    except MalformedError as error:
        raise UsageError(error.what, thing=str(path), remedy=error.remedy) from None


def sign(path: Path, blob: bytes, data: bytes) -> bytes:
    """The signature file over `data`, by the key in `path` or by the agent that holds it.

    Raises FailedError with ssh-keygen's reason; UsageError where what came is not the key's signature.
    """
    with tempfile.TemporaryDirectory(prefix="lockgate-sign-") as folder:
        message = Path(folder) / "message"
        message.write_bytes(data)
        _keygen(["-Y", "sign", "-f", str(path.absolute()), "-n", sshsig.NAMESPACE, str(message)])
        signature = read_small(message.with_name("message.sig"), limits.SIGNATURE_FILE)
    if not sshsig.holds(blob, data, signature):
        raise UsageError(
            "ssh-keygen signed with another key", thing=str(path), remedy="check the file beside it, and the agent"
        )
    return signature


def _keygen(arguments: list[str]) -> bytes:
    program = start.find_program("ssh-keygen")
    if program is None:
        raise FailedError("ssh-keygen is not here", remedy="install OpenSSH's client to sign with SSH keys")
    # It asks for a passphrase, a PIN or a touch at the controlling terminal, which is not its standard input.
    done = start.run([program, *arguments], env=start.environment(*_PASSED), timeout=_PATIENCE)
    if done is None:
        raise FailedError("ssh-keygen got no answer", remedy="touch the token, or type the passphrase sooner")
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1][:160] if lines else "no reason given"
        raise FailedError(
            "ssh-keygen did not sign", thing=reason, remedy="check the passphrase, the agent or the token"
        )
    return done.stdout
