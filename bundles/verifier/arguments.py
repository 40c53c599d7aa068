"""Reads the verifier's command line; a wrong word is one line, as every error is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from bundles.errors import UsageError


class Words(argparse.ArgumentParser):
    """An ArgumentParser whose refusals are UsageErrors."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with what argparse found."""
        raise UsageError(message, remedy=f"see: {self.prog} --help")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As ever, but for an empty word, which is no path: a shell's variable that is not set. Raises UsageError."""
        for before, word in pairwise(("", *(args or ()))):
            if not word or (word.startswith("--") and word.endswith("=")):
                where = f"{before or self.prog} ''" if not word else f"{word[:-1]} ''"
                raise UsageError("an argument is empty", thing=where[:160], remedy="name it; a variable may not be set")
        return super().parse_known_args(args, namespace)

    def further(self) -> dict[str, Words]:
        """The parsers of its further commands, by name."""
        found: dict[str, Words] = {}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # it has no public name
                found |= action.choices
        return found
