"""`lockgate-verify DIR… --trust DIR`: exit status 0 done, 1 failed, 2 usage, 3 refused, 4 incomplete.

Further commands register in COMMANDS: a first word that is one of them is a command, anything else a folder.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from bundles.errors import EXIT_DONE, EXIT_FAILED, LockgateError, UsageError
from bundles.io.display import safe
from bundles.io.files import write_atomic
from bundles.io.output import undelivered
from bundles.io.times import FORMAT
from bundles.ports import no_progress
from bundles.signing.trust import TrustFolder
from bundles.verifier.arguments import Words
from bundles.verifier.examine import examine
from bundles.verifier.places import require_place
from bundles.verifier.report import page, text

VERSION: Final = "0.1.0"
NAME: Final = "lockgate-verify"
COMMANDS: Final[dict[str, str]] = {"approve": "bundles.verifier.approve:run", "key": "bundles.verifier.key:run"}
"""First word to `module:function`; the function takes the words behind it and gives the exit status."""
_BAR: Final = 40
_WORD: Final = re.compile(r"[a-z-]+")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the result is its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if any("\0" in word for word in words):
            raise UsageError("an argument holds a NUL character", remedy="check the path")
        if words and words[0] in COMMANDS:
            module, _, name = COMMANDS[words[0]].partition(":")
            command: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), name)
            return command(words[1:])
        _refuse_unknown_command(words)
        return _verify(words)
    except LockgateError as error:
        print(f"{NAME}: {safe(error.diagnostics())}", file=sys.stderr)
        return error.exit_status
    except (EOFError, KeyboardInterrupt):  # at a prompt, too
        print(f"{NAME}: interrupted", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        return EXIT_FAILED
    except OSError:
        if undelivered() is None:
            raise
        return EXIT_FAILED  # run() says it


def _refuse_unknown_command(words: Sequence[str]) -> None:
    """Raises UsageError where the first word is like a command, and no folder of that name is here."""
    if not words or not _WORD.fullmatch(words[0]) or os.path.lexists(words[0]):
        return
    if words[0] in ("verify", "check"):
        raise UsageError("no such command", thing=words[0], remedy=f"did you mean: {NAME} DIR --trust DIR")
    near = get_close_matches(words[0], COMMANDS, 1, 0.7)
    if near:
        raise UsageError("no such command", thing=words[0], remedy=f"did you mean: {NAME} {near[0]}")


def parsers() -> dict[tuple[str, ...], Words]:
    """The parser of each command by its words, `lockgate-verify` first: what the manual page is made of."""
    found: dict[tuple[str, ...], Words] = {(NAME,): _parser()}
    for word, target in COMMANDS.items():
        made: Words = importlib.import_module(target.partition(":")[0]).parser()
        found[NAME, word] = made
        found |= {(NAME, word, further): parser for further, parser in made.further().items()}
    return found


def _verify(words: Sequence[str]) -> int:
    asked = _parser().parse_args(words)
    if asked.report is not None:
        require_place(asked.report, asked.folders, asked.trust, off_medium=True)
    trust = TrustFolder.load(asked.trust)
    now = datetime.now(UTC).strftime(FORMAT)
    progress = _show if sys.stderr.isatty() and not asked.json else no_progress
    found = examine(asked.folders, trust, now, progress)
    if progress is _show:
        print("\r" + " " * (_BAR + 24) + "\r", end="", file=sys.stderr)
    print(json.dumps(found.to_json(), indent=2, sort_keys=True) if asked.json else text(found))
    if asked.report is not None:
        write_atomic(asked.report, page(found, f"{NAME} {VERSION}").encode(), replace=False)
    if found.error is not None:
        print(f"{NAME}: {safe(found.error.diagnostics())}", file=sys.stderr)
    return found.exit_status


def _parser() -> Words:
    parser = Words(
        prog=NAME,
        description="Verify a Lockgate bundle: who signed it, that it is for this site, and every byte of every volume."
        " Nothing is written to the medium.",
        epilog="`lockgate-verify approve --help`: sign an approval of a bundle on your own machine."
        " `lockgate-verify key --help`: make your own key there, and show its fingerprint."
        " Exit status: 0 done, 1 failed, 2 usage, 3 refused, 4 incomplete (good so far, volumes still to come).",
    )
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="The bundle's folder on each medium.")
    parser.add_argument("--trust", metavar="DIR", type=Path, required=True, help="A trust folder, or a copy of one.")
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")
    parser.add_argument("--report", metavar="FILE", type=Path, help="Write a page to print: a new text file.")
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    return parser


def _show(phase: str, done: int, total: int) -> None:
    part = done / total if total else 1.0
    bar = "#" * int(part * _BAR)
    print(f"\r{phase} [{bar:<{_BAR}}] {part:4.0%}", end="", file=sys.stderr, flush=True)


def run() -> None:
    """The console script."""
    try:
        status: int | str | None = main()
    except SystemExit as end:  # the parser's, behind --help
        status = end.code
    try:
        failed = undelivered()
    except BrokenPipeError:
        sys.exit(status or EXIT_FAILED)
    if failed is not None:
        print(f"{NAME}: {safe(failed.diagnostics())}", file=sys.stderr)
    sys.exit(status or (EXIT_DONE if failed is None else failed.exit_status))


if __name__ == "__main__":
    run()
