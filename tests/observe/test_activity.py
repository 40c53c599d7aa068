"""Activity: what went on minute by minute, by what all processes counted."""

from __future__ import annotations

from appliance.control.activity import KEPT, STEP, ActivityKeeper
from appliance.measures.catalogue import layout
from appliance.settings.slo import ALL

NOW = 1_700_000_000 // STEP * STEP


def counted(keeper: ActivityKeeper, **amounts: float) -> list[float]:
    totals = [0.0] * keeper.layout.cells
    at = keeper.layout.at
    names = {
        "pulls": at("lockgate_pulls", ALL, "blob", "good", "ok"),
        "errors": at("lockgate_pulls", ALL, "manifest", "station", "disk"),
        "client": at("lockgate_pulls", ALL, "manifest", "client", "denied"),
        "imports": at("lockgate_jobs_ended", "import", "done"),
        "refused": at("lockgate_jobs_ended", "import", "refused"),
        "builds": at("lockgate_jobs_ended", "build", "done"),
    }
    for name, amount in amounts.items():
        totals[names[name]] = amount
    return totals


def test_each_minute_has_what_was_counted_in_it_and_quiet_ones_have_nothing() -> None:
    keeper = ActivityKeeper(layout())
    keeper.take(counted(keeper, pulls=5), NOW + 1, 100)
    keeper.take(counted(keeper, pulls=7, errors=1, client=40, builds=3), NOW + 59, 120)
    keeper.take(counted(keeper, pulls=7, errors=1, imports=2, refused=1), NOW + 3 * STEP, 90)
    points = keeper.told().points
    assert [point.pulls for point in points] == [7, 0, 0, 0]
    assert [point.errors for point in points] == [1, 0, 0, 0], "what clients did wrong is none of the station's errors"
    assert [point.imports for point in points] == [0, 0, 0, 2]
    assert [point.refused for point in points] == [0, 0, 0, 1]
    assert [point.stored for point in points] == [120, 90, 90, 90]
    assert points[1].at > points[0].at


def test_it_forgets_what_is_old_and_begins_anew_with_the_counters_and_after_a_sleep() -> None:
    keeper = ActivityKeeper(layout())
    for minute in range(KEPT + 20):
        keeper.take(counted(keeper, pulls=minute), NOW + minute * STEP, 0)
    assert len(keeper.told().points) == KEPT
    keeper.take(counted(keeper, pulls=3), NOW + (KEPT + 20) * STEP, 0)
    assert keeper.told().points[-1].pulls == 3, "counters that fell began at 0 again"
    keeper.take(counted(keeper, pulls=4), NOW + 10 * KEPT * STEP, 0)
    assert [point.pulls for point in keeper.told().points] == [1]
