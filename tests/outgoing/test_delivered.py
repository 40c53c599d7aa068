"""Whoever names a blob's digest must have its bytes: `collect` takes what the store holds only where the target
repository shows it, where it came for that repository, or where the actor may pull it elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.jobs.kinds import PartlyDoneError
from appliance.limits import collecting as limits
from appliance.outgoing.collect import job as collect
from appliance.settings.station import Config, save_config
from appliance.store.partials import Partials
from appliance.store.writes.access import CreateAccount, DisableAccount, GrantRole
from bundles.errors import LockgateError, NotFoundError
from bundles.limits import MIB
from bundles.oci.digest import Digest
from tests.outgoing.outside import Outside, PowerCut
from tests.outgoing.small_registry import Handler, SmallRegistry, serving
from tests.peers.stock import Layout

SMALL, LARGE = os.urandom(100), os.urandom(2 * MIB)


@pytest.fixture
def good() -> Iterator[SmallRegistry]:
    """The registry that holds the private layers."""
    with serving(SmallRegistry()) as running:
        yield running


@pytest.fixture
def bad() -> Iterator[SmallRegistry]:
    """One that names them, and holds none."""
    with serving(SmallRegistry()) as running:
        for layer in (SMALL, LARGE):
            running.image("m/app", str(len(layer)), layer)
            del running.blobs[str(Digest.of(layer))]
        yield running


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Outside]:
    """A station with accounts: mallory may pull below mine, ada below private too."""
    with Outside(tmp_path / "alpha") as station:
        station.station.paths.config.unlink()
        save_config(station.station.paths.config, Config(site="alpha", side="outside", open=False))
        for name, patterns in {"mallory": ["mine/**"], "ada": ["mine/**", "private/**"]}.items():
            station.writer.submit(CreateAccount(name=name, kind="person", full_name=name.title(), at=clock.now()))
            for pattern in patterns:
                station.writer.submit(GrantRole(account=name, role="collector", pattern=pattern))
    with Outside.opened(tmp_path / "alpha") as station:
        yield station


def run(station: Outside, *entries: dict[str, Any], actor: str = "tester(0)", **params: Any) -> dict[str, Any]:
    context = station.context("collect", {"sources": list(entries), **params})
    context.actor = actor
    return station.run(context, collect.run)


@pytest.mark.parametrize("layer", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("actor", ["mallory", "nobody", "tester(0)"])
def test_a_layer_that_only_others_may_see_is_not_given_to_who_names_it(
    closed: Outside, good: SmallRegistry, bad: SmallRegistry, layer: bytes, actor: str
) -> None:
    good.image("team/app", "1", layer)
    run(closed, good.entry("team/app", "1", "private/app:1"), actor="ada")
    with pytest.raises(NotFoundError):
        run(closed, bad.entry("m/app", str(len(layer)), "mine/app:1"), actor=actor)
    assert closed.shows("mine/app:1") is None
    assert closed.station.metadata.shown_anywhere(Digest.of(layer)) == ["private/app"]
    assert bad.counted("GET", str(Digest.of(layer))) > 0
    assert closed.station.blobs.is_whole(Digest.of(layer))


def test_a_head_proves_nothing(closed: Outside, good: SmallRegistry, bad: SmallRegistry) -> None:
    good.image("team/app", "1", LARGE)
    run(closed, good.entry("team/app", "1", "private/app:1"), actor="ada")

    def has_it(handler: Handler) -> bool:
        if handler.command == "HEAD" and "/blobs/" in handler.path:
            handler.answer(200, LARGE)
            return True
        return False

    bad.fault = has_it
    with pytest.raises(LockgateError):
        run(closed, bad.entry("m/app", str(len(LARGE)), "mine/app:1"), actor="mallory")


def test_who_may_pull_it_elsewhere_does_not_fetch_it_again(
    closed: Outside, good: SmallRegistry, bad: SmallRegistry
) -> None:
    good.image("team/app", "1", SMALL)
    run(closed, good.entry("team/app", "1", "private/app:1"), actor="ada")
    run(closed, bad.entry("m/app", "100", "mine/app:1"), actor="ada")
    assert bad.counted(str(Digest.of(SMALL))) == 0
    closed.writer.submit(DisableAccount(account="ada", at=clock.now()))
    with pytest.raises(LockgateError):
        run(closed, bad.entry("m/app", "100", "mine/other:1"), actor="ada")


def test_on_an_open_station_the_registry_must_have_it_too(
    outside: Outside, good: SmallRegistry, bad: SmallRegistry
) -> None:
    good.image("team/app", "1", SMALL)
    run(outside, good.entry("team/app", "1", "private/app:1"))
    with pytest.raises(NotFoundError):
        run(outside, bad.entry("m/app", "100", "mine/app:1"))
    run(outside, bad.entry("m/app", "100", "private/app:2"))
    assert outside.station.metadata.shown_anywhere(Digest.of(SMALL)) == ["private/app"]


def test_what_the_target_of_another_source_shows_is_not_given_either(
    closed: Outside, good: SmallRegistry, bad: SmallRegistry
) -> None:
    good.image("team/app", "1", SMALL)
    run(closed, good.entry("team/app", "1", "private/app:1"), actor="ada")
    first, second = bad.entry("m/app", "100", "private/app:2"), bad.entry("m/app", "100", "mine/app:1")
    with pytest.raises(PartlyDoneError) as caught:
        run(closed, first, second, actor="mallory")
    assert caught.value.result["failed"] == [1]
    assert closed.shows("mine/app:1") is None


def test_a_manifest_that_the_target_of_another_source_shows_is_not_given_either(
    outside: Outside, good: SmallRegistry, bad: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COLLECT_AT_ONCE", 1)
    child = good.image("team/app", "child", SMALL)
    good.index("team/app", "1", child)
    run(outside, good.entry("team/app", "1", "private/app:1"))
    kind, raw = good.manifests["team/app/child"]
    bad.manifests["m/named/child"] = (kind, raw)
    bad.manifests[f"m/named/{child}"] = (kind, raw)
    bad.index("m/named", "1", child)
    del bad.manifests[f"m/named/{child}"]
    bad.blobs[str(Digest.of(SMALL))] = SMALL
    with pytest.raises(PartlyDoneError) as caught:
        run(outside, bad.entry("m/named", "1", "private/app:2"), bad.entry("m/named", "1", "mine/app:1"))
    assert caught.value.result["failed"] == [1]


def test_a_layout_that_lacks_a_layer_gets_none_of_another_repository(
    outside: Outside, good: SmallRegistry, layout: Layout
) -> None:
    good.image("team/app", "1", SMALL)
    run(outside, good.entry("team/app", "1", "private/app:1"))
    layout.tag("1", layout.artifact({"layer": SMALL}))
    (layout.folder / "blobs/sha256" / Digest.of(SMALL).hex).unlink()
    with pytest.raises(LockgateError):
        outside.collect_layout(layout.folder, as_="mine/app:1")
    assert outside.shows("mine/app:1") is None


@pytest.mark.parametrize("left", [MIB, len(LARGE)])
def test_what_is_left_of_a_layer_counts_for_the_repository_that_it_came_for_alone(
    outside: Outside, bad: SmallRegistry, left: int
) -> None:
    partials = Partials(outside.station.blobs)
    outside.station.paths.partials.mkdir()
    partials.path(Digest.of(LARGE), "private/app").write_bytes(LARGE[:left])
    outside.station.paths.partials.joinpath(f"sha256-{Digest.of(LARGE).hex}").write_bytes(LARGE)
    bad.fault = lambda handler: handler.command == "GET" and bool(handler.headers.get("Range")) and rest(handler, left)
    with pytest.raises(LockgateError):
        run(outside, bad.entry("m/app", str(len(LARGE)), "mine/app:1"))
    assert partials.path(Digest.of(LARGE), "private/app").stat().st_size == left


def rest(handler: Handler, start: int) -> bool:
    """A registry that has the end of a layer alone."""
    body = LARGE[start:]
    handler.answer(206, body, {"Content-Range": f"bytes {start}-{len(LARGE) - 1}/{len(LARGE)}"})
    return True


def test_layers_of_a_collect_that_was_cut_off_are_not_fetched_again_for_its_repository_alone(
    outside: Outside, good: SmallRegistry, bad: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.outgoing.collect.collector._AT_ONCE", 1)  # the small layer is there first
    good.image("team/app", "1", SMALL, LARGE)
    context = outside.context("collect", {"sources": [good.entry("team/app", "1", "private/app:1")]})

    def cut(_: str, done: int, __: int) -> None:
        if done >= MIB:
            raise PowerCut

    context.on_progress = cut
    with pytest.raises(PowerCut):
        collect.run(context)
    with pytest.raises(NotFoundError):
        run(outside, bad.entry("m/app", "100", "mine/app:1"))
    good.asked.clear()
    run(outside, good.entry("team/app", "1", "private/app:1"))
    assert good.counted("GET", str(Digest.of(SMALL))) == 0
    assert not Partials(outside.station.blobs).is_delivered(Digest.of(SMALL), "private/app")


def test_a_plan_tells_nothing_of_what_others_hold(closed: Outside, good: SmallRegistry, bad: SmallRegistry) -> None:
    good.image("team/app", "1", LARGE)
    run(closed, good.entry("team/app", "1", "private/app:1"), actor="ada")
    entry = bad.entry("m/app", str(len(LARGE)), "mine/app:1")
    held = {actor: run(closed, entry, actor=actor, plan="bytes")["planned"][0]["held"] for actor in ("mallory", "ada")}
    assert held["mallory"] == 0
    assert held["ada"] >= len(LARGE)
