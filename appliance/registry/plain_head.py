"""The heads of plain reads, taken apart strictly: a GET or HEAD below `/v2/` whose every byte is of a known kind.

What this reader takes is a part of what HTTP/1.1 allows (RFC 9112), chosen so that it cannot be read in two ways: one
line of request in origin form, lines that end in CRLF, fields of a closed list, each once, without a body. Everything
else it does not judge: it says that it is not plain, and the server's own parser sees the very same bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from bundles.limits import KIB

HEAD: Final = 8 * KIB
"""Bytes of a plain head, at most: stock clients send one, tokens included, of 1 to 3 KiB."""

END: Final = b"\r\n\r\n"

_FIELDS: Final = 64
"""Lines of fields in a plain head, at most."""

_REQUEST: Final = re.compile(
    rb"(?P<method>GET|HEAD) (?P<target>/v2/[A-Za-z0-9._/:-]++(?:\?[A-Za-z0-9._~/:&=+%-]*+)?) HTTP/1\.1\Z"
)
_FIELD: Final = re.compile(rb"(?P<name>[A-Za-z0-9-]++): *+(?P<value>[\x21-\x7e][\x20-\x7e]*+)\Z")
_BEGUN: Final = re.compile(rb"(?:|(?:GET|HEAD) [\x21-\x7e]*+(?: [HTP/1.]*+)?|[A-Za-z0-9-]++(?::[\x20-\x7e]*+)?)\r?\Z")
"""A line that has not ended yet, and may become a plain one."""

_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}\Z")

_UNREAD: Final = frozenset(
    {
        "accept-charset", "accept-encoding", "accept-language", "baggage", "cache-control", "dnt", "forwarded", "from",
        "pragma", "priority", "tracestate", "via",
    }
)  # fmt: skip
"""Fields that change no answer of this registry; so do those whose names begin with `x-`."""

_READ: Final = frozenset({"authorization", "host", "if-none-match", "traceparent", "user-agent"})


@dataclass(frozen=True, slots=True)
class PlainFields:
    """What a plain head's fields say. `host` is the name the client calls the registry by; the others are "" where
    they were not sent, and `authorization` and `if_none_match` None."""

    host: str
    authorization: str | None = None
    if_none_match: str | None = None
    user_agent: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class PlainHead:
    """A plain read. `target` is the request's target as it was sent, with its query."""

    method: Literal["GET", "HEAD"]
    target: str
    fields: PlainFields


def request_of(line: bytes) -> tuple[Literal["GET", "HEAD"], str] | None:
    """Method and target of a request's line without its end, or None where it is not plain."""
    found = _REQUEST.match(line)
    if found is None or b"%00" in line:
        return None
    return "GET" if found["method"] == b"GET" else "HEAD", found["target"].decode("ascii")


def fields_of(block: bytes) -> PlainFields | None:
    """The fields of a head, the lines behind the request's without the end of the last, or None where they are not
    plain. Linear in their length."""
    lines = block.split(b"\r\n")
    if len(lines) > _FIELDS:
        return None
    said: dict[str, str] = {}
    for line in lines:
        found = _FIELD.match(line)
        if found is None:
            return None
        name, value = found["name"].decode("ascii").lower(), found["value"].decode("ascii").rstrip(" ")
        if name == "accept" or name in _UNREAD or name.startswith("x-"):
            continue  # stock clients send a line of Accept for each type
        if name in said:
            return None
        if name in _READ:
            said[name] = value
        elif (name, value.lower()) in (("connection", "keep-alive"), ("content-length", "0")):
            said[name] = ""
        else:
            return None
    if not _HOST.match(said.get("host", "")):
        return None
    return PlainFields(
        said["host"],
        said.get("authorization"),
        said.get("if-none-match"),
        said.get("user-agent", ""),
        said.get("traceparent", ""),
    )


def head_of(head: bytes) -> PlainHead | None:
    """A whole head without its empty line, or None where it is not plain."""
    line, _, block = head.partition(b"\r\n")
    request = request_of(line)
    fields = fields_of(block) if request is not None else None
    return None if request is None or fields is None else PlainHead(*request, fields)


def may_become_plain(begun: bytes) -> bool:
    """Whether what came of a head, whose end has not come, may still be a plain one's beginning: what cannot is not
    waited for. Linear in its length."""
    if len(begun) > HEAD:
        return False
    *whole, last = begun.split(b"\r\n")
    if not _BEGUN.match(last):
        return False
    if not whole:
        return any(last.startswith(method[: len(last)]) for method in (b"GET /v2/", b"HEAD /v2/"))
    if request_of(whole[0]) is None:
        return False
    return all(_FIELD.match(line) for line in whole[1:])
