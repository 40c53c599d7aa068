"""Stock tools that tests hold Lockgate against."""

from __future__ import annotations

import os
import shutil

import pytest


def require(*names: str) -> None:
    """Skip the test where a tool is missing, with the reason; fail it where LOCKGATE_REQUIRE_PEERS=1."""
    missing = [name for name in names if shutil.which(name) is None]
    if not missing:
        return
    reason = f"needs {', '.join(missing)} (packaging/test-peers installs what is missing)"
    if os.environ.get("LOCKGATE_REQUIRE_PEERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
