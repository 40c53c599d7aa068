"""What a transfer host asks for: keys, certificates and passwords, from where the station may keep them.

A secret is a credential of the service (`$CREDENTIALS_DIRECTORY`, systemd.exec(5)), a file of the station's folder that
nobody else can read, or what whoever began the job handed over in memory. None is an argument, a setting or in a log.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

from appliance.limits import transfer as limits
from appliance.settings.transfer_hosts import TransferHostSettings
from bundles.errors import LockgateError, RefusedError, UsageError
from bundles.io.files import read_small

_EXPOSED: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one transfer host is shown: `keys` in the order in which they are tried, and a password or None."""

    keys: tuple[Any, ...]
    password: str | None


def secrets_of(root: Path, name: str, settings: TransferHostSettings, handed: bytes | None) -> Secrets:
    """The keys and password for the host `name`; `handed` is the password, or the key's passphrase, that came with a
    job. Raises UsageError, RefusedError, FailedError naming the file."""
    secret = handed if handed is not None else _credential(root, name)
    keys: list[Any] = []
    if settings.key:
        keys.append(_private_key(root / settings.key, name, secret))
    elif (folder := os.environ.get("CREDENTIALS_DIRECTORY")) and (Path(folder) / f"transfer-{name}-key").is_file():
        keys.append(_private_key(Path(folder) / f"transfer-{name}-key", name, secret))
    if settings.agent:
        keys += _agent_keys(Path(settings.agent))
    if settings.certificate:
        _certify(keys, root / settings.certificate)
    password = None
    if settings.password:
        if secret is None:
            raise UsageError("no password for the transfer host", thing=name, remedy=_remedy(name))
        password = secret.decode(errors="surrogateescape")
    if not keys and password is None:
        raise UsageError(
            "nothing to log in with", thing=f"transfer host {name}",
            remedy="name its key, agent or password = true in config.toml",
        )  # fmt: skip
    return Secrets(tuple(keys), password)


def _remedy(name: str) -> str:
    return f"give it with --secret-fd N, or as the systemd credential transfer-{name}"


def _credential(root: Path, name: str) -> bytes | None:
    """The first line of the credential `transfer-NAME`, else of `keys/transfer-NAME.secret`."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / f"transfer-{name}" if folder else None
    if path is None or not path.is_file():
        path = root / "keys" / f"transfer-{name}.secret"
        if not path.is_file():
            return None
        _require_closed(path)
    return read_small(path, limits.SFTP_SECRET).split(b"\n", 1)[0].rstrip(b"\r")


def _require_closed(path: Path) -> None:
    """Raises RefusedError for a secret that other accounts can read."""
    if path.stat().st_mode & _EXPOSED:
        raise RefusedError("other accounts can read a secret", thing=str(path), remedy=f"chmod 600 {path}")


def _private_key(path: Path, name: str, passphrase: bytes | None) -> Any:
    """A private key of OpenSSH's or PEM's form; RSA, ECDSA or Ed25519."""
    import paramiko  # here: loading it takes a fifth of a second
    from cryptography.exceptions import UnsupportedAlgorithm

    if not path.is_file():
        raise UsageError("no such private key", thing=str(path), remedy="check `key` of the transfer host")
    _require_closed(path)
    raw = read_small(path, limits.SFTP_SECRET).decode(errors="replace")
    word = None if passphrase is None else passphrase.decode(errors="surrogateescape")
    is_locked = False
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(StringIO(raw), word)
        except paramiko.PasswordRequiredException:
            is_locked = True
        except (paramiko.SSHException, ValueError, TypeError, IndexError, UnicodeError, UnsupportedAlgorithm):
            continue
    if is_locked:
        raise UsageError("the private key needs a passphrase", thing=str(path), remedy=_remedy(name))
    raise UsageError(
        "the private key cannot be used", thing=str(path),
        remedy="give an RSA, ECDSA or Ed25519 key as ssh-keygen makes it, and its right passphrase",
    )  # fmt: skip


def _agent_keys(path: Path) -> list[Any]:
    """The keys of an agent. Raises UsageError where there is none."""
    import paramiko

    if not path.is_socket():
        raise UsageError("no agent is there", thing=str(path), remedy=f"start one: ssh-agent -a {path}")
    os.environ["SSH_AUTH_SOCK"] = str(path)  # paramiko's only way to name one; this is a job's own process
    try:
        keys = list(paramiko.Agent().get_keys())
    except (OSError, paramiko.SSHException):
        keys = []
    if not keys:
        raise UsageError("the agent holds no key", thing=str(path), remedy=f"SSH_AUTH_SOCK={path} ssh-add FILE")
    return keys


def _certify(keys: Sequence[Any], path: Path) -> None:
    """Give the certificate at `path` to the key that it is for. Raises UsageError."""
    import paramiko

    try:
        text = read_small(path, limits.SFTP_SECRET).decode()
        blob = paramiko.pkey.PublicBlob.from_string(text)
    except (LockgateError, ValueError, UnicodeError, paramiko.SSHException):
        raise UsageError(
            "the certificate cannot be used", thing=str(path), remedy="give the FILE-cert.pub that ssh-keygen -s made"
        ) from None
    for key in keys:
        # A certificate holds its key's fields as they stand in the key, behind the type (PROTOCOL.certkeys).
        if key.asbytes()[4 + len(key.get_name()) :] in blob.key_blob and blob.key_type.startswith(key.get_name()):
            key.load_certificate(text)
            return
    raise UsageError("no key is the certificate's", thing=str(path), remedy="name the key that it was made for")
