"""Regular expressions that no text can make slow: a subset that is matched in one walk over the text. Pure.

Python's `re` goes back and tries again, so that `a?a?a?aaa` and `(a|a)(a|a)b` take twice as long with every letter; a
filter is typed by a person and held against text that strangers chose. Here a text is read once, standing on all places
of the pattern that it may have come to (Thompson 1968); each set of places is worked out once and remembered, as in
RE2, so that a character mostly costs one look-up.

Understood: letters, `.`, `[a-z]`, `[^...]`, `\\d \\w \\s` and their opposites, `^ $ | ( ) (?: )`, `* + ?`, `{m}`,
`{m,}`, `{m,n}`. Letters are compared whatever their case. References to groups and look-around are not understood: they
cannot be matched in one walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from bundles.errors import UsageError

_MOST_PLACES: Final = 1000
"""Places of a pattern, with its repetitions written out."""
_MOST_KEPT: Final = 20_000
"""Steps between sets of places that are remembered; then remembering begins anew, and the time stays linear."""
_DEEPEST: Final = 30
"""Groups within one another."""
_FOUND: Final = 0
"""The place behind the whole pattern."""

OfCharacter = Callable[[str], bool]
_KINDS: Final[dict[str, OfCharacter]] = {
    "d": str.isdecimal,
    "w": lambda one: one.isalnum() or one == "_",
    "s": str.isspace,
}
_ESCAPED: Final = {"t": "\t", "n": "\n"}


@dataclass(frozen=True)
class _Letter:
    takes: OfCharacter


@dataclass(frozen=True)
class _Edge:
    at_end: bool


@dataclass(frozen=True)
class _Row:
    parts: tuple[_Part, ...]


@dataclass(frozen=True)
class _Choice:
    ways: tuple[_Part, ...]


@dataclass(frozen=True)
class _Times:
    part: _Part
    least: int
    most: int | None


_Part = _Letter | _Edge | _Row | _Choice | _Times


class Pattern:
    """A pattern that was understood. `found(text)` says whether it is anywhere in a text; the time goes by the text's
    length times, at worst, that of the pattern with its repetitions written out."""

    def __init__(self, pattern: str) -> None:
        """Raises UsageError for what is no pattern, or one of more than 1000 places."""
        self._pattern = pattern
        self._takes: list[OfCharacter | None] = [None]
        self._edges: list[_Edge | None] = [None]
        self._ways: list[list[int]] = [[]]
        self._steps_built = 0
        self._begin = self._build(_Reader(pattern).whole(), _FOUND)
        self._forget()

    def found(self, text: str) -> bool:
        """Whether the pattern is anywhere in `text`."""
        now = self._first
        for letter in text:
            if self._holds[now]:
                return True
            following = self._next[now].get(letter)
            now = self._step(now, letter) if following is None else following
        return self._holds[now] or _FOUND in self._reached(self._sets[now], begins=not text, ends=True)

    def _forget(self) -> None:
        self._kept = 0
        self._numbers: dict[frozenset[int], int] = {}
        self._sets: list[frozenset[int]] = []
        self._next: list[dict[str, int]] = []
        self._holds: list[bool] = []
        self._first = self._number(self._reached([self._begin], begins=True))

    def _number(self, places: frozenset[int]) -> int:
        if places not in self._numbers:
            self._numbers[places] = len(self._sets)
            self._sets.append(places)
            self._next.append({})
            self._holds.append(_FOUND in places)
        return self._numbers[places]

    def _step(self, now: int, letter: str) -> int:
        """Where a letter leads from a set of places; the pattern may begin anew behind it."""
        places = self._sets[now]
        went = [way for place in places if (takes := self._takes[place]) and takes(letter) for way in self._ways[place]]
        reached = self._reached([*went, self._begin])
        if self._kept >= _MOST_KEPT:
            self._forget()
            return self._number(reached)
        self._kept += 1
        following = self._next[now][letter] = self._number(reached)
        return following

    def _reached(self, places: Iterable[int], *, begins: bool = False, ends: bool = False) -> frozenset[int]:
        """The places, and all that are reached from them without a letter; edges hold where the text does so."""
        waiting, reached = list(places), set(places)
        while waiting:
            place = waiting.pop()
            edge = self._edges[place]
            if self._takes[place] is not None or (edge is not None and not (ends if edge.at_end else begins)):
                continue
            for way in self._ways[place]:
                if way not in reached:
                    reached.add(way)
                    waiting.append(way)
        return frozenset(reached)

    def _build(self, part: _Part, then: int) -> int:
        """Make the places of a part before `then`; the first of them."""
        self._steps_built += 1
        if max(len(self._ways), self._steps_built) > _MOST_PLACES:
            raise _unreadable("it repeats too much", self._pattern)
        match part:
            case _Letter(takes):
                return self._place([then], takes=takes)
            case _Edge():
                return self._place([then], edge=part)
            case _Row(parts):
                for one in reversed(parts):
                    then = self._build(one, then)
                return then
            case _Choice(ways):
                return self._place([self._build(way, then) for way in ways])
            case _Times(one, least, most):
                if most is None:
                    again = self._place([then])
                    self._ways[again].append(self._build(one, again))
                    then = again
                for _ in range((most or least) - least):
                    then = self._place([self._build(one, then), then])
                for _ in range(least):
                    then = self._build(one, then)
                return then

    def _place(self, ways: list[int], *, takes: OfCharacter | None = None, edge: _Edge | None = None) -> int:
        self._takes.append(takes)
        self._edges.append(edge)
        self._ways.append(ways)
        return len(self._ways) - 1


class _Reader:
    """Reads a pattern into its parts."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    def whole(self) -> _Part:
        part = self._choice(0)
        if self.at < len(self.pattern):
            raise _unreadable("there is a ) without its (", self.pattern)
        return part

    def _sees(self, text: str) -> bool:
        """Whether `text` comes next; it is read then."""
        there = self.pattern.startswith(text, self.at)
        self.at += len(text) if there else 0
        return there

    def _take(self) -> str:
        if self.at >= len(self.pattern):
            raise _unreadable("it ends too early", self.pattern)
        self.at += 1
        return self.pattern[self.at - 1]

    def _choice(self, depth: int) -> _Part:
        if depth > _DEEPEST:
            raise _unreadable(f"more than {_DEEPEST} groups stand within one another", self.pattern)
        ways = [self._row(depth)]
        while self._sees("|"):
            ways.append(self._row(depth))
        return ways[0] if len(ways) == 1 else _Choice(tuple(ways))

    def _row(self, depth: int) -> _Part:
        parts: list[_Part] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            part = self._one(depth)
            while (times := self._times(part)) is not None:
                part = times
            parts.append(part)
        return _Row(tuple(parts))

    def _one(self, depth: int) -> _Part:
        part: _Part
        match self._take():
            case "(":
                part = self._group(depth)
            case "^" | "$" as edge:
                part = _Edge(at_end=edge == "$")
            case "*" | "+" | "?" as sign:
                raise _unreadable(f"{sign} has nothing before it", self.pattern)
            case letter:
                part = _Letter(self._letter(letter))
        return part

    def _group(self, depth: int) -> _Part:
        if self._sees("?") and not self._sees(":"):
            raise _unreadable("a group begins with ( or (?: alone", self.pattern)
        part = self._choice(depth + 1)
        if not self._sees(")"):
            raise _unreadable("a ( is not closed", self.pattern)
        return part

    def _letter(self, letter: str) -> OfCharacter:
        match letter:
            case "[":
                return self._class()
            case ".":
                return lambda one: True
            case "\\":
                return self._escaped()
            case _:
                return _same(letter)

    def _times(self, part: _Part) -> _Part | None:
        """What a sign behind a part makes of it; None where there is none."""
        if self._sees("*"):
            return _Times(part, 0, None)
        if self._sees("+"):
            return _Times(part, 1, None)
        if self._sees("?"):
            return _Times(part, 0, 1)
        if not self._sees("{"):
            return None
        inner, closed, _ = self.pattern[self.at :].partition("}")
        self.at += len(inner) + 1
        least, comma, most = inner.partition(",")
        if not closed or not _number(least) or (most and not _number(most)):
            raise _unreadable("{ } holds a number, or two", self.pattern)
        upper = int(least) if not comma else int(most) if most else None
        if int(least) > _MOST_PLACES or (upper or 0) > _MOST_PLACES:
            raise _unreadable("it repeats too much", self.pattern)
        if upper is not None and upper < int(least):
            raise _unreadable("the second number in { } is the smaller one", self.pattern)
        return _Times(part, int(least), upper) if upper != 0 else _Row(())

    def _escaped(self) -> OfCharacter:
        letter = self._take()
        if letter.lower() in _KINDS:
            kind = _KINDS[letter.lower()]
            return kind if letter.islower() else lambda one: not kind(one)
        if letter.isalnum() and letter not in _ESCAPED:
            raise _unreadable(f"\\{letter} is not understood", self.pattern)
        return _same(_ESCAPED.get(letter, letter))

    def _class(self) -> OfCharacter:
        without = self._sees("^")
        found: list[OfCharacter] = []
        while not found or not self._sees("]"):
            letter = self._take()
            if letter == "\\":
                found.append(self._escaped())
            elif self._sees("-") and not self.pattern.startswith("]", self.at):
                last = self._take()
                if last < letter:
                    raise _unreadable(f"[{letter}-{last}] goes the wrong way", self.pattern)
                found.append(_between(letter, last))
            else:
                self.at -= 1 if self.pattern[self.at - 1 : self.at] == "-" and letter != "-" else 0
                found.append(_same(letter))
        return lambda one: any(takes(one) for takes in found) != without


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 5


def _same(letter: str) -> OfCharacter:
    folded = letter.casefold()
    return lambda one: one.casefold() == folded


def _between(first: str, last: str) -> OfCharacter:
    return lambda one: any(first <= form <= last for form in (one, one.lower(), one.upper()) if len(form) == 1)


def _unreadable(why: str, pattern: str) -> UsageError:
    remedy = "correct it, or leave ~ out to find it as text"
    return UsageError("the filter cannot be read", thing=f"{pattern}: {why}", remedy=remedy)
