"""Runs rules over a blob that somebody else walks through: what each finds, capped, and which of them gave up.

A rule that fails inside, or takes longer than its time, is asked no more about that blob: it has not looked into it,
which is never clean.
"""

from __future__ import annotations

import heapq
import hmac
import posixpath
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.archives.findings import RuleFindings
from appliance.archives.tar_stream import Member
from appliance.content_rules.file_types import type_of
from appliance.content_rules.foreign import ForeignRule, GaveUpError
from appliance.content_rules.registry import Ruled, RuleSet
from appliance.content_rules.rule import Entry, File, Finding, ImageFacts, Look, Outline, Rule
from appliance.content_rules.size_rules import cache_of
from appliance.limits import archives as archives_limits
from appliance.limits import content_rules as limits

_FINGERPRINT: Final = 12
"""Hexadecimal digits of a secret's fingerprint."""
_LARGE_LEAST: Final = 64 * 1024
"""Bytes of a file that is remembered for the rules about whole images."""
_LEAD: Final = re.compile(r"(?:\./|/)*+")
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"


@dataclass(slots=True)
class RuleLook:
    """What one rule said of a blob: findings [{path, what} with size, since and fingerprint where they say something],
    and why it did not look into all of it, "" where it did."""

    found: RuleFindings = field(default_factory=RuleFindings)
    unlooked: str = ""


@dataclass(slots=True)
class BlobLook:
    """What all rules said of a blob, by their ids."""

    rules: dict[str, RuleLook] = field(default_factory=dict)
    outline: Outline = field(default_factory=Outline)


def keep(rule: RuleLook, finding: Finding, salt: bytes, of: str) -> None:
    """Count a finding; of a secret a fingerprint alone is kept, by a salt of the station's own."""
    what: dict[str, Any] = {"path": _end(finding.path), "what": finding.what[: archives_limits.FINDING_PATH]}
    if finding.size:
        what["size"] = finding.size
    if finding.since:
        what["since"] = finding.since
    if finding.secret:
        told = hmac.digest(salt, b"content rule\0" + of.encode() + b"\0" + finding.secret, "sha256").hex()
        what["fingerprint"] = told[:_FINGERPRINT]
    rule.found.add(**what)


def now(found: RuleFindings, at: str) -> RuleFindings:
    """The findings that hold at a time: an image grows old without anybody looking at it."""
    held = [one for one in found.listed if one.get("since", "") <= at]
    return RuleFindings(found.count - (len(found.listed) - len(held)), found.size, held)


class BlobWatch:
    """Watches a walk (appliance.malware.port.Watch). Of one thread."""

    def __init__(self, rules: RuleSet, salt: bytes) -> None:
        self._salt, self.look = salt, BlobLook()
        self._foreign = list[ForeignRule]()
        asked = [(one, self._confined(one)) for one in rules.rules.values()]
        self._entries, self._files, self._unseen, self._layers, self._images = (
            [confined for one, confined in asked if getattr(type(one.rule), hook) is not getattr(Rule, hook)]
            for hook in ("entry", "begin", "unseen", "layer", "image")
        )
        self.look.rules = {name: RuleLook() for name in rules.rules}
        self._spent = dict.fromkeys(rules.rules, 0.0)
        self._large: list[tuple[int, str]] = []
        self._is_ended = False

    def _confined(self, ruled: Ruled) -> Ruled:
        """A rule as it is asked: of a third party in a process of its own."""
        if ruled.place is None:
            return ruled
        foreign = ForeignRule(ruled.rule, *ruled.place)
        self._foreign.append(foreign)
        return Ruled(foreign, ruled.identity, ruled.place, ruled.id)

    def entry(self, path: str, member: Member, depth: int) -> None:
        """An entry of a tar archive, before its bytes."""
        name = _normal(path)
        entry = Entry(name, member.kind, member.mode, member.size, member.powers, depth)
        if depth == 1:
            self._outline(entry)
        for one in self._entries:
            self.ask(one, one.rule.entry, entry)

    def begin(self, path: str, mode: int, head: bytes, depth: int) -> FileWatch:
        """A file whose bytes follow."""
        file = File(_normal(path), mode, head, type_of(head), depth)
        looks = list[tuple[Ruled, Look]]()
        for one in self._files:
            self.ask(one, _begun, one, file, looks)
        return FileWatch(self, looks)

    def unseen(self, path: str, reason: str) -> None:
        """Something that the walk did not look into."""
        for one in self._unseen:
            self.ask(one, one.rule.unseen, _normal(path), reason)

    def give_up(self, reason: str) -> None:
        """Nobody could walk through the blob: no rule has looked into it."""
        for one in self.look.rules.values():
            one.unlooked = one.unlooked or reason

    def image(self, image: ImageFacts) -> None:
        """A whole image, which is no blob."""
        self._is_ended = True
        for one in self._images:
            self.ask(one, one.rule.image, image)

    def end(self) -> BlobLook:
        """The blob came to its end."""
        if not self._is_ended:
            self._is_ended = True
            outline = self.look.outline
            outline.large = [(path, size) for size, path in sorted(self._large, reverse=True)]
            for one in self._layers:
                self.ask(one, one.rule.layer, outline)
        self.close()
        return self.look

    def close(self) -> None:
        """End the processes of rules; nothing is asked any more."""
        for one in self._foreign:
            one.close()

    def __enter__(self) -> BlobWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, ruled: Ruled, what: Callable[..., Iterable[Finding]], *about: Any) -> None:
        """Hear what a rule says about something, unless it gave up on this blob."""
        look = self.look.rules[ruled.id]
        if look.unlooked:
            return
        begun = time.perf_counter()
        try:
            for finding in what(*about):
                keep(look, finding, self._salt, ruled.id)
        except (MemoryError, OSError):  # the machine's
            raise
        except GaveUpError as error:
            look.unlooked = str(error)
            return
        except Exception as error:  # hostile bytes choose what a rule stumbles over; its words may quote them
            look.unlooked = f"the rule failed inside ({type(error).__name__})"
            return
        self._spent[ruled.id] += time.perf_counter() - begun
        if self._spent[ruled.id] > limits.RULE_SECONDS:
            look.unlooked = f"the rule takes longer than {limits.RULE_SECONDS:.0f} s"

    def _outline(self, entry: Entry) -> None:
        outline, folder, base = self.look.outline, *posixpath.split(entry.path)
        if base.startswith(_WHITEOUT):
            listed = outline.opaque if base == _OPAQUE else outline.whiteouts
            if len(listed) < limits.RULE_WHITEOUTS and len(entry.path) <= archives_limits.FINDING_PATH:
                listed.append(folder if base == _OPAQUE else posixpath.join(folder, base.removeprefix(_WHITEOUT)))
            else:
                outline.is_whole = False
        if entry.kind not in "07" or not entry.size:
            return
        outline.files += 1
        outline.bytes += entry.size
        if manager := cache_of(entry.path):
            outline.caches[manager] = outline.caches.get(manager, 0) + entry.size
        if entry.size >= _LARGE_LEAST and len(entry.path) <= archives_limits.FINDING_PATH:
            push = heapq.heappush if len(self._large) < limits.RULE_LARGE else heapq.heappushpop
            push(self._large, (entry.size, entry.path))


class FileWatch:
    """A file on its way past the rules."""

    def __init__(self, blob: BlobWatch, looks: list[tuple[Ruled, Look]]) -> None:
        self._blob, self._looks = blob, looks

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        for one, look in self._looks:
            self._blob.ask(one, look.feed, data)

    def end(self) -> None:
        """It came to its end."""
        for one, look in self._looks:
            self._blob.ask(one, look.end)


def _begun(ruled: Ruled, file: File, looks: list[tuple[Ruled, Look]]) -> Iterable[Finding]:
    """What a rule says of a file at once; a look that it begins is added."""
    answer = ruled.rule.begin(file)
    if isinstance(answer, Iterable):
        return answer
    if not (callable(answer.feed) and callable(answer.end)):
        raise TypeError("no look")
    looks.append((ruled, answer))
    return ()


def _normal(path: str) -> str:
    """A path without what says nothing: `./` and `/` before it."""
    lead = _LEAD.match(path)
    return path if lead is None else path[lead.end() :]


def _end(path: str) -> str:
    text = path.encode("utf-8", "replace").decode()
    return text if len(text) <= archives_limits.FINDING_PATH else f"…{text[1 - archives_limits.FINDING_PATH :]}"
