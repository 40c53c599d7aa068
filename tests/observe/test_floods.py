"""Refusals in great numbers: bounded in the audit log, whatever they name and wherever they come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.addresses import origin_of
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.floods import Floods
from appliance.audit.port import FileAudit
from appliance.audit.reading import tail
from appliance.limits import audit as limits
from appliance.paths import StationPaths
from tests.access.site import Site, basic, bearer
from tests.observe.station import act


def refused(number: int, address: str = "192.0.2.1", **changes: Any) -> AuditEvent:
    detail = {"address": address, "status": 401}
    fields = {"act": Act.REGISTRY_REFUSE, "actor": "anonymous", "thing": f"/v2/r{number}/tags/list", **changes}
    return AuditEvent(outcome="refused", detail=detail, origin=origin_of(address), **fields)


def counted(events: list[dict[str, Any]]) -> int:
    return sum(event["detail"].get("repeated", 1) for event in events)


def written(paths: StationPaths, make_event: Callable[[int], AuditEvent], count: int) -> list[dict[str, Any]]:
    """What the log holds after so many events."""
    audit = FileAudit(paths.audit)
    for number in range(count):
        audit.record(make_event(number))
    audit.close()
    return tail(paths.audit, 100_000)


@pytest.mark.parametrize(
    "make_event",
    [
        pytest.param(refused, id="another path each"),
        pytest.param(lambda n: refused(0, actor=f"unproved 'name-{n}'"), id="another name each"),
        pytest.param(lambda n: refused(n, f"2001:db8::{n:x}"), id="another address of one /64 each"),
        pytest.param(lambda n: refused(n, ("192.0.2.1", "::ffff:192.0.2.1")[n % 2]), id="one address in two spellings"),
    ],
)
def test_one_callers_refusals_without_an_account_are_a_few_lines(
    paths: StationPaths, make_event: Callable[[int], AuditEvent]
) -> None:
    events = written(paths, make_event, 3_000)
    assert len(events) < 20
    assert counted(events) == 3_000


def test_statuses_are_told_apart(paths: StationPaths) -> None:
    audit = FileAudit(paths.audit)
    for status in (401, 403, 429):
        audit.record(AuditEvent(Act.REGISTRY_REFUSE, "anonymous", "/v2/", "refused", {"status": status}, "192.0.2.1"))
    assert [event["detail"]["status"] for event in tail(paths.audit, 10)] == [401, 403, 429]


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(lambda n: str(ipaddress.ip_address("10.0.0.0") + n), id="IPv4"),
        pytest.param(lambda n: str(ipaddress.ip_address("2001:db8::") + (n << 64)), id="IPv6, a /64 each"),
    ],
)
def test_refusals_from_any_number_of_addresses_are_bounded_too(
    paths: StationPaths, address: Callable[[int], str]
) -> None:
    events = written(paths, lambda number: refused(number, address(number)), 6_000)
    assert len(events) < limits.AUDIT_FLOOD_WIDE + 20
    assert counted(events) == 6_000
    assert events[-1]["detail"]["address"] == "several"


def test_an_account_that_probes_many_things_is_bounded_and_named(paths: StationPaths) -> None:
    events = written(paths, lambda n: AuditEvent(Act.REGISTRY_REFUSE, "alice", f"/v2/r{n}", "refused", {}), 3_000)
    assert len(events) < limits.AUDIT_FLOOD_WIDE + 20
    assert counted(events) == 3_000
    assert {event["actor"] for event in events} == {"alice"}


def test_one_flood_does_not_hide_another_callers_refusal_of_another_act(paths: StationPaths) -> None:
    audit = FileAudit(paths.audit)
    for number in range(3_000):
        audit.record(refused(number, f"10.0.{number % 250}.1"))
    audit.record(AuditEvent(Act.SESSION_LOGIN, "carl(1)", "carl", "refused", {}, "carl(1)"))
    audit.record(AuditEvent(Act.INTAKE_IMPORT, "carl", "alpha.bravo-000001", "refused", {"reason": "no"}))
    assert [event["act"] for event in tail(paths.audit, 2)] == [Act.SESSION_LOGIN, Act.INTAKE_IMPORT]


def test_what_is_counted_is_written_when_its_minute_is_over() -> None:
    floods, got = Floods(), []
    for number in range(50):
        got += floods.admit(refused(number), 0.0)
    got += floods.admit(refused(0, "192.0.2.9"), limits.AUDIT_FLOOD + 1)
    assert sum(event.detail.get("repeated", 1) for event in got) == 51
    assert not floods.holding


def test_the_counts_in_memory_are_bounded() -> None:
    floods, lines = Floods(), 0
    for number in range(3 * limits.AUDIT_FLOODS):
        lines += len(floods.admit(AuditEvent(Act.INTAKE_IMPORT, f"a{number}", "x", "failed", {}), 0.0))
    assert len(floods._counts) <= limits.AUDIT_FLOODS
    assert lines == 3 * limits.AUDIT_FLOODS, "an evicted count that holds nothing is no line"


def test_a_refused_things_name_is_cut_and_says_so(paths: StationPaths) -> None:
    act(FileAudit(paths.audit), 1, thing="x" * 15_900, outcome="refused", detail={"reason": "y" * 9_000})
    (event,) = tail(paths.audit, 1)
    assert (event["thing"], event["detail"]["thing_cut"]) == ("x" * limits.AUDIT_THING, 15_900 - limits.AUDIT_THING)
    assert len(event["detail"]["reason"]) == limits.AUDIT_REASON


def test_what_was_done_keeps_the_longest_repository_and_digest(paths: StationPaths) -> None:
    thing = f"{'r' * 255}@sha512:{'0' * 128}"
    act(FileAudit(paths.audit), 1, thing=thing, act=Act.PUSH_MANIFEST)
    assert tail(paths.audit, 1)[0]["thing"] == thing
    act(FileAudit(paths.audit), 1, thing="p" * 4_000)
    assert len(tail(paths.audit, 1)[0]["thing"]) == limits.AUDIT_THING_DONE


def test_the_registry_gives_the_address_of_who_has_no_account_and_none_of_who_has(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        server = site.worker()
        name, secret, _ = site.robot("robot-ci", "reader public/**")
        for headers in ({}, bearer("x"), basic("robot-ci", "wrong"), basic("nobody", "wrong")):
            assert server.ask("GET", "/v2/team/app/tags/list", headers=headers).status == 401
        assert {event.origin for event in site.audit.events} == {"127.0.0.1"}
        site.audit.events.clear()
        assert server.ask("GET", "/v2/team/app/tags/list", headers=basic(name, secret)).status == 403
        assert [(event.actor, event.origin) for event in site.audit.events] == [(name, "")]


def test_an_event_that_takes_another_back_names_the_same_thing(paths: StationPaths) -> None:
    thing = f"{'r' * 255}@sha512:{'0' * 128}"
    act(FileAudit(paths.audit), 1, thing=thing, act=Act.PUSH_MANIFEST)
    detail = {"reason": "the disk is full", "takes_back": True}
    act(FileAudit(paths.audit), 1, thing=thing, act=Act.PUSH_MANIFEST, outcome="failed", detail=detail)
    done, taken_back = tail(paths.audit, 2)
    assert done["thing"] == taken_back["thing"] == thing
