"""What a password costs in tests: argon2id as everywhere, in a thousandth of the time that a guess is made to cost.

A hash says itself how many passes and how much memory it takes, so a log-in of an account with a small one is small.
access/test_logins and cli/test_prompts hold what the program itself takes.
"""

from __future__ import annotations

from typing import Final

from argon2 import PasswordHasher

COST: Final = (1, 64)
"""Passes and KiB of memory."""


def hash_password(text: str) -> str:
    """What `appliance.access.passwords.hash_password` makes of a password, but of a small cost."""
    return PasswordHasher(time_cost=COST[0], memory_cost=COST[1], parallelism=1, hash_len=32, salt_len=16).hash(text)
