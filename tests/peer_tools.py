"""Stock tools that tests hold Lockgate against."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def require(*names: str) -> None:
    """Skip the test where a tool is missing, with the reason; fail it where LOCKGATE_REQUIRE_PEERS=1."""
    missing = [name for name in names if shutil.which(name) is None]
    if not missing:
        return
    cannot(f"needs {', '.join(missing)} (packaging/test-peers installs what is missing)")


def cannot(reason: str) -> NoReturn:
    """Skip the test with the reason; fail it where LOCKGATE_REQUIRE_PEERS=1."""
    if os.environ.get("LOCKGATE_REQUIRE_PEERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


PEERS = Path("/usr/local/lib/lockgate-test-peers")
"""Where packaging/test-peers installs what Debian has not."""
GO_PEERS = PEERS / "bin"
"""Where packaging/test-peers --go installs what only Go's own tool builds."""


def find_go_peer(name: str) -> Path:
    """A tool that packaging/test-peers --go installs; the test is skipped, or fails, as by `require`."""
    if not os.access(GO_PEERS / name, os.X_OK):
        cannot(f"needs {name} (packaging/test-peers --go installs it)")
    return GO_PEERS / name


NPM_PEERS = PEERS / "node_modules"
"""Where packaging/test-peers --npm installs packages."""


def find_npm_peers(*names: str) -> Path:
    """The folder of packages that packaging/test-peers --npm installs; as `find_go_peer`."""
    missing = [name for name in names if not (NPM_PEERS / name / "package.json").is_file()]
    if missing:
        cannot(f"needs {', '.join(missing)} (packaging/test-peers --npm installs what is missing)")
    return NPM_PEERS
