"""Replication: how a station stands to one that it follows is shown as it is, on two real stations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.api.transfers import Replica, ReplicaRepository, StuckTag
from tests.console.real import live
from tests.registry_server import Client
from tests.replication.following import NAME, push
from tests.replication.test_two_stations import kill, port_of
from tests.stage import Station
from tui.wording.replication import about_replica, about_repository, repository_standing, standing


async def test_a_followed_station_is_shown_as_it_is_and_compared_from_its_row(tmp_path: Path) -> None:
    alpha, north = Station(tmp_path / "alpha", "alpha", "outside"), Station(tmp_path / "north", "north", "outside")
    config = north.folder / "config.toml"
    with alpha:
        push(Client(port_of(alpha)), "team/app", "1", b"content")
        config.write_text(
            f'{config.read_text()}\n[replicas.{NAME}]\nurl = "{alpha.base}"\nrepositories = ["team/**"]\n'
            "follow = false\n"
        )
        with north:
            async with live(north.folder) as console:
                console.app.show_root("replication")
                await console.shows("not yet")
                await console.press("c")
                await console.until(lambda: bool(getattr(getattr(console.app.shown, "job", None), "final", False)), "")
                await console.press("escape")
                await console.shows("as there")
                await console.shows("team/app")
                kill(alpha)
                await console.press("c")
                await console.until(lambda: bool(getattr(getattr(console.app.shown, "job", None), "final", False)), "")
                await console.press("escape")
                await console.shows("fault")


def repository(**fields: Any) -> ReplicaRepository:
    given: dict[str, Any] = {"name": "team/app", "equal": "2026-01-01T00:00:00Z", "lag": 3, "tags": 2, "behind": 0,
             "gone": 0, "conflicts": 0, "stuck": (), "withheld": 0, "fault": ""} | fields  # fmt: skip
    return ReplicaRepository(**given)


def replica(*repositories: ReplicaRepository, **fields: Any) -> Replica:
    given: dict[str, Any] = {"name": "north", "url": "https://x", "account": "", "patterns": ("**",), "every": 10,
             "hours": (), "rate": 0, "deletes": False, "follow": True, "job": "1",
             "began": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:01Z", "whole": "2026-01-01T00:00:00Z",
             "lag": 3, "fault": "", "repositories": repositories} | fields  # fmt: skip
    return Replica(**given)


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (replica(repository()), "as there"),
        (replica(), "as there"),
        (replica(lag=None, whole=""), "not yet"),
        (replica(lag=61), "late"),
        (replica(lag=61, every=30), "as there"),
        (replica(lag=91, every=30), "late"),
        (replica(repository(behind=1)), "behind"),
        (replica(repository(conflicts=1)), "conflict"),
        (replica(repository(fault="damaged")), "fault"),
        (replica(repository(), fault="the primary does not answer"), "fault"),
        (replica(repository(), fault="x", lag=None), "fault"),
    ],
)
def test_nothing_is_called_as_there_that_is_not_known_to_be(one: Replica, word: str) -> None:
    assert standing(one)[0] == word
    assert (standing(one)[1] == "ok") == (word == "as there")


def test_each_tag_that_is_not_followed_says_why_and_where_it_stands() -> None:
    stuck = (StuckTag(tag="7\x1b", why="moved-both", here="", there="sha256:ab"),)
    one = repository(conflicts=3, stuck=stuck, gone=1, withheld=1, fault="why")
    facts = dict(about_repository(one))
    assert facts["7\\x1b"] == "moved on both sides: here nowhere, there sha256:ab"
    assert facts[""] == "2 more tags not followed"
    assert {"gone", "withheld", "fault"} <= set(facts)
    assert repository_standing(one)[0] == "fault"
    assert repository_standing(repository(lag=None, equal=""))[0] == "not yet"


def test_a_replica_that_is_followed_when_asked_says_how() -> None:
    assert dict(about_replica(replica(follow=False)))["when"].startswith("when asked")
    assert "equal" in dict(about_replica(replica(lag=None, whole="")))
