"""What earlier inspections found in a blob: the same bytes, by their digest, hold the same.

The bytes are hashed again whenever they come in or are stood on, so a blob that was looked through need not be looked
through for every bundle that names it. Rows are authenticated by a key that is not in the database
(`keys/findings.key`): a row that anything else wrote does not count, and the blob is looked through again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from pathlib import Path
from typing import Any, Final

from appliance.archives.findings import RULES, Looked, RuleFindings
from appliance.limits import archives as archives_limits
from appliance.limits import intake as limits
from appliance.mac_key import mac_key
from appliance.store.ports import Reader
from appliance.store.reads.intake import layer_findings
from appliance.store.writes.intake import LayerRow

LOOK: Final = 10
"""Counts up when the looking changes: what an older program found does not count."""

_KEPT_MOST: Final = 1024 * 1024
"""Characters of findings that are kept of a blob; one with more is looked through again."""


class Notebook:
    """Findings by blob. What is new is in `rows`, to be kept when the report is made."""

    def __init__(self, reader: Reader | None = None, key: bytes = b"") -> None:
        """Nothing is recalled or kept without a reader and a key."""
        self._reader, self._key = reader, key
        self._turn, self._room = threading.Lock(), limits.FINDINGS_KEPT
        self.rows: list[LayerRow] = []

    def recall(self, digest: str) -> Looked | None:
        """What was found in a blob, or None where this program never looked or did not write the row."""
        if self._reader is None or not self._key:
            return None
        row = layer_findings(self._reader, digest, LOOK)
        if row is None or not hmac.compare_digest(self._mac(digest, row[0]), str(row[1]).encode()):
            return None
        kept = json.loads(row[0])
        found = {rule: RuleFindings(one["count"], one["size"], one["listed"]) for rule, one in kept["found"].items()}
        return Looked(kept["content"], kept["entries"], found, tables=kept["tables"], names=kept["names"])

    def keep(self, digest: str, looked: Looked) -> None:
        """Note a blob that was looked through to its end. From any thread."""
        if not self._key:
            return
        kept = {"content": looked.content, "entries": looked.entries, "found": _plain(looked)}
        kept |= {"tables": looked.tables, "names": looked.names}
        text = json.dumps(kept)
        with self._turn:
            if len(text) <= min(_KEPT_MOST, self._room):
                self._room -= len(text)
                mac = self._mac(digest, text).decode()
                self.rows.append(LayerRow(digest=digest, media_type="", look=LOOK, found=text, mac=mac))

    def _mac(self, digest: str, found: str) -> bytes:
        """The row's authentication code: over the version of the looking, the blob and the findings."""
        message = json.dumps(["layers_inspected", LOOK, archives_limits.FINDINGS, digest, found]).encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest().encode()


def _plain(looked: Looked) -> dict[str, Any]:
    return {
        rule: {"count": found.count, "size": found.size, "listed": found.listed}
        for rule, found in looked.found.items()
        if rule in RULES
    }


def findings_key(path: Path) -> bytes:
    """The key that findings are authenticated with; made where there is none. Raises FailedError."""
    return mac_key(path, after="a new one is made, and what was found before is looked for again")
