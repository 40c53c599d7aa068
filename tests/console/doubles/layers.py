"""What the demo's stations say is in a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.console.doubles.state import DemoState

_FILES: Final = (
    ("usr/", "folder", 0, "0755", ""),
    ("usr/bin/", "folder", 0, "0755", ""),
    ("usr/bin/web-portal", "file", 18_412_032, "0755", ""),
    ("usr/bin/portal", "link", 0, "0777", "web-portal"),
    ("usr/bin/ping", "file", 76_672, "4755", ""),
    ("etc/", "folder", 0, "0755", ""),
    ("etc/os-release", "file", 267, "0644", ""),
    ("etc/portal/portal.toml", "file", 1_204, "0640", ""),
    ("etc/ssl/certs/ca-certificates.crt", "file", 219_342, "0644", ""),
    ("usr/share/doc/portal/COPYING", "file", 35_149, "0644", ""),
    ("usr/share/doc/portal/README", "hard link", 0, "0644", "usr/share/doc/portal/COPYING"),
    ("var/lib/portal/.wh.cache", "file", 0, "0000", ""),
)


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the path of a layer's files."""
    if path != "/v1/layer/files":
        return None
    sought = str(arguments.get("filter", "")).casefold()
    files = [
        {"path": name, "kind": kind, "size": size, "mode": mode, "link": link}
        for name, kind, size, mode, link in _FILES
        if sought in name.casefold()
    ]
    return [{"files": files, "looked": len(_FILES), "end": True, "why": ""}]
