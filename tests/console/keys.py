"""Texts as the keys that type them."""

from __future__ import annotations

PASSPHRASE = [*"lockgate", "minus", *"demo"]
"""What opens the demo's private keys."""
