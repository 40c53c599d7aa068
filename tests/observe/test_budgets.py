"""Error budgets: what counts against them, how fast they burn, and what a restart leaves of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.control.budgets import Budget, Budgets, Key
from appliance.measures.catalogue import RESULT
from appliance.measures.objectives import of_site
from appliance.measures.series import Counts
from appliance.measures.slots import Slots
from appliance.settings.slo import ObjectiveSettings, SloSettings
from appliance.settings.station import load_config
from tests.intake.inside import Inside
from tests.observe.test_station_metrics import seen

NOW = 1_800_000_000
PROD = ObjectiveSettings(repositories=["prod/**"], pulls=99.0, pull_seconds=0.3)
SETTINGS = SloSettings(objectives={"prod": PROD, "all": ObjectiveSettings()})


class Site:
    """What a station counted, and its budgets."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "budgets.json"
        self.start()
        self.budgets = Budgets(SETTINGS, self.slots.layout, self.path)

    def start(self) -> None:
        """Counters begin at 0."""
        self.objectives, layout = of_site(SETTINGS)
        self.slots = Slots(layout, None, SETTINGS)
        self.counts: Counts = self.slots.open("worker-1")

    def count(self, reason: str, times: int, slo: str = "prod", of: str = "pulls") -> None:
        at = self.slots.layout.at(f"lockgate_{of}", slo, "blob", RESULT[reason], reason)
        self.counts.add(at, float(times))

    def take(self, now: int, slo: str = "prod", objective: str = "pulls") -> Budget:
        self.budgets.take(self.slots.totals(), now)
        return next(one for one in self.budgets.latest if one.key == Key(slo, objective))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_only_what_the_station_fails_is_spent(site: Site) -> None:
    site.count("ok", 980)
    site.count("internal", 5)
    site.count("damaged", 15)
    site.count("token", 4_000)
    found = site.take(NOW)
    assert (found.failed, found.all) == (20, 1000)
    assert found.burn["5m"] == pytest.approx(2)
    assert found.left == pytest.approx(-1)
    assert not found.burns
    assert site.take(NOW, "all").all == 0
    assert site.take(NOW, "prod", "pushes").left == 1


def test_a_slow_pull_is_spent_by_the_bound_that_the_site_named(site: Site) -> None:
    for seconds, size in ((0.2, "manifest"), (0.3, "small"), (0.31, "small"), (9.0, "large")):
        site.counts.observe(site.slots.layout.at("lockgate_pull_seconds", "prod", size), seconds)
    found = site.take(NOW, "prod", "fast_pulls")
    assert (found.failed, found.all) == (1, 3), "a large blob takes what it takes"


def test_windows_forget_and_the_budget_remembers(site: Site) -> None:
    site.count("internal", 10)
    site.count("ok", 90)
    assert site.take(NOW).burns
    later = site.take(NOW + 400)
    assert (later.burn["5m"], later.burn["1h"]) == (0, pytest.approx(10))
    assert not later.burns
    old = site.take(NOW + 2 * 86_400)
    assert (old.burn["6h"], old.burn["3d"]) == (0, pytest.approx(10))
    assert site.take(NOW + 31 * 86_400).all == 0


def test_a_restart_keeps_the_budget_and_counts_nothing_twice(site: Site) -> None:
    site.count("internal", 1)
    site.count("ok", 99)
    site.take(NOW)
    site.budgets.keep()
    site.start()
    site.budgets = Budgets(SETTINGS, site.slots.layout, site.path)
    site.count("ok", 100)
    found = site.take(NOW + 60)
    assert (found.failed, found.all) == (1, 200)
    site.start()  # the counters begin anew under the same budgets
    site.count("ok", 10)
    assert site.take(NOW + 120).all == 210


@pytest.mark.parametrize(
    "text",
    ["", "[", "{}", '[[60, "x"], null, [1, 2, "prod", "pulls", 1, 1]]', "[" * 100_000],
    ids=["empty", "cut off", "an object", "other rows", "nested"],
)
def test_a_file_of_budgets_that_cannot_be_read_begins_them_anew(site: Site, text: str) -> None:
    site.path.write_text(text)
    site.budgets = Budgets(SETTINGS, site.slots.layout, site.path)
    assert site.take(NOW).all == 0


def test_the_file_is_small_and_for_the_station_alone(site: Site) -> None:
    for at in range(0, 30 * 3_600, 1_200):
        site.count("ok", 1)
        site.take(NOW + at)
    site.budgets.keep()
    assert site.path.stat().st_mode & 0o777 == 0o600
    assert len(json.loads(site.path.read_text())) <= 6 * 3 + 31 + 2


def test_the_settings_of_a_station_say_what_is_counted_for_whom(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo") as inside:
        config = inside.station.paths.config
        config.write_text(
            config.read_text().replace(
                "[slo.objectives]\n", '[slo.objectives.prod]\nrepositories = ["prod/**"]\npulls = 99\n'
            )
        )
        objectives, layout = of_site(load_config(config).slo)
        assert objectives.names == ("prod", "other")
        assert layout.at("lockgate_pulls", "other", "blob", "good", "ok")
        assert load_config(config).slo.named()["prod"].pulls == 99
        found = seen(inside)
        name = 'objective="pulls",slo="all"'
        assert found[f"lockgate_slo_objective_ratio{{{name}}}"] == pytest.approx(0.999)
        assert found[f"lockgate_slo_budget_left_ratio{{{name}}}"] == 1
        assert found[f'lockgate_slo_burn_rate{{{name},window="5m"}}'] == 0
