"""Reads the verifier's command line; a wrong word is one line, as every error is."""

from __future__ import annotations

import argparse
from typing import NoReturn

from bundles.errors import UsageError


class Words(argparse.ArgumentParser):
    """An ArgumentParser whose refusals are UsageErrors."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with what argparse found."""
        raise UsageError(message, remedy=f"see: {self.prog} --help")

    def further(self) -> dict[str, Words]:
        """The parsers of its further commands, by name."""
        found: dict[str, Words] = {}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # it has no public name
                found |= action.choices
        return found
