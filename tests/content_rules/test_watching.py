"""What runs the rules: caps, rules that fail or take too long, and archives that are made to hurt."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest

from appliance.content_rules.registry import Ruled, RuleSet, rule_set
from appliance.content_rules.rule import Entry, File, Finding, Rule, Severity
from appliance.limits import archives as archives_limits
from appliance.limits import content_rules as limits
from appliance.limits import malware as malware_limits
from tests.content_rules.looking import entry, look, tar


class Stumbling(Rule):
    id: ClassVar[str] = "stumbling"
    message: ClassVar[str] = "m"
    remedy: ClassVar[str] = "r"
    severity: ClassVar[Severity] = "high"

    def entry(self, entry: Entry) -> Iterator[Finding]:
        yield Finding(entry.path, "seen")
        if entry.path == "bad":
            raise ValueError(f"hunter2 in {entry.path}")


class Slow(Rule):
    id: ClassVar[str] = "slow"
    message: ClassVar[str] = "m"
    remedy: ClassVar[str] = "r"
    severity: ClassVar[Severity] = "low"

    def begin(self, file: File) -> Iterator[Finding]:
        time.sleep(0.002)
        yield Finding(file.path, "seen")


class Wrong(Slow):
    id: ClassVar[str] = "wrong"

    def begin(self, file: File) -> Iterator[Finding]:
        return None  # type: ignore[return-value]


def alone(rule: Rule) -> RuleSet:
    return RuleSet({rule.id: Ruled(rule, rule.id)})


def test_a_rule_that_fails_inside_has_not_looked() -> None:
    seen, _ = look(tar(entry("a"), entry("bad"), entry("c")), alone(Stumbling()))
    one = seen.rules["stumbling"]
    assert one.unlooked == "the rule failed inside (ValueError)"
    assert [each["path"] for each in one.found.listed] == ["a", "bad"]


def test_a_rule_that_takes_too_long_has_not_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RULE_SECONDS", 0.001)
    seen, _ = look(tar(entry("a", b"x"), entry("b", b"x")), alone(Slow()))
    assert seen.rules["slow"].unlooked.startswith("the rule takes longer")


def test_a_rule_that_answers_something_else_has_not_looked() -> None:
    seen, _ = look(tar(entry("a", b"x")), alone(Wrong()))
    assert seen.rules["wrong"].unlooked == "the rule failed inside (AttributeError)"


def test_findings_are_capped_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives_limits, "FINDINGS", 10)
    data = tar(*(entry(f"bin/{number}", b"x", mode=0o4755) for number in range(50)))
    seen, _ = look(data)
    assert (seen.rules["setuid"].found.count, len(seen.rules["setuid"].found.listed)) == (50, 10)


def test_what_is_remembered_of_a_layer_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RULE_LARGE", 3)
    monkeypatch.setattr(limits, "RULE_WHITEOUTS", 2)
    large = [entry(f"f{number}", bytes(65_536 + number)) for number in range(6)]
    seen, _ = look(tar(*large, *(entry(f".wh.{number}") for number in range(5))))
    assert [path for path, _ in seen.outline.large] == ["f5", "f4", "f3"]
    assert (len(seen.outline.whiteouts), seen.outline.is_whole) == (2, False)


def test_names_without_end_are_not_remembered() -> None:
    long = "x" * 100_000
    seen, _ = look(
        tar(entry(f"a/.wh.{long}"), entry(f"{long}/.wh..wh..opq"), entry("./" * 50_000 + "f", bytes(70_000)))
    )
    outline = seen.outline
    assert (outline.whiteouts, outline.opaque, outline.is_whole) == ([], [], False)
    assert outline.large == [("f", 70_000)]


@pytest.mark.parametrize(
    ("name", "value", "data"),
    [
        ("LAYER_ENTRIES", 20, tar(*(entry(f"{number}") for number in range(40)))),
        ("MALWARE_FILES", 5, tar(*(entry(f"{number}", b"x") for number in range(40)))),
        ("LAYER_FLOOR", 4096, gzip.compress(tar(entry("a", bytes(4_000_000))))),
        ("MALWARE_DEPTH", 2, tar(entry("a.tar", tar(entry("b.tar", tar(entry("c", b"x"))))))),
        ("MALWARE_SPOOL", 2048, tar(entry("a.gz", gzip.compress(bytes(range(256)) * 99, 0)))),
    ],
    ids=["entries", "files", "endless", "nested", "too large to hold"],
)
def test_what_is_over_a_bound_is_not_clean(monkeypatch: pytest.MonkeyPatch, name: str, value: int, data: bytes) -> None:
    monkeypatch.setattr(malware_limits if name.startswith("MALWARE") else archives_limits, name, value)
    seen, scanned = look(data)
    assert seen.rules["not-inspectable"].found.count == scanned.uninspected.count == 1


def test_nothing_of_a_blob_that_nobody_could_walk_through_is_clean() -> None:
    from appliance.content_rules.watching import BlobWatch

    watch = BlobWatch(rule_set(), b"")
    watch.give_up("the disk does not answer")
    assert all(one.unlooked for one in watch.end().rules.values())
