"""The station's MAC keys, and which events of its audit log are its own (bundles.documents.audit_seal,
docs/adr/0019).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance.paths import StationPaths
from bundles.documents.audit_checkpoint import LaneHead, RefusedLane
from bundles.documents.audit_findings import GENESIS
from bundles.documents.audit_log import hash_of
from bundles.documents.audit_seal import SealedLine, Seals, mac_key, read_sealed
from bundles.errors import FailedError, LockgateError
from bundles.signing.keys import PrivateKey, load_private

_PREV: Final = b',"prev":"'


def audit_key(paths: StationPaths) -> PrivateKey:
    """The station's audit key, which signs nothing else. Raises UsageError."""
    return load_private(paths.keys / "audit.pem", None)


def former_keys(paths: StationPaths) -> list[PrivateKey]:
    """The audit keys before it, which a rotation kept; what cannot be read is left out."""
    found = []
    for path in sorted(paths.keys.glob("audit.????????????????.pem")):
        with contextlib.suppress(LockgateError):
            key = load_private(path, None)
            if path.name == f"audit.{key.public.keyid}.pem":
                found.append(key)
    return found


def seals_of(paths: StationPaths) -> Seals:
    """The MAC keys of the station's audit keys. Raises FailedError where the key is missing or is none: without it
    nothing is recorded."""
    try:
        return Seals((mac_key(audit_key(paths)), *(mac_key(key) for key in former_keys(paths))))
    except LockgateError as error:
        raise FailedError(
            f"the audit log cannot be written without its key ({error.what})", thing=str(paths.keys / "audit.pem"),
            remedy="put it back from a backup of keys/",
        ) from None  # fmt: skip


def prev_of(line: bytes) -> str:
    """The `prev` of an event's line: the last in it, since the texts behind it have their quotes escaped."""
    at = line.rfind(_PREV) + len(_PREV)
    return line[at : at + len(GENESIS)].decode(errors="replace")


@dataclass(frozen=True, slots=True)
class SealedState:
    """What the last checkpoint says of the log: whether events behind it carry MACs, each lane's last signed event, and
    the lanes that it does not vouch for. `damaged` says why it is none of this station's ("" where it is)."""

    seals: Seals
    sealed: bool = False
    heads: Mapping[int, LaneHead] = field(default_factory=dict)
    refused: Mapping[int, RefusedLane] = field(default_factory=dict)
    damaged: str = ""

    def must_have_mac(self, lane: int, seq: int) -> bool:
        """Whether an event's place is one from which on each carries a MAC."""
        return self.sealed and (lane not in self.heads or seq >= self.heads[lane].sealed)

    def own(self, lane: int, lines: Iterator[bytes], holding: bytes, without: bytes) -> Iterator[tuple[bytes, bool]]:
        """Of a lane's lines, the newest first and without their newlines: those that hold some bytes and not others,
        each with whether the station wrote it, there; and every line that it did not write.

        The newest line behind the last signed one counts by its MAC, the last signed one by its hash, and each other by
        being the one that the line behind it names: so none counts twice, or in another place.
        """
        head = self.heads.get(lane)
        expected, reached = "", False
        for line in lines:
            known = True
            if self.sealed:
                whole = line + b"\n"
                found = hash_of(whole)
                is_head = head is not None and found == head.head and not reached
                reached = reached or is_head
                if found == expected or is_head:
                    expected = prev_of(line)
                elif not expected and self._is_newest(lane, sealed := read_sealed(whole), head):
                    expected = sealed.prev if sealed is not None else ""
                else:
                    known = False
            if not known or (holding in line and not (without and without in line)):
                yield line, known

    def _is_newest(self, lane: int, line: SealedLine | None, head: LaneHead | None) -> bool:
        """Whether a line stands behind the last signed event of its lane, by its MAC."""
        if line is None or line.lane != lane or (head is not None and line.seq <= head.seq):
            return False
        return self.seals.hold(line)
