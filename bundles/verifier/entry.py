"""The entry of the installed `lockgate-verify`: nothing of PYTHONPATH is loaded with the program."""

from __future__ import annotations

from typing import NoReturn

from bundles.startup import forget_environment, open_standard_streams


def run() -> NoReturn:
    """Load the verifier and run it."""
    open_standard_streams()
    forget_environment()
    from bundles.verifier.main import run as verify

    verify()
    raise SystemExit(0)
