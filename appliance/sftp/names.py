"""Names that a transfer host says: untrusted text, of any length and any characters."""

from __future__ import annotations

import re
from typing import Final

from appliance.settings.transfer_form import NAME
from appliance.settings.transfer_hosts import TransferHostSettings, check_folder
from bundles.errors import UsageError
from bundles.io.display import safe

_SHOWN: Final = 80
"""Characters of a server's text that are shown."""

BUNDLE: Final = re.compile(r"[a-z0-9-]{1,32}\.[a-z0-9-]{1,32}-[0-9]{6}\Z")
"""The name of a bundle's folder."""


def shown(text: object) -> str:
    """A server's text, fit for a terminal and a log, and short."""
    return safe(str(text)[: 4 * _SHOWN], width=_SHOWN)


def check_bundle(text: str) -> str:
    """A bundle's id, as its folder is called. Raises UsageError."""
    if not BUNDLE.match(text):
        raise UsageError("not a bundle's id", thing=shown(text), remedy="write SOURCE.DESTINATION-000001")
    return text


def find_host(
    hosts: dict[str, TransferHostSettings], text: str, folder: str = ""
) -> tuple[str, TransferHostSettings, str]:
    """A transfer host by `NAME` or `NAME:FOLDER`: its name, its settings, and the folder on it. Raises UsageError."""
    name, colon, behind = text.partition(":")
    settings = hosts.get(name) if NAME.match(name) else None
    if settings is None:
        known = f"there are {', '.join(sorted(hosts))}" if hosts else "there is none yet"
        raise UsageError(
            "no such transfer host",
            thing=shown(name),
            remedy=f"{known}; it is named in config.toml as [transfer_hosts.NAME]",
        )
    chosen = check_folder(behind) if colon else folder or settings.folder
    return name, settings, chosen.rstrip("/") or ("/" if chosen.startswith("/") else "")
