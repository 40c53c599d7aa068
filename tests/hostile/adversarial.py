"""Shapes of untrusted bytes that make a careless parser slow, each of any size, and the parser that reads them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import ec

from appliance import patterns, permissions
from appliance.access import tokens
from appliance.access.scopes import parse_scopes
from appliance.archives import tar_fields, tar_stream
from appliance.archives.table_document import Document, Table
from appliance.archives.unpacking import Stream
from appliance.charts.archive import Chart
from appliance.charts.images import rendered_images, written_images
from appliance.jobs.end import append_line
from appliance.outgoing.collect.challenges import challenge_fields
from appliance.outgoing.collect.next_page import next_page
from appliance.registry.conditional import UnsatisfiableError, matches, parse_range
from appliance.registry.errors import RefusedRequestError
from appliance.registry.routes import parse as parse_path
from bundles.documents import audit_log, signed
from bundles.errors import LockgateError
from bundles.format import manifest_codec, sums
from bundles.io import strict_json
from bundles.io.display import safe
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import Reference
from bundles.signing import keys
from bundles.signing.signatures import is_strict_der
from bundles.signing.ssh import keys as ssh_keys
from bundles.signing.ssh import sshsig
from tests.hostile.hostile_tars import TARS
from tests.hostile.hostile_tars import repeated as _of

KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = MappingProxyType({"1700000000-0011223344556677": KEY.public_key()})
DIGEST = Digest.of(b"")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class Shape:
    """`grow(n)` gives about `n` bytes; `read` parses them, and refuses them by its own error."""

    name: str
    read: Callable[[bytes], object]
    grow: Callable[[int], bytes]


def _yaml(data: bytes) -> None:
    written_images(Chart(chart=b"name: a", values=data))
    rendered_images(data)


def _chain(size: int) -> bytes:
    """A mapping whose last value leads through all before it, by their anchors."""
    return b"".join(b"k: &a%06d {k: %s}\n" % (n, b"*a%06d" % (n - 1) if n else b"1") for n in range(size // 24))


def _json(data: bytes) -> None:
    strict_json.loads(data, ceiling=1 << 30, nodes=1 << 30, what="it", floats=True)


def _structure(data: bytes) -> None:
    strict_json.measure(data, nodes=1 << 30, depth=1 << 30)


def _token(data: bytes) -> None:
    tokens.verify(data.decode("latin-1"), KEYS, issuer="a", audience="a", now=0)


def _body(data: bytes) -> None:
    tokens.verify(
        f"{tokens.header_of(next(iter(KEYS)))}.{data.decode('latin-1')}", KEYS, issuer="a", audience="a", now=0
    )


def _range(data: bytes) -> None:
    parse_range(data.decode("latin-1"), None, DIGEST, 100)


def _tags(data: bytes) -> None:
    matches(data.decode("latin-1"), DIGEST)


def _reference(data: bytes) -> None:
    Reference.parse(data.decode("latin-1"))


def _path(data: bytes) -> None:
    parse_path(data.decode("latin-1"))


def _scopes(data: bytes) -> None:
    parse_scopes([data.decode("latin-1")])


def _challenge(data: bytes) -> None:
    challenge_fields(data.decode("latin-1"))


def _shown(data: bytes) -> None:
    safe(data.decode("latin-1"), width=200)


def _audit(data: bytes) -> None:
    audit_log.read_checkpoint(data, keys.create_private().public, "alpha")


def _receipt(data: bytes) -> None:
    signed.decode(data, signed.Receipt)


def _link(data: bytes) -> None:
    next_page(data.decode("latin-1"))


def _log_line(data: bytes) -> None:
    append_line(Path(os.devnull), data.decode("utf-8", "surrogateescape"))


def _table(data: bytes) -> None:
    pieces = iter([data[at : at + 65536] for at in range(0, len(data), 65536)])
    for _ in Table(Document(lambda: next(pieces, b""))).listed():
        pass


def _tar(data: bytes) -> None:
    pieces = iter([data])
    for _ in tar_stream.members(Stream(lambda: next(pieces, b""), len(data), time.monotonic() + 3600)):
        pass


def _pattern(data: bytes) -> None:
    permissions.check_pattern(data.decode("latin-1"))


def _named_by(pattern: str) -> Callable[[bytes], None]:
    """Reads a repository's name by a pattern."""
    assert permissions.check_pattern(pattern) == pattern
    return lambda data: bool(patterns.covers(pattern, data.decode("latin-1"))) and None


def _octal(data: bytes) -> None:
    tar_fields.number(data)


def _der(data: bytes) -> None:
    is_strict_der(data, ORDER)


_BRACKETS = {
    "escaped quotes": _of(b'\\"', b'"'),
    "backslashes": _of(b"\\", b'"'),
    "quotes": _of(b'"'),
    "quoted commas": _of(b'","'),
    "empty strings": _of(b'"",', b"[", b'""]'),
    "escaped quotes that end": _of(b'\\"', b'"', b'"'),
    "open brackets": _of(b"["),
    "closed brackets": _of(b"]"),
    "pairs of brackets": _of(b"[]"),
    "a quote that never ends": _of(b"a", b'["'),
}
_VALUES = {
    "empty lists": _of(b"[],", b"[", b"[]]"),
    "empty objects": _of(b"{},", b"[", b"{}]"),
    "numbers": _of(b"7,", b"[", b"7]"),
    "strings": _of(b'"ab",', b"[", b'""]'),
    "many keys": lambda size: b"{" + b",".join(b'"%08x":7' % number for number in range(size // 13)) + b"}",
    "one key again and again": _of(b'"a":7,', b"{", b'"a":7}'),
    "one long number": _of(b"7"),
    "one long fraction": _of(b"7", b"0."),
    "white space": _of(b" ", b"[", b"]"),
    "escapes": _of(b"\\u00e9", b'"', b'"'),
}
SHAPES = (
    *(Shape(f"structure: {name}", _structure, grow) for name, grow in {**_BRACKETS, **_VALUES}.items()),
    *(Shape(f"json: {name}", _json, grow) for name, grow in {**_BRACKETS, **_VALUES}.items()),
    *(Shape(f"oci manifest: {name}", parse_manifest, grow) for name, grow in _BRACKETS.items()),
    *(
        Shape(f"bundle manifest: {name}", manifest_codec.decode, grow)
        for name, grow in {**_BRACKETS, **_VALUES}.items()
    ),
    *(Shape(f"receipt: {name}", _receipt, grow) for name, grow in _BRACKETS.items()),
    *(Shape(f"checkpoint: {name}", _audit, grow) for name, grow in _BRACKETS.items()),
    *(Shape(f"table of contents: {name}", _table, grow) for name, grow in {**_BRACKETS, **_VALUES}.items()),
    Shape("table of contents: blanks", _table, _of(b" ")),
    Shape("table of contents: entries", _table, _of(b'{"type":"dir","name":"a"},', b'{"version":1,"entries":[')),
    Shape("table of contents: chunks", _table, _of(b',{"type":"chunk"}', b'{"entries":[{"type":"reg"}')),
    Shape("table of contents: one entry", _table, _of(b'"a",', b'{"version":1,"entries":[{"xattrs":[')),
    Shape("table of contents: one text", _table, _of(b'\\"', b'{"version":1,"entries":[{"name":"')),
    Shape("yaml: anchors", _yaml, _chain),
    Shape(
        "yaml: directives", _yaml, lambda size: b"".join(b"%%TAG !a%d! x\n" % n for n in range(size // 15)) + b"--- a"
    ),
    Shape("yaml: off", _yaml, lambda size: b"".join(b"k%d: {enabled: false}\n" % n for n in range(size // 22))),
    Shape("yaml: documents", _yaml, _of(b"---\n")),
    Shape("yaml: flow", _yaml, _of(b"[")),
    Shape("yaml: comments", _yaml, _of(b" #", b"a")),
    Shape("yaml: quotes", _yaml, _of(b"''", b"'")),
    Shape("sums: empty lines", sums.parse, _of(b"\n")),
    Shape("sums: one line", sums.parse, _of(b"a", after=b"\n")),
    Shape("sums: the same line", sums.parse, _of(b"0" * 64 + b"  manifest.json\n")),
    Shape("sums: digits", sums.parse, _of(b"0" * 64 + b"  volumes/0001.7z \n")),
    Shape("reference: separators", _reference, _of(b"-a", b"a")),
    Shape("reference: dots", _reference, _of(b"a.", after=b"!")),
    Shape("reference: slashes", _reference, _of(b"a/", after=b"!")),
    Shape("reference: colons", _reference, _of(b":a", b"a")),
    Shape("reference: at signs", _reference, _of(b"@a", b"a")),
    Shape("path: slashes", _path, _of(b"/", b"/v2/")),
    Shape("path: escapes", _path, _of(b"%61", b"/v2/")),
    Shape("path: bad escape last", _path, _of(b"%61", b"/v2/", b"%")),
    Shape("range: spaces", _range, _of(b" ", b"bytes=", b"x")),
    Shape("range: spaces after", _range, _of(b" ", b"bytes=1", b"x")),
    Shape("range: spaces at the end", _range, _of(b" ", b"bytes=1-", b"x")),
    Shape("range: digits", _range, _of(b"1", b"bytes=")),
    Shape("range: commas", _range, _of(b"1-2,", b"bytes=")),
    Shape("entity tags: commas", _tags, _of(b",")),
    Shape("entity tags: weak", _tags, _of(b'W/"a",')),
    Shape("entity tags: quotes", _tags, _of(b'"')),
    Shape("scopes: one repository", _scopes, lambda size: b" ".join(b"a:a:%x" % n for n in range(size // 9))),
    Shape("scopes: actions", _scopes, _of(b"pull,", b"repository:a:")),
    Shape("scopes: spaces", _scopes, _of(b" ")),
    Shape("scopes: colons", _scopes, _of(b":")),
    Shape("challenge: open quotes", _challenge, _of(b'realm="', b"Bearer ")),
    Shape("challenge: names", _challenge, _of(b"realm=", b"Bearer ")),
    Shape("challenge: quotes", _challenge, _of(b'"', b'Bearer realm="')),
    Shape("link: open brackets", _link, _of(b"<")),
    Shape("link: brackets", _link, _of(b"<>,")),
    Shape("link: semicolons", _link, _of(b";", b"<a>")),
    Shape("link: quotes", _link, _of(b'"', b"<a>;rel=")),
    Shape("link: escaped quotes", _link, _of(b'\\"', b'<a>;rel="')),
    Shape("link: escaped quotes that end", _link, _of(b'\\"', b'<a>;rel="', b'";rel=next')),
    Shape("link: pieces of a word", _link, _of(b'"a"b', b"<a>;rel=")),
    Shape("link: spaces", _link, _of(b" ", b"<a>;rel=", b"x")),
    Shape("link: spaces and commas", _link, _of(b" ,", b"<a>")),
    Shape("link: equals signs", _link, _of(b"=", b"<a>;rel")),
    Shape("link: relations", _link, _of(b"nexT ", b'<a>;rel="', b'"')),
    *(Shape(f"tar: {name}", _tar, grow) for name, grow in TARS.items()),
    Shape("tar field: spaces", _octal, _of(b" ", after=b"x")),
    Shape("tar field: digits", _octal, _of(b"7", after=b"x")),
    Shape("tar field: digits and spaces", _octal, _of(b"7 ")),
    Shape("tar field: binary", _octal, _of(b"\xff", b"\x80")),
    Shape("log line: line ends", _log_line, _of(b"\n")),
    Shape("log line: controls", _log_line, _of(b"\x1b")),
    Shape("log line: backslashes", _log_line, _of(b"\\")),
    Shape("log line: marks", _log_line, _of("a\u0301".encode())),
    Shape("log line: halves of characters", _log_line, _of(b"\xff")),
    Shape("pattern: stars", _pattern, _of(b"*a")),
    Shape("pattern: separators", _pattern, _of(b"-a", b"a", b"!")),
    Shape("pattern: many separators", _pattern, _of(b"-", b"a", b"!")),
    Shape("pattern: slashes", _pattern, _of(b"/")),
    Shape("name: by stars", _named_by("*a" * 120 + "b"), _of(b"a")),
    Shape("name: by stars between letters", _named_by("a*" * 100 + "b"), _of(b"ab", after=b"c")),
    Shape("name: by components", _named_by("**/" * 60 + "a"), _of(b"a/", after=b"b")),
    Shape("name: by components and stars", _named_by("**/*a*/" * 30 + "b"), _of(b"a/a", after=b"c")),
    Shape("token: dots", _token, _of(b".")),
    Shape("token: escaped quotes", _token, _of(b"IlwiXCJc")),
    Shape("token: a known header", _body, _of(b"A")),
    Shape("token: a known header and dots", _body, _of(b".")),
    Shape("text: controls", _shown, _of(b"\x1b")),
    Shape("ssh key line: base64", ssh_keys.parse_line, _of(b"A", b"ssh-ed25519 ")),
    Shape("ssh key line: names", ssh_keys.parse_line, _of(b"a")),
    Shape("ssh key line: spaces", ssh_keys.parse_line, _of(b" ", b"ssh-ed25519 AAAA")),
    Shape("ssh signature: armour", sshsig.parse, _of(b"-----BEGIN SSH SIGNATURE-----\n")),
    Shape(
        "ssh signature: base64",
        sshsig.parse,
        _of(b"A", b"-----BEGIN SSH SIGNATURE-----\n", b"\n-----END SSH SIGNATURE-----\n"),
    ),
    Shape("ssh signature: binary", sshsig.parse, _of(b"\0", b"SSHSIG\0\0\0\1")),
    Shape("der: long", _der, _of(b"\xff", b"\x30\x84\x7f\xff\xff\xff\x02\x84\x7f\xff\xff\xf0")),
    Shape("der: nested", _der, _of(b"\x30\x80")),
    Shape("public key: blocks", keys.PublicKey.from_pem, _of(b"-----BEGIN A-----\n")),
    Shape("public key: two blocks", keys.PublicKey.from_pem, _of(b"A", b"-----BEGIN A-----\n-----BEGIN A-----\n")),
    Shape(
        "public key: ends", keys.PublicKey.from_pem, _of(b"-----END A-----", b"-----BEGIN B-----\n-----BEGIN B-----\n")
    ),
)


def read(shape: Shape, data: bytes) -> None:
    """Let the parser take or refuse it."""
    with contextlib.suppress(LockgateError, RefusedRequestError, UnsatisfiableError):
        shape.read(data)
