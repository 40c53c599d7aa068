"""What one blob holds, by its content alone: an archive that is looked through, text, or neither.

An archive is what any reader of tar would take for one, behind any compression that a runtime takes off; a 7z
archive is looked through beside that, as a file that people unpack. Findings are
setuid and setgid bits, file capabilities, device nodes, names and links that lead out, absolute names, what is laid
beneath an absolute link, and whatever readers of tar take differently, or a table of contents lists otherwise.
"""

from __future__ import annotations

import codecs
import posixpath
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from appliance.archives.findings import Looked
from appliance.archives.seven_zip import MAGIC, is_seven_zip, look_into_seven_zip
from appliance.archives.tables import has_footer, is_index, look_into
from appliance.archives.tar_fields import BLOCK, ZEROS, is_header
from appliance.archives.tar_stream import Member, Oddity, members
from appliance.archives.unpacking import Stream, Unwrapped
from appliance.limits import archives as limits
from bundles.errors import LockgateError

SEVEN_ZIP: Final = "7z"
"""The content of a blob that is a 7z archive and nothing else that a reader of tar would take."""
_SETID: Final = 0o6000
_NO_POWER: Final = ("2", "3", "4", "5", "6")
"""Types whose setuid and setgid bits give no power. A hard link's do: runtimes set its target's mode by them."""
_READ: Final = 1024 * 1024
_HARD: Final = "1"
_SYMBOLIC: Final = "2"
_DEVICES: Final = {"3": "character device", "4": "block device"}
_WHITEOUTS: Final = frozenset({".wh.", ".wh..", ".wh..."})
"""Whiteouts (image specification, layer.md) of a folder itself and of the one above: some runtimes remove that."""
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))


def look(file: BinaryIO, size: int, deadline: float, depth: int = 0) -> Looked:
    """Look through a blob of `size` bytes, which is closed. What cannot be looked through says why in `failed`. `depth`
    counts the 7z archives that it stands in."""
    looked = Looked()
    try:
        with file:
            is_packed = is_seven_zip(file)
            if is_packed:
                look_into_seven_zip(file, size, deadline, looked, _findings, look, depth)
            with Unwrapped(file, size, deadline) as unwrapped:
                looked.content, indexes = _content_of(unwrapped.stream, looked, bool(unwrapped.wrappers))
            if unwrapped.frames or indexes or has_footer(file, size):
                look_into(file, size, deadline, unwrapped.frames, indexes, looked, _findings)
            if is_packed and looked.content != "archive":
                looked.content = SEVEN_ZIP
    except LockgateError as error:
        looked.content, looked.failed = "", error.diagnostics()
    return looked


def _content_of(stream: Stream, looked: Looked, stream_is_wrapped: bool) -> tuple[str, int]:
    """What a blob holds, and how many of an archive's entries are tables of contents."""
    head = stream.peek(BLOCK)
    if not head:
        return "empty", 0
    if head == ZEROS:  # an archive may stand behind zero blocks, and some readers look for it there
        while stream.peek(BLOCK) == ZEROS:
            stream.skip(BLOCK)
        if not stream.peek(BLOCK).strip(b"\0"):
            return "empty", 0
        if not _skip_to_header(stream):
            return "binary", 0
        looked.add("ambiguous", path="", reason="an archive behind zero blocks")
    elif not is_header(head):
        if head.startswith(MAGIC) and stream_is_wrapped:
            looked.add("unread", path="", reason="a 7z archive inside another compression")
        if not _skip_to_header(stream):
            return "text" if _is_text(stream) else "binary", 0
        looked.add("ambiguous", path="", reason="an archive behind other bytes")
    indexes = 0
    links = _Links()
    for member in members(stream):
        if isinstance(member, Oddity):
            looked.add("ambiguous", path=member.path[: limits.FINDING_PATH], reason=member.reason)
            continue
        looked.entries += 1
        indexes += is_index(member)
        for rule, what in (*_findings(member), *links.findings(member)):
            looked.add(rule, path=member.names[0][: limits.FINDING_PATH], **what)
    return "archive", indexes


def _skip_to_header(stream: Stream) -> bool:
    """Go to the first block that is a header, among those in which GNU tar would look for one; False where none is."""
    ahead = stream.peek(limits.LAYER_LEAD)
    for start in range(0, len(ahead) - BLOCK + 1, BLOCK):
        if is_header(ahead[start : start + BLOCK]):
            stream.skip(start)
            return True
    return False


def _is_text(stream: Stream) -> bool:
    """Whether a blob is UTF-8 without control characters, to its end. Reads it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    read = 0
    try:
        while data := stream.read(_READ):
            read += len(data)
            if read > limits.TEXT_READ or len(data.translate(None, _CONTROLS)) != len(data):
                return False
            decoder.decode(data)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _findings(member: Member) -> Iterator[tuple[str, dict[str, Any]]]:
    """What one entry gives, each rule once however many readings it has."""
    if member.mode & _SETID and member.kind not in _NO_POWER:
        yield "setuid", {"mode": f"{member.mode & 0o7777:04o}"}
    for power in member.powers:
        yield "capabilities", {"attribute": power[: limits.FINDING_PATH]}
    if member.kind in _DEVICES:
        yield "devices", {"kind": _DEVICES[member.kind]}
    if any(map(_is_too_long, (*member.names, *member.targets))):
        yield "escaping", {"kind": "longer than any system takes"}
        return
    if any(_escapes(name.lstrip("/")) for name in member.names):
        yield "escaping", {"kind": "name"}
    elif any(".." in name.split("/") for name in member.names):
        yield "ambiguous", {"reason": "a name that climbs: behind a link it leads elsewhere"}
    elif any(name.startswith("/") for name in member.names):
        yield "absolute", {"kind": "name"}
    if any(posixpath.basename(name.rstrip("/")) in _WHITEOUTS for name in member.names):
        yield "escaping", {"kind": "whiteout"}
    if member.kind == _HARD and (away := [target for target in member.targets if _escapes(target.lstrip("/"))]):
        yield "escaping", {"kind": "hard link", "target": away[0][: limits.FINDING_PATH]}
    if member.kind == _SYMBOLIC:
        yield from _symbolic(member)


def _is_too_long(path: str) -> bool:
    return len(path) > limits.LAYER_PATH


def _symbolic(member: Member) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in member.names:
        away = [target for target in member.targets if _leads_out(name, target)]
        if away:
            yield "escaping", {"kind": "symbolic link", "target": away[0][: limits.FINDING_PATH]}
            return


class _Links:
    """The links of an archive that may lead out of the folder that it is unpacked into: symbolic ones with an absolute
    target, or one that climbs behind a name (`a/..` is elsewhere where `a` is a link), and links to such links.

    Alone they are no finding: every image of a distribution has some hundreds, and a runtime takes them below the
    image's own root. An entry that is laid beneath one is: whoever unpacks the archive elsewhere writes to where the
    link leads. Links beyond limits.ABSOLUTE_LINKS or limits.LINK_TEXT are findings themselves, since they cannot be
    remembered; other links are followed as far as half of that text goes.
    """

    def __init__(self) -> None:
        self._away: dict[str, str] = {}
        self._to: dict[str, list[str]] = {}
        """By the path that links of this archive lead to, their names."""
        self._text = 0
        """Characters that are remembered."""

    def findings(self, member: Member) -> Iterator[tuple[str, dict[str, Any]]]:
        """What an entry gives with those before it; it is remembered where it is a link. One that is too long to be
        resolved is a finding already."""
        if any(map(_is_too_long, (*member.names, *member.targets))):
            return
        if self._away:
            for name in member.names:
                beneath = next((part for part in _parents(name) if part in self._away), None)
                if beneath is not None:
                    target = self._away[beneath][: limits.FINDING_PATH]
                    yield "absolute", {"kind": "beneath a symbolic link", "target": target}
                    break
        if member.kind not in (_SYMBOLIC, _HARD):
            return
        for name in member.names:
            for target in member.targets:
                away = self._leads_away(member.kind, name, target)
                if away and (len(self._away) >= limits.ABSOLUTE_LINKS or self._text > limits.LINK_TEXT):
                    yield "absolute", {"kind": "symbolic link", "target": away[: limits.FINDING_PATH]}
                    return
                if away:
                    self._remember(_normal(name), away)

    def _leads_away(self, kind: str, name: str, target: str) -> str:
        """Where a link leads that may lead out, "" for another, which is kept for a link that comes later."""
        if kind == _SYMBOLIC and (target.startswith("/") or _climbs(target)):
            return target
        folder = posixpath.dirname(_normal(name)) if kind == _SYMBOLIC else ""
        to = _normal(posixpath.join(folder, target))
        beneath = next((part for part in (to, *_parents(to)) if part in self._away), None) if self._away else None
        if beneath is not None:
            return self._away[beneath]
        if self._text <= limits.LINK_TEXT // 2:
            self._text += len(to) + len(name)
            self._to.setdefault(to, []).append(_normal(name))
        return ""

    def _remember(self, name: str, target: str) -> None:
        """A link that leads away, and those that lead to it; each once."""
        self._text += len(name) + len(target)
        waiting = [name]
        while waiting and len(self._away) < limits.ABSOLUTE_LINKS:
            one = waiting.pop()
            if one not in self._away:
                self._away[one] = target
                waiting += self._to.pop(one, ())


def _climbs(target: str) -> bool:
    """Whether a path has `..` behind a name: where that name is a link, it is another folder's."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    named = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    return ".." in parts[named:]


def _normal(name: str) -> str:
    return posixpath.normpath(name.lstrip("/"))


def _parents(name: str) -> Iterator[str]:
    """The folders that a name lies in, the outermost last."""
    path = posixpath.dirname(_normal(name))
    while path:
        yield path
        path = posixpath.dirname(path)


def _leads_out(name: str, target: str) -> bool:
    if target.startswith("/"):
        return _escapes(target.lstrip("/"))
    return _escapes(posixpath.join(posixpath.dirname(_normal(name)), target))


def _escapes(path: str) -> bool:
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return True
    return False
