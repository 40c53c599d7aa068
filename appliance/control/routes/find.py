"""/v1/find and /v1/media: jump to anything by name, and the media that are mounted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from appliance.control.api import Control, get
from bundles import sums
from bundles.errors import LockgateError

_FOUND: Final = 50
_REAL: Final = frozenset(
    {"ext4", "ext3", "ext2", "vfat", "exfat", "ntfs", "ntfs3", "iso9660", "udf", "xfs", "btrfs", "fuseblk", "tmpfs"}
)
_ROOTS: Final = ("/media", "/mnt", "/run/media")


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def find(request: web.Request) -> web.Response:
        text = request.query.get("q", "").strip()
        limit = min(int(request.query.get("limit", str(_FOUND))), _FOUND)
        items = _names(control, text, limit) if text else []
        return web.json_response({"items": items[:limit], "next": None})

    async def media(_: web.Request) -> web.Response:
        return web.json_response({"items": await asyncio.to_thread(mounted), "next": None})

    return [get("/v1/find", "status", find), get("/v1/media", "media", media)]


def _names(control: Control, text: str, limit: int) -> list[dict[str, str]]:
    """Repositories and tags by part of the name, manifests by digest prefix, intake entries and jobs by id."""
    metadata, read = control.station.metadata, control.station.reader.execute
    found = [
        {"kind": "repository", "text": entry.name, "ref": entry.name}
        for entry in metadata.repositories(limit, "", text)
    ]
    name, _, tag = text.partition(":")
    if metadata.repository_exists(name):
        refs = [f"{name}:{entry.tag}" for entry in metadata.tags(name, limit, "", tag)]
        found += [{"kind": "tag", "text": ref, "ref": ref} for ref in refs]
    hexes = text.removeprefix("sha256:").lower()
    if len(hexes) >= 4 and set(hexes) <= set("0123456789abcdef"):
        rows = read(
            "SELECT r.name, l.digest FROM links l JOIN repositories r ON r.id = l.repository_id"
            " WHERE l.kind = 'manifest' AND l.digest >= ? AND l.digest < ? LIMIT ?",
            (f"sha256:{hexes}", f"sha256:{hexes}g", limit),
        )
        found += [{"kind": "digest", "text": digest, "ref": f"{name}@{digest}"} for name, digest in rows]
    for kind, table in (("intake", "intake"), ("job", "jobs")):
        rows = read(f"SELECT id FROM {table} WHERE instr(id, ?) LIMIT ?", (text, limit))  # noqa: S608  two constants
        found += [{"kind": kind, "text": row[0], "ref": row[0]} for row in rows]
    return found


def mounted() -> list[dict[str, Any]]:
    """Mounted media: below /media, /mnt or /run/media (proc(5), mountinfo), with what they hold."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()[0]
        path = fields[4].encode().decode("unicode_escape")
        if kind not in _REAL or not any(path == root or path.startswith(f"{root}/") for root in _ROOTS):
            continue
        try:
            usage = os.statvfs(path)
            bundles = sorted(entry.name for entry in os.scandir(path) if (Path(entry) / sums.NAME).is_file())
        except (OSError, LockgateError):
            continue
        found.append(
            {
                "path": path,
                "label": Path(path).name,
                "filesystem": kind,
                "size": usage.f_blocks * usage.f_frsize,
                "free": usage.f_bavail * usage.f_frsize,
                "read_only": "ro" in fields[5].split(","),
                "bundles": bundles,
            }
        )
    return found
