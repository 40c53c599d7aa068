"""Collected artifacts keep apart: no source takes another one's name, or another file's, unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.outgoing.collect.names import default_reference
from bundles.errors import RefusedError, UsageError
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

NAMES = [
    "東京.bin", "大阪.bin", "App (x86).iso", "app-x86.iso", "app-x86-1.iso", "çat.bin", "cat.bin", "c\udce9t.bin",
    "a+b.bin", "a-b.bin", "a~b.bin",
]  # fmt: skip


def file_of(path: Path, content: bytes = b"") -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content or str(path).encode())
    return {"kind": "file", "path": str(path), "as": None}


def test_names_of_any_script_are_names_of_their_own() -> None:
    assert len({default_reference(name) for name in NAMES}) == len(NAMES)


def test_a_plain_name_is_its_letters() -> None:
    assert str(default_reference("Config_v1.2.bin")) == "files/config-v1-2-bin:latest"


@pytest.mark.parametrize("name", ["...", " ", "_"])
def test_a_name_of_which_nothing_is_left_asks_for_one(name: str) -> None:
    with pytest.raises(UsageError):
        default_reference(name)


def test_two_sources_of_one_name_are_refused_and_both_are_named(outside: Outside, tmp_path: Path) -> None:
    first, second = (file_of(tmp_path / folder / "config.bin") for folder in ("a", "b"))
    with pytest.raises(UsageError) as refused:
        outside.collect(first, second)
    assert refused.value.thing == f"{first['path']} and {second['path']}"
    assert outside.station.metadata.repository_names(10) == []


def test_one_name_given_twice_is_refused_whatever_the_sources_are(
    outside: Outside, tmp_path: Path, layout: Layout
) -> None:
    layout.tag("1", layout.image({"a": b"a"}, "amd64"))
    image = {"kind": "layout", "path": str(layout.folder), "tag": "1", "as": "team/app:1"}
    file = file_of(tmp_path / "app.bin") | {"as": "team/app:1"}
    with pytest.raises(UsageError):
        outside.collect(image, file)
    assert outside.station.metadata.repository_names(10) == []


def test_another_file_does_not_take_the_tag_of_one_that_was_collected_before(outside: Outside, tmp_path: Path) -> None:
    outside.collect(file_of(tmp_path / "a b.bin", b"1"))
    before = outside.station.metadata.tag_target("files/a-b-bin", "latest")
    with pytest.raises(RefusedError) as refused:
        outside.collect(file_of(tmp_path / "a-b.bin", b"2"))
    assert refused.value.thing == "a b.bin, and not a-b.bin"
    assert outside.station.metadata.tag_target("files/a-b-bin", "latest") == before


def test_an_image_does_not_lose_its_tag_to_a_file(outside: Outside, tmp_path: Path, layout: Layout) -> None:
    layout.tag("1", layout.image({"a": b"a"}, "amd64"))
    outside.collect({"kind": "layout", "path": str(layout.folder), "tag": "1", "as": "files/a:latest"})
    with pytest.raises(RefusedError):
        outside.collect(file_of(tmp_path / "a"))


def test_the_same_file_again_is_its_new_version(outside: Outside, tmp_path: Path) -> None:
    for content in (b"1", b"2"):
        outside.collect(file_of(tmp_path / "a.bin", content))
    named = file_of(tmp_path / "b.bin", b"3") | {"as": "files/a-bin:latest"}
    outside.collect(named)
