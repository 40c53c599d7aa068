"""Whatever the program tells people to type exists: each command and option that a message names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import click

from appliance.cli.main import lockgate

TREE: Final = Path(__file__).parents[2]
PACKAGES: Final = ("appliance", "bundles", "tui")
HOLE: Final = "\x00"
"""What stands for a value in a text that is put together."""

NO_COMMANDS: Final = frozenset({"lockgate demo", "lockgate store 1", "lockgate large blob"})
"""What reads like a command and is a name."""

OTHER_PROGRAMS: Final = (
    "appliance/access/canary_manifest",
    "appliance/access/node_manifest",
    "appliance/access/snippets",
    "appliance/outgoing/sbom/syft",
    "appliance/demo/",
    "bundles/format/readme",
)
"""Modules that call other programs, or print lines for them, with those programs' options."""

OTHER_OPTIONS: Final = frozenset(
    {
        "--strict", "--ultra", "--snapshot-update", "--template", "--encoding", "--locale",
        "--image-credential-provider-bin-dir", "--image-credential-provider-config",
    }
)  # fmt: skip
"""Options of sha256sum, zstd and pytest that comments and texts name elsewhere."""

_COMMAND = re.compile(r"(?<![\w./-])lockgate((?: +[^\s`'\"|;]+)+)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
_TYPED = re.compile(r"(?:see|with|run|use|call|meant|too|first|again|grants it|approves it): (lockgate [^`'\"|;()]+)")
_WORD = re.compile(r"[a-z][a-z-]*")


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The strings of a module with their lines: an f-string as one, with a hole for each value."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            parts = (str(p.value) if isinstance(p, ast.Constant) else HOLE for p in node.values)
            yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


@cache
def said() -> list[tuple[str, str]]:
    """Each text of the program that names a command or an option: where it stands, and the text."""
    found = []
    for package in PACKAGES:
        for path in sorted((TREE / package).rglob("*.py")):
            for line, text in _texts(ast.parse(path.read_text())):
                if "lockgate " in text or _OPTION.search(text):
                    found.append((f"{path.relative_to(TREE)}:{line}", text))
    return found


def find(words: list[str]) -> tuple[click.Command | None, list[str]]:
    """The command that words begin with, or None where there is none, and the words behind its name."""
    command: click.Command = lockgate
    for position, word in enumerate(words):
        if not isinstance(command, click.Group) or not _WORD.fullmatch(word):
            return command, words[position:]
        below = command.get_command(click.Context(command), word)
        if below is None:
            return None, words[position:]
        command = below
    return command, []


def options_of(command: click.Command) -> set[str]:
    """The options of a command; of a group, those of every command in it."""
    found = {"--help"} | {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        below = [command.get_command(context, name) for name in command.list_commands(context)]
        return found.union(*(options_of(one) for one in below if one is not None))
    return found


@cache
def every_option() -> frozenset[str]:
    verifiers = "".join(path.read_text() for path in (TREE / "bundles" / "verifier").glob("*.py"))
    return frozenset(options_of(lockgate)) | set(re.findall(r"add_argument\(\s*\"(--[a-z-]+)\"", verifiers))


def commands_in(text: str) -> Iterator[tuple[str, click.Command | None, list[str]]]:
    """Each command that a text names: the line, the command (None where there is none such), the words behind it."""
    for match in _COMMAND.finditer(text):
        words = [word.strip(".,:()[]") for word in match[1].split()]
        line = f"lockgate {' '.join(words[:3])}"
        if _WORD.fullmatch(words[0]) and not line.startswith(tuple(NO_COMMANDS)):
            yield line, *find(words)


def wrong(text: str) -> list[str]:
    """What a text names that does not exist."""
    found = [option for option in _OPTION.findall(text) if option not in every_option() | OTHER_OPTIONS]
    for line, command, rest in commands_in(text):
        if command is None:
            found.append(line)
        else:
            found += [f"{line}: {word}" for word in rest if _OPTION.fullmatch(word) and word not in options_of(command)]
    return found


def unparsed(text: str) -> list[str]:
    """Each command that a text says to type and that cannot be typed so: an argument or a needed option is missing."""
    bad = []
    for match in _TYPED.finditer(text):
        ((line, command, rest), *_) = [*commands_in(match[1].partition(", lockgate")[0]), ("", None, [])]
        if command is None or isinstance(command, click.Group) or "--help" in rest:
            continue
        words = [word.replace(HOLE, "x") for word in rest if word]
        try:
            command.make_context(line, words, resilient_parsing=False)
        except (click.BadParameter, click.UsageError) as error:
            if not isinstance(error, click.BadParameter) or isinstance(error, click.MissingParameter):
                bad.append(f"{line}: {error.format_message()}")
    return bad


def test_every_command_and_option_that_a_message_names_exists() -> None:
    mine = [(where, text) for where, text in said() if not where.startswith(OTHER_PROGRAMS)]
    assert len(mine) > 200
    assert [(where, what) for where, text in mine for what in wrong(text)] == []


def test_a_remedy_that_names_what_does_not_exist_is_found() -> None:
    assert wrong("start it with: lockgate serve -C /srv; see: lockgate key list") == []
    assert wrong("see: lockgate keys list") == ["lockgate keys list"]
    assert wrong("sign it with: lockgate bundle sign --jobb ID") == ["--jobb", "lockgate bundle sign --jobb: --jobb"]
    assert wrong("lockgate bundle sign --purpose x") == ["lockgate bundle sign --purpose: --purpose"]


def test_what_a_message_says_to_type_can_be_typed() -> None:
    assert [(where, what) for where, text in said() for what in unparsed(text)] == []
    assert unparsed("see: lockgate token list") == ["lockgate token list: Missing argument 'NAME'."]
