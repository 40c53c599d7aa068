"""Where bundles are carried by SFTP: `[transfer_hosts.NAME]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import time
from typing import Final

import msgspec

from bundles.errors import UsageError

_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z|\[[0-9A-Fa-f:.]{2,45}\]\Z")
_HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])\Z")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}\Z")
PORT: Final = 22


class TransferHostSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transfer host: an SSH server that has SFTP. Files are relative to the station's folder, or whole paths.

    `address`: `HOST` or `HOST:PORT`; `user`: the account there; `host_keys`: the fingerprints that its key may have, as
    ssh-keygen -l prints them, and no other key is spoken to. `folder`: where bundles lie on it; relative to where a
    log-in starts. `key`: a private key's file, `certificate`: an OpenSSH certificate for it (or for one that the agent
    has), `agent`: the socket of an ssh-agent, `password`: whether the account has one. `through`: the transfer host
    that it is reached through. `rate`: bytes a second, 0 for no limit; `parallel`: files at once; `hours`: windows
    `HH:MM-HH:MM` in UTC, none for always. `compare`: whether what was sent is read back.
    """

    address: str = ""
    user: str = ""
    host_keys: tuple[str, ...] = ()
    folder: str = ""
    key: str = ""
    certificate: str = ""
    agent: str = ""
    password: bool = False
    through: str = ""
    rate: int = 0
    parallel: int = 4
    hours: tuple[str, ...] = ()
    compare: bool = True


def check_fingerprint(text: str) -> str:
    """A host key's fingerprint, as ssh-keygen -l prints it. Raises UsageError."""
    try:
        whole = _FINGERPRINT.match(text) is not None and len(base64.b64decode(text[7:] + "=", validate=True)) == 32
    except binascii.Error:
        whole = False
    if not whole:
        raise UsageError("not a host key's fingerprint", thing=text[:80], remedy="write it as ssh-keygen -l prints it")
    return text


def split_address(text: str) -> tuple[str, int]:
    """An address as host and port: `HOST`, `HOST:PORT` or `[IPv6]:PORT`. Raises UsageError."""
    host, port = text, str(PORT)
    if ":" in text and not text.endswith("]"):
        host, _, port = text.rpartition(":")
    if not _HOST.match(host) or not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise UsageError("not an SSH server's address", thing=text[:80], remedy='write "HOST" or "HOST:PORT"')
    return host.strip("[]"), int(port)


def check_user(text: str) -> str:
    """An account's name on a transfer host. Raises UsageError."""
    if not _USER.match(text):
        raise UsageError("not the name of an account", thing=repr(text)[:80], remedy="write the name alone")
    return text


def check_folder(text: str) -> str:
    """A folder on a transfer host, "" for where a log-in starts. Raises UsageError."""
    parts = text.split("/")
    if len(text.encode()) > 1000 or not text.isprintable() or ".." in parts or "\\" in text:
        raise UsageError("not a folder of a transfer host", thing=repr(text)[:80], remedy="write it without `..`")
    return text


def parse_hours(text: str) -> tuple[time, time]:
    """A window of time, `HH:MM-HH:MM` in UTC; it may go over midnight. Raises UsageError."""
    match = _HOURS.match(text)
    if match is None or match[1] + match[2] == match[3] + match[4]:
        raise UsageError("not a window of time", thing=repr(text)[:80], remedy='write it in UTC, as "22:00-05:30"')
    return time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
