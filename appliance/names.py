"""People's names, compared."""

from __future__ import annotations


def same_name(name: str) -> str:
    """A name in the one spelling in which two are compared: other letters or spaces do not make another person."""
    return " ".join(name.split()).casefold()
