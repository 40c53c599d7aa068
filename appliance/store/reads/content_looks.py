"""What content rules said of blobs and manifests last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from appliance.store.ports import Reader


class KeptLook(NamedTuple):
    """A row as it was written (appliance.store.writes.content_looks.ContentLookRow) or as somebody changed it."""

    digest: str
    at: str
    found: str
    seal: str


def kept_looks(reader: Reader, digests: Sequence[str]) -> Iterator[KeptLook]:
    """The rows of those that were looked at; whoever asks holds each against its seal."""
    for row in reader.execute(
        "SELECT c.digest, c.at, c.found, c.seal FROM json_each(?) j JOIN content_looks c ON c.digest = j.value",
        (json.dumps(list(digests)),),
    ):
        yield KeptLook(*row)
