"""Difference: two artifacts are compared by platform, layer, configuration and package, never by what is not known."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.api.content import Artifact, Component, Layer, Platform
from tui.wording.difference import difference

ONE = Artifact(
    reference="team/app:1", digest="sha256:1", media_type="m", kind="image", size=1, total_size=10, raw="{}",
    config={"config": {"Env": ["A=1", "B=2"], "User": "root"}, "os": "linux"},
    layers=(Layer(media_type="l", digest="sha256:a", size=5), Layer(media_type="l", digest="sha256:b", size=5)),
)  # fmt: skip
OTHER = msgspec.structs.replace(
    ONE,
    digest="sha256:2",
    total_size=20,
    config={"config": {"Env": ["B=2", "C=\x1b[2J"], "User": "app"}, "os": "linux", "variant": "v8"},
    layers=(ONE.layers[0], Layer(media_type="l", digest="sha256:c", size=15)),
)


def package(name: str, version: str) -> Component:
    return Component(name=name, version=version, type="deb", purl="")


def text(one: Artifact, other: Artifact, *packages: Any) -> list[str]:
    return [line for _, line in difference(one, other, packages or (None, None))]


def test_layers_configuration_and_packages_that_differ_are_named_with_old_and_new() -> None:
    lines = text(ONE, OTHER, [package("libc", "1"), package("gone", "1")], [package("libc", "2"), package("new", "3")])
    assert "~ digest: sha256:1 -> sha256:2" in lines
    assert "  1 layer in both, 5 B" in lines
    assert "- layer 2 sha256:b 5 B" in lines
    assert "+ layer 2 sha256:c 15 B" in lines
    assert "~ config.User: root -> app" in lines
    assert "- config.Env: A=1" in lines
    assert "+ variant: v8" in lines
    assert {"~ libc (deb): 1 -> 2", "- gone (deb) 1", "+ new (deb) 3"} <= set(lines)
    assert not any("\x1b" in line for line in lines)


def test_the_same_artifact_is_said_to_be_the_same_and_a_missing_sbom_is_no_sameness() -> None:
    assert text(ONE, ONE)[-1].startswith("both are sha256:1")
    assert "packages are not compared" in text(ONE, OTHER)[-1]
    assert "packages are not compared" in text(ONE, OTHER, [package("libc", "1")], None)[-1]
    assert text(ONE, OTHER, [package("libc", "1")], [package("libc", "1")])[-1] == "  nothing is different"


def test_platforms_and_deep_or_odd_configurations_are_compared_without_an_end() -> None:
    index = msgspec.structs.replace(ONE, platforms=(Platform(platform="linux/amd64", digest="sha256:p", size=1),))
    assert "- linux/amd64 sha256:p" in text(index, OTHER)
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    odd = msgspec.structs.replace(OTHER, config={"config": [{"x": deep}], "os": True})
    assert any(line.startswith("~ config: ") for line in text(ONE, odd))
    other = msgspec.structs.replace(ONE, digest="sha256:3", layers=ONE.layers[::-1])
    assert "~ the layers that are in both stand in another order" in text(ONE, other)


async def test_two_tags_are_compared_from_the_artifacts_page(drive: Any) -> None:
    async with drive() as console:
        await console.press("2", "enter", "down", "enter", "d", "enter")
        assert console.name == "difference"
        screen = console.screen()
        assert "Platforms" in screen
        assert "~ digest:" in screen
        await console.press("slash", *"platforms", "enter")
        assert "Packages" in console.screen(), "heads of sections stay"
        await console.press("escape", "y")
        assert console.app.clipboard.count(" ") == 1
