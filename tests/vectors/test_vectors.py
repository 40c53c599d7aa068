"""Every test vector gets the verdict it must get. The bytes are fixed: nothing is made anew here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import EXIT_DONE, LockgateError
from bundles.ports import no_progress
from bundles.signing.trust import TrustFolder
from bundles.verify import verify

HERE = Path(__file__).resolve().parent
VECTORS: list[dict[str, Any]] = json.loads((HERE / "vectors.json").read_text())


def lay_out(vector: dict[str, Any], root: Path) -> list[Path]:
    """The vector's media: good folders, with the changes laid over the first of them."""
    folders = []
    for number, name in enumerate(vector["folders"]):
        folder = root / str(number) / Path(name).name
        shutil.copytree(HERE / "bundles" / name, folder)
        folders.append(folder)
    if vector["changes"] is not None:
        shutil.copytree(HERE / vector["changes"], folders[0], dirs_exist_ok=True)
    for name in vector["remove"]:
        (folders[0] / name).unlink()
    return folders


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_gets_its_verdict(vector: dict[str, Any], tmp_path: Path) -> None:
    try:
        verified = verify(lay_out(vector, tmp_path), TrustFolder.load(HERE / "trust"), vector["now"], no_progress)
        status, line = EXIT_DONE, verified.opened.manifest.id
    except LockgateError as error:
        status, line = error.exit_status, error.diagnostics()
    assert (status, line[: len(vector["reason"])]) == (vector["exit"], vector["reason"]), line


def test_there_is_a_vector_for_each_verdict() -> None:
    assert {vector["exit"] for vector in VECTORS} == {0, 3, 4}
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS) > 40
