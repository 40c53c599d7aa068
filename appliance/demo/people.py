"""Who works at the demo's stations. One password and passphrase for all: it guards nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PASSWORD: Final = "lock-gate-demo"  # noqa: S105  shown to everybody, and guards nothing

ADMINISTRATOR: Final = "ada"


@dataclass(frozen=True, slots=True)
class Person:
    """An account with a role; `sign_for` is what the key of that name is pinned for, "" for nobody's key."""

    name: str
    full_name: str
    role: str
    sign_for: str = ""


OUTSIDE: Final = (Person("bob", "Bob Bell", "courier"), Person("jana", "Jana Weber", "collector", "bundle"))
INSIDE: Final = (
    Person("bob", "Bob Bell", "courier"),
    Person("olga", "Olga Okafor", "security-officer", "release"),
    Person("otto", "Otto Lindqvist", "security-officer", "release"),
    Person("sora", "Sora Ito", "auditor"),
)
"""Beside the administrator, whom `lockgate init` makes."""


def hint(media: Path, *, plain: bool = False) -> str:
    """Who may log in where, with what, and where the folders lie that stand for media. The console in lines (`plain`)
    stays inside."""
    inside, outside = (
        ", ".join(f"{one.name} ({one.role})" for one in (Person(ADMINISTRATOR, "", "administrator"), *people))
        for people in (INSIDE, OUTSIDE)
    )
    across = "" if plain else f" Outside, at alpha (w leads across): {outside}."
    return (
        f"The demo. Inside, at bravo: {inside}.{across}\n"
        f"Every password and passphrase is {PASSWORD}. What is carried lies in {media}"
    )
