"""What the console and the command line are told about approvals, the audit log and custody, on a closed station."""

from __future__ import annotations

import pytest

from bundles.errors import LockgateError, NotFoundError, RefusedError
from tests.release.closed import Closed


def test_what_waits_is_listed_with_what_was_found_and_who_approved(closed: Closed) -> None:
    name = closed.brought(classification="SECRET")
    (entry,) = closed.ask("anna", "GET", "/v1/approvals", filter=name)["items"]
    assert (entry["waits_for"], entry["approvals"], entry["needed"], entry["hours"]) == ("approvals", 0, 2, 72)
    assert (entry["importer"], entry["classification"], entry["kinds"]) == ("carl", "SECRET", ["file"])
    assert {one["inspector"] for one in entry["found"]} >= {"integrity", "changes", "differences", "layers"}
    closed.approve("anna", name)
    closed.approve("boris", name)
    (entry,) = closed.ask("anna", "GET", "/v1/approvals", filter=name)["items"]
    assert entry["waits_for"] == "release"
    assert sorted(one["owner"] for one in entry["people"]) == ["anna", "boris"]
    closed.release("anna", name)
    assert closed.ask("anna", "GET", "/v1/approvals", filter=name)["items"] == []


def test_pages_of_what_waits_lead_on(closed: Closed) -> None:
    names = sorted(closed.brought() for _ in range(3))
    seen, after = [], ""
    while True:
        page = closed.ask("anna", "GET", "/v1/approvals", limit=1, after=after)
        seen += [entry["id"] for entry in page["items"]]
        after = page["next"]
        if not after:
            break
    assert [name for name in seen if name in names] == names


def test_one_says_what_a_signature_will_do(closed: Closed) -> None:
    name = closed.brought(purpose="monthly patches")
    mine = {"keyid": closed.keys["anna"].public.keyid}
    shown = closed.ask("anna", "GET", f"/v1/approvals/{name}", **mine)
    assert shown["purpose"] == "monthly patches"
    assert shown["effect"]["text"] == "approval 1 of 2: 1 more must follow within 72 hours"
    assert shown["report"]["bundle"] == name
    assert [step["state"] for step in shown["steps"]] == ["received", "verified", "quarantined", "inspected"]
    closed.approve("boris", name)
    shown = closed.ask("anna", "GET", f"/v1/approvals/{name}", **mine)
    assert shown["effect"]["enough"] is True
    assert "may then be released" in shown["effect"]["text"]
    assert [(one["owner"], one["counts"]) for one in shown["people"]] == [("boris", True)]
    closed.approve("anna", name)
    assert "approved it already" in closed.ask("anna", "GET", f"/v1/approvals/{name}", **mine)["effect"]["text"]


@pytest.mark.parametrize(("who", "path"), [("carl", "/v1/approvals"), ("vera", "/v1/approvals"), ("ada", "/v1/audit"),
                                           ("carl", "/v1/audit/check"), ("ada", "/v1/custody")])  # fmt: skip
def test_each_sees_what_their_role_gives(closed: Closed, who: str, path: str) -> None:
    with pytest.raises(RefusedError, match="may not"):
        closed.ask(who, "GET", path)


def test_the_auditor_pages_through_the_log_and_checks_it_against_a_head(closed: Closed) -> None:
    name = closed.brought()
    checked = closed.ask("vera", "GET", "/v1/audit/check")
    assert (checked["ok"], checked["findings"]) == (True, [])
    closed.approve("anna", name)
    again = closed.ask("vera", "GET", "/v1/audit/check", expect_head=checked["head"])
    assert again["ok"] is True
    assert closed.ask("vera", "GET", "/v1/audit/head")["head"] == again["head"]
    assert closed.ask("vera", "GET", "/v1/status")["audit"]["head"] == again["head"]
    other = closed.ask("vera", "GET", "/v1/audit/check", expect_head="9-" + "0" * 64)
    assert "end was cut" in other["findings"][0]["what"]
    first = closed.ask("vera", "GET", "/v1/audit", limit=2, thing=name)
    older = closed.ask("vera", "GET", "/v1/audit", limit=2, thing=name, after=first["next"])
    assert first["items"][-1]["act"] == "intake.approve"
    first_places, older_places = ({(one["lane"], one["seq"]) for one in page["items"]} for page in (first, older))
    assert first_places.isdisjoint(older_places), "a number is of its lane"
    with pytest.raises(LockgateError, match="not a head"):
        closed.ask("vera", "GET", "/v1/audit/check", expect_head="x")


def test_every_bundle_with_a_custody_record_is_listed(closed: Closed) -> None:
    name = closed.brought()
    fields = {"giver": "Courier", "taker": "Carl", "medium": "USB-7", "serial": "", "seal": "0042", "note": ""}
    record = closed.ask("carl", "POST", f"/v1/bundles/{name}/custody", fields)
    assert [one["seal"] for one in record["handovers"]] == ["0042"]
    (entry,) = closed.ask("vera", "GET", "/v1/custody", filter=name)["items"]
    assert (entry["direction"], entry["state"], entry["handovers"]) == ("in", "quarantined", 1)
    with pytest.raises(NotFoundError, match="nothing is known"):
        closed.ask("vera", "GET", "/v1/bundles/nowhere.bravo-000001/custody")
