"""Transfers by SFTP and drop folders in words: what lies where, and how fast it went. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.api.jobs import Job
from appliance.api.transfers import DropFolder, TransferHost
from bundles.io.display import safe
from tui.terminal.texts import count, size

KINDS: Final = ("sftp-push", "sftp-pull", "sftp-list")
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS: Final = "_.-:=+*#"


@dataclass(frozen=True)
class Lying:
    """A bundle, or what speaks of a folder, that lies at `where`: a host's (`host`) or a drop folder."""

    where: str
    id: str
    state: str
    why: str = ""
    host: bool = False


def on_host(result: Mapping[str, Any]) -> list[Lying]:
    """What a look at a transfer host found."""
    where = f"{result.get('host', '')}:{result.get('folder', '')}".rstrip(":")
    found = [
        Lying(where, str(one["id"]), "whole" if one["whole"] else "on its way", count(one["volumes"], "volume")
              if one["whole"] else f"SHA256SUMS is not there yet; {count(one['volumes'], 'volume')} so far", host=True)
        for one in result.get("bundles", ())
    ]  # fmt: skip
    others = len(result.get("others", ())) + int(result.get("others_more", 0))
    return found + ([Lying(where, "", "left alone", f"{count(others, 'name')} that is no bundle's")] if others else [])


def in_drops(folders: Sequence[DropFolder]) -> list[Lying]:
    """What lies in the drop folders, and what each bundle waits for."""
    found = []
    for folder in folders:
        if folder.fault:
            found.append(Lying(folder.name, "", "fault", folder.fault))
        found += [Lying(folder.name, one.id, one.state, one.why) for one in folder.bundles]
        if folder.others:
            more = " or more" if folder.more else ""
            found.append(Lying(folder.name, "", "left alone", f"{folder.others}{more} names that are no bundle's"))
    return found


def role_of(one: Lying) -> str:
    """How its state is marked."""
    roles = {"whole": "ok", "imported": "ok", "waits": "wait", "on its way": "wait", "importing": "busy",
             "left alone": "note"}  # fmt: skip
    return roles.get(one.state, "bad")


def host_of(job: Job) -> str:
    """The host of a transfer, as it was asked for."""
    return next((str(job.params[name]) for name in ("to", "from", "at") if job.params.get(name)), "")


def _told(job: Job) -> list[Mapping[str, Any]]:
    """What a transfer's result says of each bundle."""
    result = job.result or {}
    return [one for one in result.get("bundles") or [result] if isinstance(one, Mapping)]


def carried(job: Job) -> int:
    """Bytes of the bundles that a transfer was about."""
    return sum(int(one.get("bytes") or 0) for one in _told(job))


def rate_of(job: Job) -> int:
    """Bytes a second: of one that runs as it goes, of one that is done altogether. 0 where that is not known: of what
    lay there already, or went on where it was cut off, only a part was carried."""
    if not job.final:
        return int(job.rate or 0)
    seconds = float((job.result or {}).get("seconds") or 0)
    whole = not any(one.get("there") or one.get("resumed") for one in _told(job))
    return int(carried(job) / seconds) if whole and seconds > 0 else 0


def sparkline(values: Sequence[int], *, plain: bool = False) -> str:
    """A cell for each value, as high as it is beside the greatest."""
    levels, most = (_ASCII_LEVELS if plain else _LEVELS), max(values, default=0)
    if most <= 0:
        return ""
    return "".join(levels[value * (len(levels) - 1) // most] for value in values)


def rates(jobs: Sequence[Job], *, plain: bool = False) -> str:
    """How fast the last transfers to their end went, the oldest first; empty where none did."""
    done = [rate_of(job) for job in reversed(jobs) if job.state == "done" and job.kind != "sftp-list"]
    known = [rate for rate in done if rate][-40:]
    return f"{sparkline(known, plain=plain)}  last {size(known[-1])}/s, fastest {size(max(known))}/s" if known else ""


def about_host(one: TransferHost) -> list[tuple[str, str]]:
    """What its settings say, a name and a text each."""
    limit = f"{size(one.rate)}/s at most" if one.rate else "no limit"
    through = f", through {safe(one.through)}" if one.through else ""
    compared = "what is sent is read back" if one.compare else "what is sent is NOT read back"
    return [
        ("host", safe(f"{one.name}: {one.user}@{one.address} {one.folder}")),
        ("host key", safe(", ".join(one.host_keys))),
        ("carries", f"{limit}, {count(one.parallel, 'file')} at once, {compared}{through}"),
        ("hours", safe(", ".join(one.hours)) + " UTC" if one.hours else "always"),
    ]
