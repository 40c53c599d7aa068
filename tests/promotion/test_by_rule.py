"""Rules of the policy promote what has stood long enough, and take back what would not pass any more: as the station's
own recorded acts, through the same gates, and never a tag backwards."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance import clock
from appliance.api.promotion import Channel
from appliance.audit.acts import Act
from appliance.control.api import CONTROL
from appliance.control.promotion_rules import PromotionRules
from appliance.control.threads import on_own_station
from appliance.limits import registry as limits
from appliance.promotion import kept_verdicts
from appliance.promotion.by_rule import Due, due
from appliance.promotion.channels import standing_channels
from appliance.promotion.kept_verdicts import KeptVerdicts
from appliance.settings.image_policy import ImagePolicy, PolicyRules, decode, encode, read_rules
from appliance.settings.promotion_rules import PromotionRule
from appliance.station import Station
from appliance.store.epoch import epoch_of
from appliance.store.writes.lifecycle import Block
from bundles.errors import UsageError
from tests.conformance.shapes import Content
from tests.gates.known import scan
from tests.promotion.desk import RULES, Desk, desk, record

AT_ONCE = PromotionRule(
    name="on", to="production", repositories=["staging/**"], tags=["v*"], tag="stable", roll_back=True
)
SOAKED = msgspec.structs.replace(AT_ONCE, name="soaked", after_hours=2)


def with_rule(*rules: PromotionRule) -> PolicyRules:
    return msgspec.structs.replace(RULES, promotion=list(rules))


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("rules") / "bravo") as opened:
        opened.apply(with_rule(AT_ONCE))
        yield opened


def look(at: Desk, rules: PromotionRules | None = None) -> None:
    asyncio.run((rules or PromotionRules(at.app[CONTROL])).look())


def found(at: Desk, hours: float = 0) -> list[Due]:
    """What would be done in so many hours, of the test's repository."""
    then = clock.after(hours * 3600)
    every = on_own_station(at.app[CONTROL].station, lambda own: due(own, then))
    return [one for one in every if at.name in one.target[0]]


def staged(at: Desk, tag: str) -> Content:
    content = at.image(tag)
    assert at.promote(f"dev:{tag}", "staging")[0] == 201
    return content


def test_what_stands_in_a_channel_is_promoted_by_the_station_and_taken_back(at: Desk) -> None:
    first = staged(at, "v1")
    look(at)
    assert at.target("production", "stable") == str(first.digest)
    [event] = [one for one in at.events(Act.PROMOTE) if one["thing"].startswith("production/")]
    assert (event["actor"], event["detail"]["reason"]) == ("station", "by the rule on")
    second = staged(at, "v2")
    look(at)
    assert at.target("production", "stable") == str(second.digest)
    assert found(at) == []

    digest = str(second.digest)
    record(at, Act.BLOCK, digest, Block(digest=digest, why="found bad", actor="anna", at=clock.now()))
    look(at)
    assert at.target("production", "stable") == str(first.digest)
    [event] = at.events(Act.ROLLBACK)
    assert (event["actor"], event["detail"]["digest"]) == ("station", str(first.digest))
    look(at)  # what was taken back is not put there again
    assert (at.target("production", "stable"), found(at)) == (str(first.digest), [])


def test_only_what_stood_there_long_enough_is_due(at: Desk) -> None:
    try:
        at.apply(with_rule(SOAKED))
        staged(at, "v1")
        staged(at, "v2")
        staged(at, "other")
        assert found(at, 1.9) == []
        [one] = found(at, 2.1)
        repository = f"staging/{at.name}"
        assert (one.rule, one.digest, one.source) == ("soaked", at.target("staging", "v2"), (repository, "v2"))
        with sqlite3.connect(at.root / "metadata.sqlite") as database:
            database.execute(
                "UPDATE promotions SET at = '2020-01-01T00:00:00Z' WHERE repository = ? AND tag = 'v1'", (repository,)
            )
        [one] = found(at, 2.1)  # a row that somebody made older counts for nothing
        assert one.source == (repository, "v2")
        assert found(at, 0) == []
    finally:
        at.apply(with_rule(AT_ONCE))


def test_a_tag_never_goes_back_to_what_came_before(at: Desk) -> None:
    staged(at, "v1")
    second = staged(at, "v2")
    assert at.promote("staging:v2", "production", tag="stable")[0] == 201
    look(at)
    assert (at.target("production", "stable"), found(at)) == (str(second.digest), [])


def test_what_stands_there_from_elsewhere_stays(at: Desk) -> None:
    staged(at, "x1")
    assert at.promote("staging:x1", "production", tag="stable")[0] == 201
    staged(at, "v1")
    assert len(found(at)) == 0


def test_a_refusal_is_an_event_once_and_asked_again(at: Desk) -> None:
    at.image("v1", scanned=False)
    only = msgspec.structs.replace(RULES.gate[0], repositories=["production/**"])
    try:
        at.apply(msgspec.structs.replace(with_rule(AT_ONCE), gate=[only]))
        assert at.promote("dev:v1", "staging")[0] == 201
        rules = PromotionRules(at.app[CONTROL])
        for _ in range(3):
            look(at, rules)
        assert at.target("production", "stable") is None
        [event] = [one for one in at.events(Act.PROMOTE, "refused") if one["actor"] == "station"]
        assert event["thing"] == f"production/{at.name}:stable"
        scan(at.submit, at.paths, str(at.target("staging", "v1")))
        look(at, rules)
        assert at.target("production", "stable") == at.target("staging", "v1")
    finally:
        at.apply(with_rule(AT_ONCE))


def test_what_passed_is_judged_again_where_something_changed(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = list[list[tuple[str, str]]]()

    def counted(station: Station, names: list[tuple[str, str]]) -> list[Channel]:
        judged.append([name for name in names if at.name in name[0]])
        return standing_channels(station, names)

    monkeypatch.setattr(kept_verdicts, "standing_channels", counted)
    kept = KeptVerdicts(epoch_of(at.paths.database))
    staged(at, "v1")
    name = (f"staging/{at.name}", "v1")

    def asked(expected: str) -> bool:
        """Whether it was judged anew, with the verdict `expected`."""
        judged.clear()
        [channel] = on_own_station(at.app[CONTROL].station, lambda own: kept(own, [name]))
        assert channel.verdict == expected
        return judged == [[name]]

    assert [asked("passes") for _ in range(3)] == [True, False, False]
    at.image("beside", stage="staging")
    assert [asked("passes"), asked("passes")] == [True, False]
    with monkeypatch.context() as later:
        later.setattr(time, "monotonic", lambda before=time.monotonic: before() + limits.PROMOTION_VERDICT_KEPT)
        assert asked("passes")
    digest = str(at.target("staging", "v1"))
    record(at, Act.BLOCK, digest, Block(digest=digest, why="found bad", actor="anna", at=clock.now()))
    assert [asked("refused"), asked("refused")] == [True, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Not a name"}, {"to": "nowhere"}, {"repositories": []}, {"tags": []}, {"tag": "sha256-ab.sig"},
        {"after_hours": -1}, {"after_hours": 9000}, {"to": "staging"}, {"tag": "v1"}, {"tag": ""},
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        with_rule(msgspec.structs.replace(SOAKED, **wrong)).check()


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError):
        with_rule(SOAKED, SOAKED).check()


def test_rules_are_part_of_the_document_that_is_signed(tmp_path: Path) -> None:
    assert "promotion" not in json.loads(encode(ImagePolicy.of(RULES, "bravo", 1)))  # the same bytes as before
    document = ImagePolicy.of(with_rule(SOAKED), "bravo", 1)
    assert decode(encode(document)) == document
    (tmp_path / "policy.toml").write_text(
        '[[stage]]\nname = "dev"\n[[stage]]\nname = "live"\nfrom = ["dev"]\n'
        '[[promotion]]\nname = "soaked"\nto = "live"\nrepositories = ["dev/**"]\nafter_hours = 24\n'
    )
    [rule] = read_rules(tmp_path / "policy.toml").promotion
    assert (rule.to, rule.after_hours, rule.tags, rule.roll_back) == ("live", 24, ["*"], False)
