"""Blobs held against content rules, without a station."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from typing import Any

from appliance.content_rules.registry import RuleSet, rule_set
from appliance.content_rules.rule import ImageFacts
from appliance.content_rules.watching import BlobLook, BlobWatch
from appliance.malware.findings import Scanned
from appliance.malware.together import Together
from appliance.malware.walk import scan_blob

SALT = b"s" * 32
KEY_PEM = (
    b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n"
    b"-----END PRIVATE KEY-----\n"
)
"""Of RFC 8037, A.1, in the form of RFC 8410: nobody's secret."""


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry, data in entries:
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def entry(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size = len(data)
    for key, value in fields.items():
        setattr(made, key, value)
    return made, data


def look(data: bytes, rules: RuleSet | None = None, seconds: float = 60) -> tuple[BlobLook, Scanned]:
    watch = BlobWatch(rules or rule_set(), SALT)
    scanned = scan_blob(Together(()), io.BytesIO(data), len(data), time.monotonic() + seconds, None, watch)
    return watch.end(), scanned


def found(name: str, data: bytes, **settings: Any) -> list[str]:
    """The paths where a rule finds something."""
    seen, _ = look(data, rule_set([(name, settings)]))
    assert not seen.rules[name].unlooked
    return [one["path"] for one in seen.rules[name].found.listed]


def image_facts(**given: Any) -> ImageFacts:
    fields: Mapping[str, Any] = {
        "runs": True, "media_types": (), "annotations": {}, "config": {}, "layers": (),
        "at": "2026-06-01T00:00:00Z",
    }  # fmt: skip
    return ImageFacts(**{**fields, **given})
