"""One closed station for each module of tests: people bring bundles of their own. And one with seven bundles in
quarantine, to be copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey, create_private
from tests.intake.inside import Inside, name_of
from tests.release.closed import Closed
from tests.release.standing import (
    BUNDLES,
    Released,
    bundle,
)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    station = Closed(tmp_path_factory.mktemp("closed"))
    yield station
    station.stop()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PrivateKey]:
    """A station with every bundle in quarantine, to be copied; and an officer's key."""
    folder = tmp_path_factory.mktemp("standing")
    key, previous = create_private(), None
    with Inside(folder / "bravo", approvals_needed=1) as inside:
        inside.trust(key.public)
        officer = inside.officer()
        for number in BUNDLES:
            signed = bundle(folder / f"medium{number}", number, previous, key)
            previous = str(Digest.of(signed.sums))
            inside.bring(folder / f"medium{number}")
    return folder / "bravo", officer


@pytest.fixture
def released(template: tuple[Path, PrivateKey], tmp_path: Path) -> Iterator[Released]:
    """Approves and releases bundles, by number, in this order."""
    shutil.copytree(template[0], tmp_path / "bravo")
    with Inside(tmp_path / "bravo") as inside:

        def release(*numbers: int) -> Inside:
            for number in numbers:
                inside.decide(name_of(number), template[1])
                inside.release(name_of(number))
            return inside

        yield release
