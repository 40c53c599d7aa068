"""Promotions, rollbacks, blocks, an exception and retirements in any order do to a channel what a model of it does."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.advisories.seals import index_key
from appliance.audit.acts import Act
from appliance.clock import now
from appliance.control.api import CONTROL
from appliance.control.threads import on_own_station
from appliance.release_check.changed_promotions import proved
from appliance.release_check.log_record import read_log
from appliance.settings.gates import PolicyException
from appliance.store.writes.lifecycle import Block, Unblock
from tests.conformance.shapes import Content
from tests.promotion.desk import RULES, Desk, record

CHOICE = st.integers(0, 3)
UNSCANNED = 3
EXCEPTED = msgspec.structs.replace(RULES, exception=[
    PolicyException(id=f"any-{one}", owner="Anna", reason="x", repositories=["staging/**"], rule=one,
                    until="2099-01-01T00:00:00Z") for one in ("inspected", "severity")
])  # fmt: skip


class Channels(RuleBasedStateMachine):
    """`stack` is what the tag stood at, the newest last: a promotion puts onto it, a rollback takes from it. Of four
    images one was never scanned, and passes where an exception says so alone."""

    desk: Desk
    contents: list[Content]

    def __init__(self) -> None:
        super().__init__()
        at = self.at = self.desk
        at.new()
        for content in self.contents:
            at.push(content, scanned=False)
        self.stack = list[int]()
        self.blocked, self.retired = set[int](), set[int]()
        self.excepted = False

    def teardown(self) -> None:
        for number in list(self.blocked):
            self.unblock(number)
        for number in list(self.retired):
            self.unretire(number)
        if self.excepted:
            self.at.apply(RULES)

    def digest(self, number: int) -> str:
        return str(self.contents[number].digest)

    def passes(self, number: int) -> bool:
        if number in self.blocked or number in self.retired:
            return False
        return number != UNSCANNED or self.excepted

    @rule(number=CHOICE)
    def promote(self, number: int) -> None:
        status, said = self.at.promote(f"dev@{self.digest(number)}", "staging", tag="next")
        assert status == (201 if self.passes(number) else 403), said
        if status == 201 and self.stack[-1:] != [number]:
            self.stack.append(number)

    @rule()
    def roll_back(self) -> None:
        status, said = self.at.rollback(f"staging/{self.at.name}:next")
        if len(self.stack) < 2:
            assert status == 404, said
        else:
            assert status == (201 if self.passes(self.stack[-2]) else 403), said
            if status == 201:
                self.stack.pop()

    @rule(number=CHOICE)
    def block(self, number: int) -> None:
        if number not in self.blocked:
            self.blocked.add(number)
            digest = self.digest(number)
            record(self.at, Act.BLOCK, digest, Block(digest=digest, why="x", actor="x", at=now()))

    @rule(number=CHOICE)
    def unblock(self, number: int) -> None:
        if number in self.blocked:
            self.blocked.discard(number)
            record(self.at, Act.UNBLOCK, self.digest(number), Unblock(digest=self.digest(number)))

    @rule(number=CHOICE)
    def retire(self, number: int) -> None:
        successor = (number + 1) % 4
        status, _ = self.at.post(
            "/v1/retirements", reference=f"dev/{self.at.name}@{self.digest(number)}", after="2020-01-01T00:00:00Z",
            successor=f"dev/{self.at.name}@{self.digest(successor)}",
        )  # fmt: skip
        assert status == (403 if successor in self.retired else 201)
        if status == 201:
            self.retired.add(number)

    @rule(number=CHOICE)
    def unretire(self, number: int) -> None:
        body = {"reference": f"dev/{self.at.name}@{self.digest(number)}"}
        assert self.at.post("/v1/retirements/undo", **body)[0] == (200 if number in self.retired else 404)
        self.retired.discard(number)

    @rule()
    def except_it_or_not(self) -> None:
        self.excepted = not self.excepted
        self.at.apply(EXCEPTED if self.excepted else RULES)

    @invariant()
    def the_tag_stands_on_top_of_the_stack(self) -> None:
        assert self.at.target("staging", "next") == (self.digest(self.stack[-1]) if self.stack else None)

    @invariant()
    def the_history_is_what_the_log_and_the_seals_say(self) -> None:
        def look(own: object) -> list[tuple[str, str]]:
            log = read_log(self.at.paths, "bravo", acts=(Act.PROMOTE, Act.ROLLBACK, Act.RESTORE))
            return list(proved(own, log, index_key(self.at.paths), f"staging/{self.at.name}", "next").found)  # type: ignore[arg-type]

        assert on_own_station(self.at.app[CONTROL].station, look) == []


@pytest.fixture
def machine(station: Desk) -> type[Channels]:
    station.new()
    contents = [station.image(scanned=number != UNSCANNED) for number in range(4)]
    return type("OfAStation", (Channels,), {"desk": station, "contents": contents})


def run(machine: type[Channels], examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate),
        ),
    )  # fmt: skip


def test_a_channel_does_what_its_model_does(machine: type[Channels]) -> None:
    run(machine, examples=3, steps=14)


@pytest.mark.long
def test_a_channel_does_what_its_model_does_for_long(machine: type[Channels]) -> None:
    run(machine, examples=8, steps=40)
