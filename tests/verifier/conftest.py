"""The vectors' bundle as a medium, and the verifier made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bundles.small import SmallBundle, trust_of

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file that `make verifier` makes."""
    out = tmp_path_factory.mktemp("verifier") / "lockgate-verify.pyz"
    command = [sys.executable, ROOT / "packaging/verifier", "--out", out]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return out


@pytest.fixture
def bundle(tmp_path: Path) -> SmallBundle:
    from appliance import clock

    made = SmallBundle(tmp_path / "medium", created=clock.now(), not_after=clock.after(3600))
    trust_of(tmp_path / "trust", made.key)
    return made
