"""The kinds of form that a setting of config.toml may have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bundles.errors import LockgateError

_PASSWORD: Final = re.compile(r"(://[^/?#@:]*:)[^/?#]*(?=@)|([?&]password=)[^&]*")
"""Where a URL has one (RFC 3986, section 3.2.1; libpq, 34.1.1.2)."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a setting: `says` in words, `fits` whether a value has it. `each` is for the elements of a list, or
    of a table's lists; `name` for the keys of a table; `inside` for the settings of a table of tables."""

    says: str
    fits: Callable[[Any], bool]
    each: Callable[[Any], bool] | None = None
    name: Callable[[str], bool] | None = None
    required: bool = False
    inside: Mapping[str, Form] | None = None


def text(fits: Callable[[str], bool]) -> Callable[[Any], bool]:
    """Whether a value is a text without a NUL that `fits`."""
    return lambda value: isinstance(value, str) and "\0" not in value and fits(value)


def passes(check: Callable[[str], object]) -> Callable[[Any], bool]:
    """Whether a text passes a check that raises LockgateError."""

    def fits(value: str) -> bool:
        try:
            check(value)
        except LockgateError:
            return False
        return True

    return text(fits)


def is_number(value: Any) -> bool:
    """Whether a value is a whole number: TOML's true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def whole(least: int, most: int, unit: str = "") -> Form:
    """A whole number between two, both included."""
    says = f"a whole number{unit} from {least} to {most}"
    return Form(says, lambda value: is_number(value) and least <= value <= most)


def texts(says: str, each: Callable[[Any], bool]) -> Form:
    """A list whose elements `each` takes."""
    return Form(f"a list of {says}", lambda value: isinstance(value, list), each)


def choice(*words: str) -> Form:
    """One of some words."""
    return Form(" or ".join(f'"{word}"' for word in words), lambda value: value in words)


def without_password(value: str) -> str:
    """A text as it is shown, where it may be a URL with a password in it."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}...", value)


FLAG: Final = Form("true or false", lambda value: isinstance(value, bool))
FILE: Final = Form("a file, relative to the station's folder or as a whole path", text(bool))
