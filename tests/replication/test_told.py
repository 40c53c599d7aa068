"""What is told of replicas: lags as metrics and as a check, from what the last look found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import clock
from appliance.control.replicas import Replicas
from appliance.jobs.service import Jobs
from appliance.limits import replication as limits
from appliance.replication import replica_state
from appliance.replication.replica_state import ReplicaState, RepositoryState
from tests.outgoing.outside import Outside
from tests.replication.following import NAME, Follower

NOW = 1_790_000_000
Told = Callable[[ReplicaState], Replicas]


def ago(seconds: int) -> str:
    return clock.at(NOW - seconds)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(clock, "now", lambda: clock.at(NOW))
    with Outside(tmp_path) as outside:
        station = Follower(outside, "http://127.0.0.1:1").outside.station

    def tell(found: ReplicaState) -> Replicas:
        replica_state.write(station.paths.replica(NAME), found)
        return Replicas(station, Jobs.__new__(Jobs))

    return tell


def test_a_lag_is_the_time_since_the_last_look_that_found_everything_equal_began(told: Told) -> None:
    replicas = told(
        ReplicaState(
            began=ago(2), ended=ago(1), whole=ago(40),
            repositories={
                "team/app": RepositoryState(equal=ago(2), tags=3),
                "team/late": RepositoryState(equal=ago(40), tags=2, behind=1, conflicts=1),
                "team/new": RepositoryState(tags=1, behind=1, fault="it failed"),
            },
        )
    )  # fmt: skip
    (one,) = replicas.told()
    assert (one.lag, [each.lag for each in one.repositories]) == (40, [2, 40, None])
    gauges = replicas.gauges()
    by = (("replica", NAME), ("repository", "team/late"))
    assert gauges["lockgate_replica_repository_lag_seconds"][1][by] == 40.0
    assert (("replica", NAME), ("repository", "team/new")) not in gauges["lockgate_replica_repository_lag_seconds"][1]
    key = (("replica", NAME),)
    values = {name: series[key] for name, (_, series) in gauges.items() if key in series}
    assert values == {
        "lockgate_replica_lag_seconds": 40.0, "lockgate_replica_behind_tags": 2.0, "lockgate_replica_conflicts": 1.0,
        "lockgate_replica_up": 1.0,
    }  # fmt: skip


def test_of_many_repositories_those_have_a_series_that_lag_the_most(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REPLICA_SERIES", 2)
    every = {f"r{number}": RepositoryState(equal=ago(number)) for number in range(5)}
    _, series = told(ReplicaState(began=ago(1), ended=ago(1), whole=ago(1), repositories=every)).gauges()[
        "lockgate_replica_repository_lag_seconds"
    ]
    assert sorted(series.values()) == [3.0, 4.0]


@pytest.mark.parametrize(
    ("found", "well"),
    [
        (ReplicaState(), True),  # it has just begun
        (ReplicaState(began=ago(5), ended=ago(4), whole=ago(5)), True),
        (ReplicaState(began=ago(5), ended=ago(4), whole=ago(5), fault="the primary is away"), False),
        (ReplicaState(began=ago(5), ended="", whole=ago(700)), False),  # a look that does not come to its end
        (ReplicaState(began=ago(700), ended=""), False),
        (
            ReplicaState(
                began=ago(1), ended=ago(1), whole="", repositories={"a": RepositoryState(behind=1, fault="x")}
            ),
            False,
        ),
        (
            ReplicaState(began=ago(1), ended=ago(1), whole=ago(9), repositories={"a": RepositoryState(conflicts=1)}),
            False,
        ),
    ],
)
def test_a_replica_that_stopped_is_not_well(told: Told, found: ReplicaState, well: bool) -> None:
    check = told(found).check()
    assert check is not None
    assert (check["name"], check["ok"]) == ("replicas", well)


def test_a_clock_that_was_set_back_gives_no_lag_below_nothing(told: Told) -> None:
    (one,) = told(ReplicaState(began=ago(-60), ended=ago(-60), whole=ago(-60))).told()
    assert one.lag == 0


def test_a_file_that_cannot_be_read_says_nothing_is_equal(told: Told, tmp_path: Path) -> None:
    replicas = told(ReplicaState(whole=ago(1)))
    (tmp_path / f"replica-{NAME}.json").write_bytes(b"\xff{")
    (one,) = replicas.told()
    assert (one.lag, one.whole, one.repositories) == (None, "", ())
