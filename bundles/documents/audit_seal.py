"""The MAC of an event: that the station wrote it, and not somebody who can write the log's folder.

The member `mac` of an event is the HMAC-SHA-256 (RFC 2104), in hex, of the event's line as it stands without that
member, newline and all. So it covers the event, its lane, its number and the chain's `prev`. The key is derived by
HKDF-SHA-256 (RFC 5869) from the private part of the station's audit key: whoever lacks that key makes no event.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final

from bundles.signing.keys import PrivateKey

MAC: Final = "mac"
_INFO: Final = b"lockgate audit event mac v1"
_BEFORE: Final = b',"micros":'
_AT: Final = b',"mac":"'
_HEX: Final = 64
_TAIL: Final = re.compile(
    rb'","micros":[0-9]{1,17},"outcome":"[a-z]{1,16}","pid":[0-9]{1,10},"prev":"([0-9a-f]{64})",'
    rb'"seq":([1-9][0-9]{0,15}),"thing":"'
)
_LANE: Final = re.compile(rb',"lane":([0-9]{1,2})\Z')


@dataclass(frozen=True, slots=True)
class SealedLine:
    """What a line with a MAC says of its place; the MAC itself is not checked yet."""

    lane: int
    seq: int
    prev: str
    mac: bytes
    text: bytes


def mac_key(key: PrivateKey) -> bytes:
    """The 32 bytes that authenticate events. Raises UsageError for a key that OpenSSH keeps."""
    return key.derive(_INFO)


def mac_of(line: bytes, key: bytes) -> bytes:
    """The MAC, in hex, of an event's line that has none yet."""
    return hmac.digest(key, line, "sha256").hex().encode()


def seal(line: bytes, key: bytes) -> bytes:
    """An event's line with its MAC in it. `line` is bundles.documents.audit_log.line_of's, without one."""
    # The last match is the event's own member: what follows it holds texts alone, whose quotes are escaped.
    at = line.rindex(_BEFORE)
    return line[:at] + _AT + mac_of(line, key) + b'"' + line[at:]


def read_sealed(line: bytes) -> SealedLine | None:
    """Take a line with a MAC apart; None for one without, or in another form than a station writes."""
    at = line.rfind(_AT)
    end = at + len(_AT) + _HEX
    if at < 0 or line.rfind(_BEFORE) != end + 1:  # it is the event's own member, and none within its detail
        return None
    tail, lane = _TAIL.match(line, end), _LANE.search(line, max(0, at - 12), at)
    if tail is None or lane is None:
        return None
    text = line[:at] + line[end + 1 :]
    return SealedLine(int(lane[1]), int(tail[2]), tail[1].decode(), line[end - _HEX : end], text)


@dataclass(frozen=True, slots=True)
class Seals:
    """The MAC keys of a station: that of its audit key first, then those of the audit keys before it."""

    keys: tuple[bytes, ...]

    def hold(self, line: SealedLine | None) -> bool:
        """Whether the line's MAC is right under one of the keys."""
        if line is None:
            return False
        return any(hmac.compare_digest(mac_of(line.text, key), line.mac) for key in self.keys)
