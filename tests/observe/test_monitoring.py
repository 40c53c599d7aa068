"""Rules and dashboards: Prometheus' own checker takes them, and every query names what a station shows."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.access.certificates import make_ca, make_server
from appliance.metrics import render
from appliance.monitoring import dashboards
from appliance.monitoring.rules import rule_file, rule_groups
from appliance.settings.slo import ObjectiveSettings, SloSettings
from tests.intake.inside import Inside, small_bundle
from tests.observe.counted import Counted, parse
from tests.observe.test_station_metrics import seen
from tests.peer_tools import require

SETTINGS = SloSettings(
    objectives={
        "production": ObjectiveSettings(repositories=["prod/**"], owner="platform", contact="on-call@example"),
        "all": ObjectiveSettings(pulls=99.0),
    }
)
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})?\Z")
_MATCHER = re.compile(r'(\w+)(=~|!=|=)"((?:[^"\\]|\\.)*)"')
_SELECTED = re.compile(r"\b(lockgate_[a-z0-9_]+|slo:[a-z0-9_:]+)(\{[^}]*\})?")
TARGET = {"site": {"alpha"}, "job": {"lockgate"}}
"""Labels that Prometheus adds to what it reads."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """By metric, the values of each label that a station shows."""
    folder = tmp_path_factory.mktemp("shown")
    with Inside(folder / "bravo") as inside:
        bundle = small_bundle(folder / "carried")
        inside.trust(bundle.key.public)
        inside.bring(*bundle.folders)
        inside.decide("alpha.bravo-000001", inside.officer())
        inside.release("alpha.bravo-000001")
        samples = list(seen(inside))
    with Inside(folder / "closed", open_=False) as closed:
        make_ca(closed.station.paths, "bravo")
        make_server(closed.station.paths, ["localhost"])
        samples += [*seen(closed), *Counted(("production", ("prod/**",)), ("all", ("**",))).now()]
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for sample in samples:
        match = _SAMPLE.match(sample)
        assert match is not None
        found[match[1]].update({})
        for label, _, value in _MATCHER.findall(match[2] or ""):
            found[match[1]][label].add(value)
    return found


def rules() -> list[dict[str, str]]:
    """Every rule of the file."""
    return [rule for group in rule_groups(SETTINGS) for rule in group["rules"]]


def queries() -> Iterator[str]:
    for name in dashboards.NAMES:
        for panel in dashboards.panels(name):
            yield from (query for query, _ in panel.queries)
    yield from (rule["expr"] for rule in rules())


def test_every_query_names_metrics_labels_and_values_that_a_station_shows(
    shown: dict[str, dict[str, set[str]]],
) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = 0
    for query in queries():
        for name, selector in _SELECTED.findall(query):
            if name in recorded:
                continue
            assert name in shown, (name, query)
            for label, how, value in _MATCHER.findall(selector):
                known = shown[name].get(label) or TARGET[label]
                for one in value.split("|"):
                    assert one.startswith("$") or one in known, (name, label, one)
                assert how in ("=", "=~", "!=")
            asked += 1
    assert asked > 100


def test_a_dashboard_is_one_that_grafana_imports() -> None:
    for name in dashboards.NAMES:
        made = json.loads(json.dumps(dashboards.dashboard(name)))
        assert (made["uid"], made["schemaVersion"]) == (f"lockgate-{name}", 39)
        assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
        for panel in made["panels"]:
            assert panel["targets"]
            assert panel["datasource"]["uid"] == "${datasource}"
    linked = [panel["links"][0]["url"] for panel in dashboards.dashboard("executive")["panels"]]
    assert all("/d/lockgate-on-call" in url for url in linked)
    names = {one["name"] for one in dashboards.dashboard("executive")["templating"]["list"]}
    assert {f"${{{name}:queryparam}}" for name in names} <= set(linked[0].partition("?")[2].split("&"))


def promtool(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    require("promtool")
    return subprocess.run(["promtool", *words], input=stdin, capture_output=True, text=True, check=False)


def test_prometheus_takes_the_metrics(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo") as inside:
        assert seen(inside)
    counted = Counted()
    done = promtool("check", "metrics", stdin=render({}, counted.slots).decode())
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert parse(render({}, counted.slots).decode())


def test_prometheus_takes_the_configuration_of_the_how_to(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/howto/observe.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    config = tmp_path / "prometheus.yml"
    (writing,) = [block for block in blocks if block.startswith("remote_write:")]
    reading = [block for block in blocks if block.startswith("scrape_configs:")]
    assert ["http_sd_configs" in block for block in reading] == [False, True]
    for block in reading:
        config.write_text(block + writing)
        done = promtool("check", "config", "--syntax-only", str(config))
        assert done.returncode == 0, done.stderr


def test_prometheus_takes_the_rules_and_alarms_go_off(tmp_path: Path) -> None:
    """Of 100 pulls a minute the station fails 2: twice the budget of `all`, and 20 times that of `production`."""
    (tmp_path / "rules.yml").write_text(rule_file(SETTINGS))
    checked = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert checked.returncode == 0, checked.stderr
    series = [
        {"series": f'lockgate_pulls_total{{site="a",slo="{slo}",kind="blob",result="{result}",reason="x"}}',
         "values": f"0+{each}x120"}
        for slo in ("production", "all")
        for result, each in (("good", 98), ("station", 2), ("client", 50))
    ]  # fmt: skip
    labels = {"severity": "page", "slo": "production", "objective": "pulls", "owner": "platform",
              "contact": "on-call@example", "site": "a"}  # fmt: skip
    told = "production pulls at a: the error budget burns 5 times as fast as allowed"
    half = "production pulls at a: the error budget burns half a day's budget within an hour"
    expected = [
        {"exp_labels": labels, "exp_annotations": {"summary": told}},
        {"exp_labels": labels | {"severity": "escalate"}, "exp_annotations": {"summary": half}},
    ]
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [
                    {"eval_time": "20m", "alertname": "LockgateErrorBudgetBurn", "exp_alerts": expected},
                    {"eval_time": "20m", "alertname": "LockgateReadOnly", "exp_alerts": []},
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps(test))
    done = promtool("test", "rules", str(tmp_path / "test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
