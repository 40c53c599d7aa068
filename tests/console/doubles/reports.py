"""The demo's inspection reports: documents as a station's inspectors write them."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from bundles.documents import signed
from bundles.io.display import some
from bundles.oci.digest import Digest
from tests.console.doubles import data

_SIZES = {"base/debian": 52_400_000, "platform/postgres": 161_300_000, "team/payments-api": 84_100_000,
          "team/web-portal": 41_700_000, "charts/payments": 38_200}  # fmt: skip
_SBOM = data.digest("sbom of debian")


def make(name: str, artifacts: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The report about a bundle and its digest."""
    report = signed.Report(
        site="bravo",
        bundle=name,
        digest=data.digest(name),
        created=data.day(64, "13:40:59"),
        sections=[
            signed.Section(inspector=inspector, outcome=outcome, summary=summary, details=details)
            for inspector, outcome, summary, details in _sections(name, artifacts)
        ],
    )
    return msgspec.to_builtins(report), _digest(msgspec.json.encode(report))


@functools.cache
def _digest(report: bytes) -> str:
    """The digest of a report as it is signed: each console of a test makes the same ones."""
    return str(Digest.of(signed.encode(msgspec.json.decode(report, type=signed.Report))))


def _sections(name: str, artifacts: list[dict[str, Any]]) -> list[tuple[str, str, str, dict[str, Any]]]:
    new, moved = artifacts[:1], artifacts[1:]
    kinds = {kind: sum(one["kind"] == kind for one in artifacts) for kind in sorted({one["kind"] for one in artifacts})}
    images = [_tagged(one)["reference"] for one in artifacts if one["kind"] != "chart"]
    return [
        ("integrity", "ok", "24 volumes and 61 blobs are the signed ones; signed by Release Engineering, alpha",
         {"signers": [{"keyid": data.KEYIDS["engineer"], "owner": "Release Engineering, alpha",
                       "algorithm": "ecdsa-p256"}],
          "volumes": 24, "blobs": 61, "requires": 0,
          "says": {"purpose": "monthly update", "authorisation": "CR-2026-407", "classification": "INTERNAL"}}),
        ("artifacts", "ok", ", ".join(f"{number} {kind}" for kind, number in kinds.items()),
         {"kinds": kinds, "artifacts": [_described(one) for one in artifacts]}),
        ("changes", "note" if moved else "ok", f"{len(new)} new, {len(moved)} moved, 0 unchanged tags",
         {"new": [_tagged(one) for one in new], "moved": [_moved(one) for one in moved], "unchanged": [],
          "since": {"bundle": "alpha.bravo-000005", "added": [_named(one) for one in new],
                    "not_carried": [f"team/batch@{data.digest('team/batch:4.0.2')}"]}}),
        ("differences", "note" if moved else "ok",
         f"{min(len(moved), 1)} of {len(moved)} moved tags changes inside;"
         f" {max(len(images) - 1, 0)} of {some(len(images), 'image')} came with a signature",
         {"moved": [_difference(one, first=at == 0) for at, one in enumerate(moved)],
          "images_without_signature": images[-1:]}),
        ("evidence", "ok", "carried, not counted: 6 SBOMs, by syft 1.4.1, 4 signatures, 0 attestations",
         {"standing": "carried, not counted", "images_without_sbom": [], "sbom_tools": ["syft 1.4.1"],
          "carried": [{"kind": "sbom", "subject": one["digest"], "digest": _SBOM} for one in artifacts]}),
        ("signatures", "note", f"{max(len(images) - 1, 0)} of {some(len(images), 'image')} signed by who is pinned here"
         " for images (1 key and roots)",
         {"signed": [{"image": one, "by": "Release Engineering, alpha", "key": data.KEYIDS["engineer"],
                      "format": "cosign"} for one in images[:-1]],
          "unsigned": images[-1:]}),
        ("layers", "note", "14 of 20 blobs are archives, with 41,210 entries: 3 setuid",
         {"blobs": 20, "layers": 14, "entries": 41_210,
          "setuid": [{"image": images[0], "layer": data.digest("layer of debian"), "path": f"usr/bin/{program}",
                      "mode": "4755"} for program in ("su", "mount", "passwd")]}),
    ]  # fmt: skip


def _tagged(artifact: dict[str, Any]) -> dict[str, Any]:
    return {"reference": f"{artifact['repository']}:{artifact['tags'][0]}", "digest": artifact["digest"]}


def _named(artifact: dict[str, Any]) -> str:
    return f"{artifact['repository']}@{artifact['digest']}"


def _described(artifact: dict[str, Any]) -> dict[str, Any]:
    platform = {"platform": "linux/amd64"} if artifact["kind"] == "image" else {}
    size = _SIZES.get(artifact["repository"], 9_000_000)
    return artifact | platform | {"bytes": size, "media_type": "application/vnd.oci.image.manifest.v1+json"}


def _moved(artifact: dict[str, Any]) -> dict[str, Any]:
    tag = _tagged(artifact)
    return {"reference": tag["reference"], "from": data.digest(f"{tag['reference']} before"), "to": tag["digest"],
            "source": "alpha", "bundle": "alpha.bravo-000005"}  # fmt: skip


def _difference(artifact: dict[str, Any], *, first: bool) -> dict[str, Any]:
    size = _SIZES.get(artifact["repository"], 9_000_000)
    found = {"reference": _tagged(artifact)["reference"], "bytes_before": size - size // 40, "bytes": size}
    if not first:
        return found
    return found | {
        "configuration": [{"field": "User", "before": '"root"', "now": '"1000"'}],
        "added": ["libgcrypt20 1.10.1-3", "libssl3 3.0.15-1", "zlib1g 1.2.13-2"],
        "removed": ["libssl3 3.0.14-1", "zlib1g 1.2.13-1"],
    }
