"""How far each medium is: a byte counts when it is written and when it is compared; one that fails says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bundles import build
from bundles.errors import FailedError
from bundles.ports import no_progress
from tests.bundles.small import SmallBundle

Word = tuple[int, str, int, int, str]


def told(bundle: SmallBundle, out: list[Path]) -> list[Word]:
    words: list[Word] = []
    build.write(bundle.signed, bundle.store, out, no_progress, told=lambda *word: words.append(word))
    return words


def again(bundle: SmallBundle, root: Path) -> list[Path]:
    """Empty media."""
    out = [root / f"again{number}" for number in range(1, len(bundle.out) + 1)]
    for folder in out:
        folder.mkdir()
    return out


def test_every_medium_is_told_of_from_nothing_to_all_of_its_bytes_twice(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path, media=2)
    words = told(bundle, again(bundle, tmp_path))
    for medium in (1, 2):
        size = sum(volume.size for volume in bundle.manifest.volumes if volume.medium == medium)
        mine = [word for word in words if word[0] == medium]
        assert mine[0] == (medium, "writing", 0, 2 * size, "")
        assert mine[-1] == (medium, "done", 2 * size, 2 * size, "")
        done = [word[2] for word in mine]
        assert done == sorted(done)
        assert {word[1] for word in mine} == {"writing", "comparing", "done"}
        assert all(word[2] >= size for word in mine if word[1] == "comparing")


def test_what_is_there_already_counts_as_done(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path)
    words = told(bundle, bundle.out)
    assert words[-1][1] == "done"
    assert words[-1][2] == words[-1][3]


def test_a_medium_that_fails_says_why_and_the_other_is_finished(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path, media=2)
    out = again(bundle, tmp_path)
    words: list[Word] = []

    def pulled(*word: object) -> None:
        words.append(word)  # type: ignore[arg-type]
        if word[:2] == (1, "writing") and word[2] == 0:
            shutil.rmtree(out[0])

    with pytest.raises(FailedError):
        build.write(bundle.signed, bundle.store, out, no_progress, told=pulled)
    last = {word[0]: word for word in words}
    assert last[1][1] == "failed"
    assert str(out[0]) in last[1][4]
    assert last[2][1] == "done"
