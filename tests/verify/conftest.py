"""The good test vectors as bytes, to be judged without a file in sight."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from bundles.decide.bundle import SmallFiles
from bundles.signing.trust import TrustFolder
from tests.vectors.known import HERE, MEDIA, ONE, small_files


@dataclass(frozen=True)
class Judged:
    """What a verdict is made from."""

    files: SmallFiles
    trust: TrustFolder

    def having(self, **changes: object) -> Judged:
        """With other small files."""
        return replace(self, files=replace(self.files, **changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def one() -> Judged:
    """alpha.bravo-000001, signed by the engineer, at bravo."""
    return Judged(small_files(HERE / "bundles" / ONE), TrustFolder.load(HERE / "trust"))


@pytest.fixture(scope="session")
def two() -> Judged:
    """alpha.bravo-000002, signed by the engineer and the reviewer, at bravo."""
    return Judged(small_files(HERE / "bundles" / MEDIA[0]), TrustFolder.load(HERE / "trust"))
