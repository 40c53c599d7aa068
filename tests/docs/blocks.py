"""Command blocks of a Markdown page: what is typed where, and what the page promises of it.

A fenced block without a language, or with `sh`, is one of commands. Its lines are typed one by one; a line that ends
with a backslash goes on in the next. Of `sh` the whole block is one script under `set -eu`. A block of `toml` whose
first line is `# NAME` is the text of the file NAME; any other language is no command.

| in the page | means |
|---|---|
| `outside$ lockgate …` | typed in the shell `outside`; each name before `$ ` is a shell of its own |
| `# lockgate …`, or no prompt | typed in the shell of the page |
| `lockgate …   # exit status 4` | it ends with that status, and without these words with 0 |
| a line without a prompt, where others have one | what is printed: `…` is anything, XXXX any four characters |
| `<!-- not run (KIND): REASON -->` before the block | it is not run, for this reason; the kinds are `KINDS` |
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
KINDS = {
    "systemd": "it needs systemd, and an account and folders of the system's own",
    "hardware": "it needs a drive or a terminal line",
    "tool": "it needs a stock tool, or a version of one, that is not everywhere",
    "network": "it needs a registry or a package index that is not here",
    "example": "it is no command, or one whose result is what the test is run by",
}
_FENCE = re.compile(r"^( *)```([a-z0-9-]*)((?: [a-z0-9-]+)*)$")
_PROMPT = re.compile(r"(?:([a-z]+)\$|#) +(.*)$", re.DOTALL)
_MARKER = re.compile(r"<!-- not run \((\w+)\): (.+) -->$")
_STATUS = re.compile(r"\s# .*\bexit status (\d)")


@dataclass
class Typed:
    """A command: the shell it is typed in ("" for the page's own), its line in the page, the text, the exit status that
    the page promises, and what it says is printed."""

    shell: str
    line: int
    text: str
    status: int = 0
    printed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language and text, why it is not run ("" where it is), and
    the word behind the language."""

    page: str
    line: int
    language: str
    text: str
    kind: str
    reason: str
    name: str = ""

    @property
    def is_commands(self) -> bool:
        return self.language in ("", "sh")

    @property
    def file(self) -> str:
        """The file whose text this is, "" where it is none."""
        first = self.text.partition("\n")[0]
        named = re.match(r"# ([a-z.]+\.toml)\b", first)
        return named[1] if self.language == "toml" and named is not None else ""

    def commands(self) -> list[Typed]:
        """What is typed, in order."""
        if self.language == "sh":
            return [Typed("", self.line, self.text)]
        found: list[Typed] = []
        lines = self.text.splitlines()
        prompted = any(_PROMPT.match(line) for line in lines)
        number = 0
        while number < len(lines):
            start, text = number, lines[number]
            while text.endswith("\\") and number + 1 < len(lines):
                number += 1
                text += "\n" + lines[number]
            number += 1
            match = _PROMPT.match(text)
            if prompted and match is None:
                assert found or not text.strip(), f"{self.page}:{self.line + start}: output before any command"
                if text.strip():
                    found[-1].printed.append(text)
                continue
            shell, typed = (match[1] or "", match[2]) if match is not None else ("", text)
            if typed.strip():
                status = _STATUS.search(typed)
                found.append(Typed(shell, self.line + start, typed, int(status[1]) if status is not None else 0))
        return found


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page. Raises AssertionError for a marker that is malformed or marks nothing."""
    found: list[Block] = []
    name = str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name
    opened: tuple[int, str, str, str] | None = None
    inside: list[str] = []
    marker: tuple[str, str] | None = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is not None:
            if fence is not None and not fence[2] and fence[1] == opened[1]:
                text = textwrap.dedent("\n".join(inside))
                found.append(Block(name, opened[0], opened[2], text, *(marker or ("", "")), opened[3]))
                opened, marker = None, None
            else:
                inside.append(line)
        elif fence is not None:
            opened, inside = (number + 1, fence[1], fence[2], fence[3].strip()), []
        elif "<!-- not run" in line:
            match = _MARKER.search(line)
            assert match is not None, f"{name}:{number}: malformed marker"
            assert match[1] in KINDS, f"{name}:{number}: unknown kind {match[1]}"
            marker = (match[1], match[2])
        else:
            assert marker is None or not line.strip(), f"{name}:{number}: a marker that marks no block"
    assert opened is None, f"{name}: a block without an end"
    return found


def printed_as(promise: str) -> re.Pattern[str]:
    """What a promised line of output matches: `…` is anything, each X of `XXXX` any letter or digit."""
    parts = [re.escape(part).replace("X" * 4, "[A-Z0-9]{4}") for part in promise.strip().split("…")]
    return re.compile(".*".join(parts))
