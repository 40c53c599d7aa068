"""Limits of registries, and registries that say nothing: what is waited for, what is given up, and what goes on."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from appliance.limits import collecting as limits
from appliance.outgoing.collect import job as collect
from bundles.errors import CancelledError
from tests.outgoing.collecting import SMALL, failing, run
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import Handler, SmallRegistry
from tests.outgoing.test_lying_registries import hang_up

pytestmark = pytest.mark.usefixtures("soon")


def test_a_limit_of_an_hour_is_told_with_its_end_and_others_go_on(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry
) -> None:
    def limited(handler: Handler) -> bool:
        handler.answer(429, b"", {"Retry-After": "3600"})
        return True

    for number in range(5):
        registry.image(f"team/app{number}", "1", SMALL)
    registry.fault = limited
    entries = [registry.entry(f"team/app{number}", "1") for number in range(5)]
    error, context = failing(outside, *entries, good.entry("team/good", "1"))
    assert (error.result["failed"], error.result["references"]) == ([0, 1, 2, 3, 4], ["team/good:1"])
    assert len([line for line in context.lines if "try again after 2" in line]) == 5
    assert len(registry.asked) == 1, "a registry that said when to come back is left alone"


def test_a_host_that_never_answers_is_given_up_for_its_other_references(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REMOTE_ATTEMPTS", 2)
    registry.fault = hang_up
    entries = [registry.entry(f"team/app{number}", "1") for number in range(20)]
    error, _ = failing(outside, *entries, good.entry("team/good", "1"))
    assert (error.result["failed"], error.result["references"]) == (list(range(20)), ["team/good:1"])
    assert len(registry.asked) < 30, "twenty references of two attempts each, which aiohttp may repeat, would be 40"


def test_one_registry_that_holds_its_references_up_leaves_room_for_others(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry
) -> None:
    over, waited_out = threading.Event(), threading.Event()

    def holds(_: Handler) -> bool:
        if not over.wait(20):
            waited_out.set()
        return True

    registry.fault = holds
    context = outside.context(
        "collect",
        {"sources": [*(registry.entry(f"a{number}", "1") for number in range(12)), good.entry("team/good", "1")]},
    )

    def seen(*_: object) -> None:
        if any("collected team/good:1" in line for line in context.lines):
            raise CancelledError("the job was cancelled", thing="job")

    context.on_progress = seen
    with pytest.raises(CancelledError):
        collect.run(context)
    over.set()
    assert not waited_out.is_set()
    assert outside.shows("team/good:1") is not None


def test_a_short_limit_is_waited_for_once_by_all(outside: Outside, registry: SmallRegistry) -> None:
    refused = threading.Event()

    def once(handler: Handler) -> bool:
        if refused.is_set():
            return False
        refused.set()
        handler.answer(429, b"", {"Retry-After": "0"})
        return True

    registry.image("team/app", "1", SMALL)
    registry.fault = once
    run(outside, registry.entry("team/app", "1"))
    assert registry.counted("HEAD", "manifests/1") == 2


def test_a_budget_of_requests_ends_a_registry_that_is_asked_without_end(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REMOTE_REQUESTS", 9)
    children = [registry.image("team/app", "", bytes([number])) for number in range(30)]
    registry.index("team/app", "1", *children)
    error, context = failing(outside, registry.entry("team/app", "1"), good.entry("team/good", "1"))
    assert error.result["references"] == ["team/good:1"]
    assert len(registry.asked) <= 9
    assert any("asked too often" in line for line in context.lines)


def test_few_pulls_left_are_said_once(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/app", "1", SMALL)

    def counts(handler: Handler) -> bool:
        handler.send_header = _with_limit(handler)  # type: ignore[method-assign]
        return False

    registry.fault = counts
    _, context = run(outside, registry.entry("team/app", "1"))
    assert len([line for line in context.lines if "3 pulls are left" in line]) == 1


def _with_limit(handler: Handler) -> Any:
    plain = type(handler).send_header

    def send(name: str, value: str) -> None:
        if name == "Content-Length":
            plain(handler, "ratelimit-remaining", "3;w=21600")
        plain(handler, name, value)

    return send
