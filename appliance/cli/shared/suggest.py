"""What somebody probably meant who named a command that does not exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, get_close_matches
from typing import Final

import click

from bundles.errors import UsageError

_OTHER_WORDS: Final = {
    "accounts": "user list", "carry": "bundle build", "check": "bundle verify", "co-sign": "bundle sign",
    "cosign": "bundle sign", "fetch": "collect", "help": "--help", "images": "repo list", "info": "status",
    "keygen": "key create", "load": "intake import", "log": "audit show", "logs": "audit show", "ls": "repo list",
    "cache": "warm", "caches": "warm", "health": "doctor", "mirror": "replica list", "move": "repo copy",
    "mv": "repo copy", "new": "init", "retag": "repo copy", "standby": "replica status", "tag": "repo copy",
    "undo": "repo rollback", "pin": "key trust", "pull": "collect", "quarantine": "intake list", "run": "serve",
    "save": "bundle build", "start": "serve", "store": "repo list", "unblock": "block remove", "up": "serve",
    "diagnose": "doctor", "upstream": "collect", "upstreams": "collect",
    "version": "--version",
}  # fmt: skip
"""Words of other tools for what a command here does."""

_ELSEWHERE: Final = {
    "audit list": "audit show", "audit log": "audit show", "audit tail": "audit show",
    "key fingerprint": "key list", "trust add": "key trust", "trust list": "key list", "trust pin": "key trust",
    "trust remove": "key untrust", "trust revoke": "key revoke", "trust show": "key list",
}  # fmt: skip
"""Commands that a group has not, for what another command does."""

_LOOKED_AT: Final = frozenset({"describe", "get", "info", "inspect", "show", "view"})
"""Words for looking at one thing, which a group with a list alone shows there."""

_TAKES_NAMES: Final = {"lockgate sbom": "find"}
"""The command that was meant where a thing's name stands behind a group of several commands: a package's."""

_SAME: Final = (
    frozenset({"add", "create", "grant", "make", "new", "pin", "trust"}),
    frozenset({"delete", "del", "drop", "remove", "revoke", "rm", "withdraw", "disable", "void", "untrust"}),
    frozenset({"dir", "list", "ls", "tags"}),
    frozenset({"cat", "describe", "get", "info", "inspect", "print", "read", "show", "view"}),
    frozenset({"abort", "cancel", "kill", "stop"}),
    frozenset({"follow", "tail", "watch"}),
    frozenset({"check", "test", "validate", "verify"}),
    frozenset({"extract", "unpack", "unzip"}),
    frozenset({"passwd", "password"}),
)
"""Words that mean much the same within one group of commands."""

_SAME_OPTIONS: Final = (
    frozenset({"key", "sign-with", "identity", "k"}),
    frozenset({"out", "to", "output", "dest", "target", "o", "d"}),
    frozenset({"to", "stage"}),
    frozenset({"why", "reason", "message", "comment", "m"}),
    frozenset({"as", "tag", "name", "t"}),
    frozenset({"only", "filter", "match"}),
    frozenset({"limit", "last", "lines", "n"}),
    frozenset({"on", "repo", "repository", "pattern"}),
    frozenset({"actor", "user", "who"}),
    frozenset({"f", "file", "list"}),
)
"""Options that mean the same, without their dashes: of commands here, and of other tools."""

_NO_CHOICE: Final = re.compile(r"('[^']*'|\"[^\"]*\") is not one of ")
"""What click says of a value that is none of an option's or argument's choices."""

_SURPLUS: Final = re.compile(r"unexpected extra argument \((\S+)\)")
"""What click says of one word more than a command takes."""

_MISSPELT: Final = 0.8
"""How alike an option must be to be a misspelt one, before one of the same meaning is looked for."""

_GENERIC: Final = frozenset({"add", "create", "delete", "export", "list", "new", "remove", "rm", "show", "watch"})
"""Names that many groups have: the one of another group is not what was meant."""

_MOST: Final = 3
"""Commands that are offered at most: a longer line is not read."""


def unknown_command(root: click.Group, error: click.exceptions.NoSuchCommand) -> UsageError:
    """The error that names the command and what was probably meant: a command of the same group that looks like it, the
    command of that name in another group, or the one that does what other tools call so."""
    context = error.ctx
    path = context.command_path if context is not None else "lockgate"
    group = context.command if context is not None and isinstance(context.command, click.Group) else root
    word = error.command_name
    elsewhere = _ELSEWHERE.get(f"{path} {word}".removeprefix("lockgate "))
    found = [f"lockgate {elsewhere}"] if elsewhere is not None else _meant(root, group, path, word)
    if not found:
        return UsageError("no such command", thing=f"{path} {word}"[:160], remedy=f"see: {path} --help")
    return UsageError("no such command", thing=f"{path} {word}"[:160], remedy=f"did you mean: {' | '.join(found)}")


def close_choice(error: click.BadParameter) -> str:
    """The choice that a wrong value is like, or ""."""
    kind = None if error.param is None else error.param.type
    typed = _NO_CHOICE.match(error.message)
    if not isinstance(kind, click.Choice) or typed is None:
        return ""
    value = str(ast.literal_eval(typed[1])).lower()
    return next(iter(get_close_matches(value, [str(one) for one in kind.choices], 1, 0.6)), "")


def option_meant(command: click.Command, error: click.NoSuchOption) -> str:
    """The option of a command that was probably meant: one that looks like it, or that does what it does elsewhere."""
    names = [name for one in command.get_params(click.Context(command)) for name in one.opts if name.startswith("-")]
    bare = {name.lstrip("-"): name for name in names}
    typed = error.option_name.lstrip("-")
    near = [bare[one] for one in get_close_matches(typed, bare, 1, 0.7)]
    same = [name for name in names for group in _SAME_OPTIONS if {name.lstrip("-"), typed} <= group]
    longer = [bare[one] for one in bare if typed.startswith(one) and len(one) > 1]
    misspelt = [name for name in near if _likeness(typed, name.lstrip("-")) > _MISSPELT]
    return next(iter([*misspelt, *longer, *same, *near]), "")


def argument_meant(error: click.UsageError) -> str:
    """The option that a surplus word was probably meant for: what a list is narrowed by."""
    surplus = _SURPLUS.search(error.message)
    command = None if error.ctx is None else error.ctx.command
    if surplus is None or command is None:
        return ""
    takes = {name for one in command.params for name in one.opts}
    return f"--filter {surplus[1]}" if "--filter" in takes else ""


def called(root: click.Group, words: Sequence[str]) -> str:
    """The command that `words` call, as it is typed, without arguments and options."""
    command: click.Command = root
    path = ["lockgate"]
    for word in words:
        below = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if below is None:
            break
        command, path = below, [*path, word]
    return " ".join(path)


def _meant(root: click.Group, group: click.Group, path: str, word: str) -> list[str]:
    names = group.list_commands(click.Context(group))
    own = get_close_matches(word, names, _MOST, 0.7)
    own += [name for name in names for same in _SAME if {word, name} <= same and name not in own]
    if not own and group is not root and word in _LOOKED_AT and "list" in names:
        own = ["list"]
    known = [line for line in _below(root, "lockgate") if line.count(" ") == 2]
    nearer = [] if group is not root or not own else _nearer(word, own[0], known)
    if own:
        return nearer or [f"{path} {name}" for name in own[:_MOST]]
    if group is root or word not in _GENERIC:
        for other in (word, word.removesuffix("s")):  # `lockgate import`, `lockgate bundle approve`
            named = [line for line in known if line.split()[-1] == other]
            if named:
                return sorted(named, key=lambda line: "lockgate key" in line)[:_MOST]
    if group is root and word in _OTHER_WORDS:
        return [f"lockgate {_OTHER_WORDS[word]}"]
    only = names[0] if group is not root and len(names) == 1 else _TAKES_NAMES.get(path)
    if only is not None:
        return [f"{path} {only}"]
    if group is root:
        near = get_close_matches(word, sorted({line.split()[-1] for line in known}), 1, 0.75)
        return [line for line in known if line.split()[-1] in near][:_MOST]
    return []


def _nearer(word: str, own: str, known: Sequence[str]) -> list[str]:
    """The commands of groups whose name looks more like a word than a command of the root does."""
    near = get_close_matches(word, sorted({line.split()[-1] for line in known}), 1, 0.75)
    if not near or _likeness(word, near[0]) <= _likeness(word, own):
        return []
    return [line for line in known if line.split()[-1] == near[0]][:_MOST]


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, other, one).ratio()


def _below(group: click.Group, path: str) -> Iterator[str]:
    """The words that call each command below a group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        yield f"{path} {name}"
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _below(command, f"{path} {name}")
