"""The options of `collect` that choose tags and platforms, where they fit nothing: one line, before a job is queued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.cli.store.collect import _entry, _of_platforms, _platforms, _selected
from bundles.errors import LockgateError, UsageError

MANY = "h.example/team/lib:*"


def selected(*sources: str, **said: Any) -> dict[str, Any]:
    return _selected(sources, said)


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (("h.example/team/lib:1.0.0",), {"newest": 1}), ((), {"newest": 1}), ((MANY,), {"range": "newest"}),
        ((MANY,), {"newest": 0}), ((MANY,), {"variant": "a b"}), ((MANY, "oci:x"), {"exclude": ["a"]}),
        ((), {"created_since": "2026-01-01"}), ((MANY,), {"created_since": "soon"}), ((MANY,), {"latest": 0}),
    ],
)  # fmt: skip
def test_an_option_that_fits_no_source_is_named(sources: tuple[str, ...], said: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as wrong:
        selected(*sources, **said)
    assert wrong.value.remedy


def test_options_are_keys_of_the_source() -> None:
    select = selected(MANY, newest=2, exclude=["a"])
    assert _entry(MANY, "mirror/lib", Path(), select) == {
        "kind": "tags", "reference": MANY, "as": "mirror/lib", "select": {"exclude": ["a"], "newest": 2},
    }  # fmt: skip
    assert _platforms((MANY,), ("linux/amd64,linux/arm64", "linux/amd64")) == ["linux/amd64", "linux/arm64"]


@pytest.mark.parametrize(("text", "as_"), [(MANY, "libs/lib:1"), ("h.example/team/**", None), ("team/lib:*", None)])
def test_many_tags_that_are_malformed_are_named(text: str, as_: str | None) -> None:
    with pytest.raises(LockgateError):
        _entry(text, as_, Path())


def test_a_platform_is_of_what_has_some(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(UsageError, match="no platforms"):
        _of_platforms(_entry("file:x", None, tmp_path), ["linux/amd64"])
    for sources, platforms in (((), ("linux/amd64",)), ((MANY,), ("amd64",))):
        with pytest.raises(UsageError):
            _platforms(sources, platforms)
