"""The head of a session: what is sent, in which pieces and under which key, signed by the sending station.

Nothing of a session is believed before its head's signature was found to be that of a key which is pinned for `receipt`
and the site that the head names: the key that a station signs its own statements with.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import struct
from typing import Final

import msgspec

from appliance.diode import datagrams
from appliance.diode.geometry import ALIGNMENT, LEAST_SYMBOL, MOST_SYMBOL, Geometry
from bundles.documents.signed import SESSION_TYPE, check_signature
from bundles.errors import MalformedError, RefusedError
from bundles.io import strict_json
from bundles.io.times import check_time
from bundles.oci.digest import Digest
from bundles.oci.reference import check_site
from bundles.signing.keys import PrivateKey
from bundles.signing.trust import TrustFolder

HEAD: Final = 16 * 1024
"""Bytes of a head with its signature at most: that of a hybrid key takes 5 KB."""

PIECES: Final = 32
"""Pieces of a head at most."""

TABLE: Final = 10_000_000
"""Bytes of a table at most, which is one block: 140,000 blocks, or 1.4 TB."""

SIZE: Final = 1 << 40
"""Bytes of a bundle at most."""

_NODES: Final = 64
_FRONT: Final = struct.Struct(">8sI")
_HEX: Final = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?\Z")
BUNDLE: Final = re.compile(r"([a-z0-9-]{1,32})\.([a-z0-9-]{1,32})-[0-9]{6}\Z")
"""The name of a bundle's folder, with its source and its destination."""


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one run of the sender sends. `number` is 16 random bytes and `salt` 32, in hex; `digest` is the bundle's,
    `size` the bytes of its files together, `symbol` the bytes of a symbol, `table` the sha256 of the table (hex) and
    `table_size` its bytes."""

    type: str = SESSION_TYPE
    site: str
    created: str
    number: str
    salt: str
    bundle: str
    digest: str
    size: int
    symbol: int
    table: str
    table_size: int

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.size, self.symbol)

    @property
    def destination(self) -> str:
        """The site that the bundle is for."""
        return self.bundle.rpartition("-")[0].partition(".")[2]

    @property
    def transfer(self) -> str:
        """What is sent, whoever sends it and however often: the same bytes in the same pieces (32 hex digits)."""
        what = f"{self.bundle}\n{self.digest}\n{self.size}\n{self.symbol}\n{self.table}\n{self.table_size}\n"
        return hashlib.sha256(what.encode()).hexdigest()[:32]

    def key(self, link: bytes) -> bytes:
        """The key of the session's datagrams."""
        return datagrams.session_key(link, bytes.fromhex(self.number), bytes.fromhex(self.salt))

    @property
    def name(self) -> bytes:
        """What its datagrams call it."""
        return bytes.fromhex(self.number)[:8]


def begin(site: str, bundle: str, digest: str, size: int, symbol: int, table: bytes, *, at: str) -> Session:
    """A new session. Raises MalformedError for what no receiver would take."""
    session = Session(
        site=site, created=at, number=secrets.token_hex(16), salt=secrets.token_hex(32), bundle=bundle, digest=digest,
        size=size, symbol=symbol, table=hashlib.sha256(table).hexdigest(), table_size=len(table),
    )  # fmt: skip
    _check(session)
    return session


def seal(session: Session, key: PrivateKey) -> bytes:
    """A head: the id of the key, the document and its signature."""
    raw = strict_json.canonical(msgspec.to_builtins(session))
    return _FRONT.pack(bytes.fromhex(key.public.keyid), len(raw)) + raw + key.sign(raw)


def open_head(head: bytes, trust: TrustFolder, *, at: str) -> Session:
    """The session of a head. Raises RefusedError where a pinned key for its site has not signed it, MalformedError."""
    if not _FRONT.size < len(head) <= HEAD:
        raise MalformedError("not the head of a session", thing=f"{len(head)} bytes")
    keyid, length = _FRONT.unpack_from(head)
    raw, signature = head[_FRONT.size : _FRONT.size + length], head[_FRONT.size + length :]
    check_signature(raw, keyid.hex(), signature, trust, at=at, site=None)
    session = _decode(raw)
    check_signature(raw, keyid.hex(), signature, trust, at=at, site=session.site)
    return session


def _decode(raw: bytes) -> Session:
    fields = strict_json.loads_canonical(raw, ceiling=HEAD, nodes=_NODES, what="the head of a session")
    if not isinstance(fields, dict) or fields.get("type") != SESSION_TYPE:
        raise RefusedError("a document of another type", thing="the head of a session")
    try:
        session = msgspec.convert(fields, Session, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError("a malformed head of a session", thing=str(error)[:160]) from None
    _check(session)
    return session


def _check(session: Session) -> None:
    check_site(session.site)
    check_time(session.created, "created")
    Digest.parse(session.digest)
    match = BUNDLE.match(session.bundle)
    if match is None or match[1] != session.site:
        raise MalformedError("a bundle that is not the sending site's", thing=repr(session.bundle)[:80])
    for text, length in ((session.number, 32), (session.salt, 64), (session.table, 64)):
        if not _HEX.match(text) or len(text) != length:
            raise MalformedError("a number of a session that is none", thing=repr(text)[:80])
    if not LEAST_SYMBOL <= session.symbol <= MOST_SYMBOL or session.symbol % ALIGNMENT:
        raise MalformedError("a symbol of an impossible size", thing=str(session.symbol))
    if not 1 <= session.size <= SIZE or not 1 <= session.table_size <= min(TABLE, session.geometry.block):
        raise MalformedError("a bundle of an impossible size", thing=f"{session.size}, {session.table_size}")


def pieces(head: bytes, link: bytes, room: int) -> list[bytes]:
    """The datagrams of a head, each with at most `room` bytes of it."""
    parts = [head[start : start + room] for start in range(0, len(head), room)]
    name = hashlib.sha256(head).digest()[:8]
    return [
        datagrams.make(link, datagrams.HEAD, bytes((number, len(parts), 0)), name, 0, 0, part)
        for number, part in enumerate(parts)
    ]


class Heads:
    """Heads that come in pieces: at most `_OPEN` at a time, the oldest is given up for a new one."""

    _OPEN: Final = 8

    def __init__(self) -> None:
        self._open: dict[bytes, dict[int, bytes]] = {}

    def take(self, front: datagrams.Front, piece: bytes) -> bytes | None:
        """A head that is whole now, or None."""
        number, count = front.flags[0], front.flags[1]
        if not number < count <= PIECES or len(piece) > HEAD:
            return None
        parts = self._open.setdefault(front.name, {})
        parts[number] = piece
        while len(self._open) > self._OPEN:
            self._open.pop(next(iter(self._open)))
        if len(parts) < count:
            return None
        self._open.pop(front.name, None)
        if sorted(parts) != list(range(count)):
            return None
        head = b"".join(parts[at] for at in range(count))
        return head if len(head) <= HEAD and hashlib.sha256(head).digest()[:8] == front.name else None
