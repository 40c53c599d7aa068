"""A source that speaks for the others, as a lock does: taken after them, and not where one of them failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.outgoing.collect import job as collect
from bundles.errors import LockgateError
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import SmallRegistry, serving


def test_a_lock_is_collected_after_all_that_it_lists_and_not_without_it(tmp_path: Path) -> None:
    (tmp_path / "mine.lock").write_text("a lock")
    lock = {"kind": "file", "path": str(tmp_path / "mine.lock"), "as": "collections/mine:lock", "last": True}
    with Outside(tmp_path / "alpha") as outside, serving(SmallRegistry()) as registry:
        registry.image("team/app", "1", b"layer")

        def run(*sources: dict[str, Any]) -> tuple[list[str], list[int]]:
            context = outside.context("collect", {"sources": list(sources)})
            try:
                result = outside.run(context, collect.run)
            except LockgateError as error:
                result = getattr(error, "result")  # noqa: B009
                assert str(tmp_path / "mine.lock") in context.parts
            return result["references"], result["failed"]

        there, missing = registry.entry("team/app", "1"), registry.entry("team/app", "2")
        assert run(lock, there, missing) == (["team/app:1"], [0, 2])
        assert outside.shows("collections/mine:lock") is None
        assert run(missing, lock) == ([], [0, 1])
        assert outside.shows("collections/mine:lock") is None

        shown: list[object] = []

        def look(_: object) -> bool:
            shown.append(outside.shows("collections/mine:lock"))
            return False

        registry.fault = look
        assert run(lock, there) == (["collections/mine:lock", "team/app:1"], [])
        assert shown
        assert set(shown) == {None}
        assert outside.shows("collections/mine:lock") is not None
        assert run(lock) == (["collections/mine:lock"], [])
