"""How urgent a certificate's end is. Pure."""

from __future__ import annotations

from typing import Final

from appliance.api.status import Certificate

_SOON: Final = 30
_NOW: Final = 7
"""Days before its end from which a certificate is marked."""


def role_of(one: Certificate) -> str:
    """`ok`, `need` in the last month, `bad` in the last week and afterwards."""
    return "bad" if one.days < _NOW else "need" if one.days < _SOON else "ok"
