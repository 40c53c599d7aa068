"""What the demo's stations say of deltas: streams with a receipt, with none, and one that sends none (a diode)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.console.doubles import data
from tests.console.doubles.state import DemoState


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the paths of deltas."""
    inside = station.side == "inside"
    match path.strip("/").split("/"):
        case ["v1", "deltas"]:
            return {"items": _deltas_inside() if inside else _deltas_outside(), "next": None}
        case ["v1", "sites"]:
            return {"items": _sites(station), "next": None}
        case ["v1", "kept"]:
            return {"items": _receipts() if inside else [], "next": None}
        case ["v1", "tls"] | ["v1", "tls", "reload"]:
            return {"items": _certificates(), "next": None}
        case ["v1", "transfer-hosts"]:
            return {"items": _hosts(), "next": None}
        case ["v1", "drop-folders"]:
            return {"items": _drops() if inside else [], "next": None}
        case ["v1", "wants"]:
            return {"items": [] if inside else _wants(), "next": None}
        case ["v1", "bundles", bundle, "void"]:
            return {"voided": [bundle]}
    return None


def _sites(station: DemoState) -> list[dict[str, Any]]:
    sent: dict[str, list[str]] = {}
    for one in station.outgoing:
        sent.setdefault(one.stream.partition(".")[2], []).append(one.id)
    return [{"site": site, "bundles": len(ids), "last": max(ids)} for site, ids in sorted(sent.items())]


def _deltas_outside() -> list[dict[str, Any]]:
    return [
        {
            "stream": "alpha.bravo", "last_sequence": 8, "receipt": 3, "receipt_created": "2026-04-25T07:30:00Z",
            "receipt_taken": "2026-04-25T16:12:40Z", "inventory": True, "confirmed_sequence": 5,
            "confirmed_blobs": 1_802, "confirmed_bytes": 48 * data.GB, "carried_blobs": 2_184,
            "carried_bytes": 61 * data.GB, "want_lists": 1,
        },
        {
            "stream": "alpha.delta", "last_sequence": 31, "last_at": "2026-05-03T17:05:00Z", "carried_blobs": 940,
            "carried_bytes": 22 * data.GB,
        },
        {
            "stream": "alpha.echo", "last_sequence": 4, "receipt": 1, "receipt_created": "2026-03-30T10:00:00Z",
            "receipt_taken": "2026-04-02T08:20:11Z", "inventory": False, "confirmed_sequence": 3,
            "carried_blobs": 122, "carried_bytes": 9 * data.GB,
        },
    ]  # fmt: skip


def _deltas_inside() -> list[dict[str, Any]]:
    return [
        {
            "stream": "bravo.charlie",
            "last_sequence": 3,
            "last_at": data.day(59, "16:10:00"),
            "carried_blobs": 204,
            "carried_bytes": 6 * data.GB,
        },
    ]


def _receipts() -> list[dict[str, Any]]:
    made: tuple[tuple[int, str, int, int, list[str]], ...] = (
            (3, "2026-04-25T07:30:00Z", 1_802, 48 * data.GB, ["alpha.bravo", "foxtrot.bravo"]),
            (2, "2026-04-11T07:30:00Z", 1_610, 41 * data.GB, []),
            (1, "2026-03-28T07:30:00Z", 0, 0, []))  # fmt: skip
    return [
        {"number": number, "digest": data.digest(f"receipt {number}"), "created": created, "pinned_blobs": blobs,
         "pinned_bytes": held, "streams": streams}
        for number, created, blobs, held, streams in made
    ]  # fmt: skip


def _wants() -> list[dict[str, Any]]:
    digest = data.digest("want-list 1")
    return [{"digest": digest, "bundle": "alpha.bravo-000006", "stream": "alpha.bravo", "taken": data.day(61)}]


def _hosts() -> list[dict[str, Any]]:
    """Two, the second with names and settings as long as they may plausibly be."""
    long = "transfer-account-of-the-north-coast-registry"
    return [
        {"name": "dropzone", "address": "sftp.example", "user": "lockgate", "folder": "/incoming", "through": "",
         "host_keys": [f"SHA256:{'u' * 43}"], "hours": ["20:00-06:00"], "rate": 20 * 10**6, "parallel": 4,
         "compare": True},
        {"name": "guard-of-the-south-valley-enclave", "address": "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65022",
         "user": long, "folder": "/srv/cross-domain/from-the-outside/incoming", "through": "dropzone",
         "host_keys": [f"SHA256:{'u' * 43}", f"SHA256:{'v' * 43}"], "hours": [], "rate": 0, "parallel": 16,
         "compare": False},
    ]  # fmt: skip


def _drops() -> list[dict[str, Any]]:
    half = "it has not come yet: volumes/0002.7z, volumes/0003.7z"
    bundles = [{"id": f"alpha.bravo-{number:06d}", "state": state, "why": why, "job": "", "at": ""}
               for number, state, why in ((7, "imported", ""), (8, "waits", half))]  # fmt: skip
    return [{"name": "incoming", "path": "/srv/incoming", "fault": "", "others": 2, "more": False, "bundles": bundles}]


def _certificates() -> list[dict[str, Any]]:
    names = ["registry.bravo.example", "bravo", "localhost", "127.0.0.1",
             "registry.of-the-south-valley-enclave.internal.example"]  # fmt: skip
    return [
        {"name": "server", "path": "/srv/bravo/tls/server.pem", "not_after": "2026-05-11T06:30:00Z", "days": 6,
         "names": names},
        {"name": "ca", "path": "/srv/bravo/tls/ca.pem", "not_after": "2036-05-01T06:30:00Z", "days": 3650, "names": []},
    ]  # fmt: skip
