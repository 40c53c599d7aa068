"""Signing with SSH keys: by `ssh-keygen -Y sign`, which asks the agent, the file or the token itself.

What it asks for, a file's passphrase or a token's PIN, its caller was given: it comes through a pipe, by the program
that ssh-keygen asks instead of a person (SSH_ASKPASS, ssh(1)). ssh-keygen has no terminal, so that it never takes
what is typed at the console that it runs below.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.errors import FailedError, MalformedError, UsageError
from bundles.io.files import read_small
from bundles.processes import start
from bundles.signing.ssh import keys, private, sshsig

_PATIENCE: Final = 180
"""Seconds for a person to touch a token."""

_PASSED: Final = ("HOME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""Variables by which ssh-keygen reaches the person's agent (ssh-keygen(1), ENVIRONMENT)."""

_MFD_EXEC: Final = 0x10
"""memfd_create(2), since Linux 6.3: the file may be run."""

_WRONG: Final = "incorrect passphrase"


def is_ssh(data: bytes) -> bool:
    """Whether a key's file is OpenSSH's: a private key, or a public key whose private half an agent holds."""
    return private.is_private(data) or keys.is_line(data)


def public_blob(path: Path, data: bytes) -> bytes:
    """The public half's blob of a key file. Raises UsageError naming the file."""
    try:
        return keys.parse_line(data) if keys.is_line(data) else private.parse(data).blob
    except MalformedError as error:
        raise UsageError(error.what, thing=str(path), remedy=error.remedy) from None


def wants_secret(data: bytes) -> bool:
    """Whether a private key's file is encrypted, or its token asks for a PIN."""
    try:
        sealed = private.parse(data)
    except MalformedError:
        return False
    return sealed.encrypted or sealed.pin


def needs_secret(data: bytes) -> bool:
    """Whether a key file wants one, and the caller's agent does not hold the key."""
    return wants_secret(data) and not private.agent_holds(private.parse(data).blob)


def check(path: Path, secret: bytes) -> None:
    """Open the file with its passphrase, and let go of it; a token's PIN only its token checks.

    Raises UsageError for a wrong passphrase, FailedError with ssh-keygen's reason.
    """
    _keygen(path, ["-y", "-f", str(path.absolute())], secret)


def sign(path: Path, blob: bytes, data: bytes, secret: bytes | None) -> bytes:
    """The signature file over `data`, by the key in `path` or by the agent that holds it.

    Raises FailedError with ssh-keygen's reason; UsageError for a wrong passphrase, and where what came is not the key's
    signature.
    """
    with tempfile.TemporaryDirectory(prefix="lockgate-sign-") as folder:
        message = Path(folder) / "message"
        message.write_bytes(data)
        _keygen(path, ["-Y", "sign", "-f", str(path.absolute()), "-n", sshsig.NAMESPACE, str(message)], secret)
        signature = read_small(message.with_name("message.sig"), limits.SIGNATURE_FILE)
    if not sshsig.holds(blob, data, signature):
        raise UsageError(
            "ssh-keygen signed with another key", thing=str(path), remedy="check the file beside it, and the agent"
        )
    return signature


def _keygen(path: Path, arguments: list[str], secret: bytes | None) -> None:
    program = start.find_program("ssh-keygen")
    if program is None:
        raise FailedError("ssh-keygen is not here", remedy="install OpenSSH's client to sign with SSH keys")
    with _asked(secret) as (answers, descriptors):
        asks = {"SSH_ASKPASS": answers, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
        environment = start.environment(*_PASSED, **asks)
        done = start.run([program, *arguments], env=environment, timeout=_PATIENCE, pass_fds=descriptors, session=True)
    if done is None:
        raise FailedError("ssh-keygen got no answer", thing=str(path), remedy="touch the token when it blinks")
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1][:160] if lines else "no reason given"
        if _WRONG in reason:
            raise UsageError(
                "the passphrase does not open the key", thing=str(path), remedy="type the passphrase again"
            )
        remedy = "check the passphrase, the agent or the token"
        if reason.endswith("bad permissions"):
            remedy = f"shut it with: chmod 600 {path}"
        raise FailedError("ssh-keygen did not sign", thing=reason, remedy=remedy)


@contextlib.contextmanager
def _asked(secret: bytes | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The program that answers ssh-keygen, and the descriptors that it needs: a script in memory (nothing runs in some
    temporary folders) that passes the secret on, once. It says nothing to what is only shown, as the wish for a touch
    is."""
    if secret is None:
        yield str(start.find_program("false") or "/bin/false"), ()
        return
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(secret + b"\n")
        script = _memory()
        try:
            os.write(script, b'#!/bin/sh\n[ "$SSH_ASKPASS_PROMPT" = none ] || exec cat /proc/self/fd/%d\n' % reading)
            yield f"/proc/self/fd/{script}", (reading, script)
        finally:
            os.close(script)
    except OSError as error:
        raise FailedError(
            "ssh-keygen cannot be given the passphrase", thing=str(error), remedy="use ssh-agent"
        ) from None
    finally:
        os.close(reading)


def _memory() -> int:
    try:
        return os.memfd_create("askpass", os.MFD_CLOEXEC | _MFD_EXEC)
    except OSError:  # an older kernel, where every such file may be run
        return os.memfd_create("askpass", os.MFD_CLOEXEC)
