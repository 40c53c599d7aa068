"""The good test vectors as bytes, to be judged without a file in sight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bundles import sums
from bundles.signing.trust import TrustFolder
from bundles.verdict import SIGNATURE_NAME, SmallFiles
from tests.vectors.known import HERE, MEDIA, ONE


@dataclass(frozen=True)
class Judged:
    """What a verdict is made from."""

    files: SmallFiles
    trust: TrustFolder

    def having(self, **changes: object) -> Judged:
        """With other small files."""
        return replace(self, files=replace(self.files, **changes))  # type: ignore[arg-type]


def small_files(folder: Path) -> SmallFiles:
    return SmallFiles(
        sums=(folder / sums.NAME).read_bytes(),
        manifest=(folder / sums.MANIFEST).read_bytes(),
        readme=(folder / sums.README).read_bytes(),
        signatures={path.name: path.read_bytes() for path in folder.iterdir() if SIGNATURE_NAME.match(path.name)},
    )


@pytest.fixture(scope="session")
def one() -> Judged:
    """alpha.bravo-000001, signed by the engineer, at bravo."""
    return Judged(small_files(HERE / "bundles" / ONE), TrustFolder.load(HERE / "trust"))


@pytest.fixture(scope="session")
def two() -> Judged:
    """alpha.bravo-000002, signed by the engineer and the reviewer, at bravo."""
    return Judged(small_files(HERE / "bundles" / MEDIA[0]), TrustFolder.load(HERE / "trust"))
