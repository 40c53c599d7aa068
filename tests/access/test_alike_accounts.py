"""An account whose name looks like another's is not made; where both are there already, they are one person."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance import clock
from appliance.access.accounts import Accounts
from appliance.intake.approvals import names_of
from appliance.policy.approvals import Demand, Policy, check_apart, person
from appliance.store.writes.access import CreateAccount
from bundles.errors import RefusedError, UsageError
from bundles.people import gather
from tests.intake.inside import Inside


def create(inside: Inside, name: str, kind: str = "person") -> None:
    inside.writer.submit(CreateAccount(name=name, kind=kind, full_name="", password="x", at=clock.now()))  # type: ignore[arg-type]


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "bravo") as opened:
        yield opened


@pytest.mark.parametrize(("there", "new"), [("anna1", "annal"), ("otto", "0tto"), ("emma", "ernma")])
def test_an_account_that_looks_like_another_is_not_made(inside: Inside, there: str, new: str) -> None:
    create(inside, there)
    with pytest.raises(UsageError, match="looks like it"):
        create(inside, new)
    create(inside, "hanna")
    assert [one.name for one in Accounts(inside.station.reader).page(10)] == sorted([there, "hanna"])


def test_accounts_that_were_there_before_load_and_are_one_person(inside: Inside) -> None:
    create(inside, "anna1")
    create(inside, "other")
    with closing(sqlite3.connect(inside.station.paths.database)) as db, db:
        db.execute("UPDATE accounts SET name = 'annal' WHERE name = 'other'")
    accounts = Accounts(inside.station.reader)
    assert (accounts.get("anna1").name, accounts.get("annal").name) == ("anna1", "annal")
    policy = Policy()
    assert len(gather([person(policy, "anna1"), person(policy, "annal")])) == 1
    demand = Demand(1, 24, frozenset({"importer-releaser"}))
    with pytest.raises(RefusedError, match="may not release"):
        check_apart(policy, demand, importer="anna1(1000)", releaser="annal(1001)")


def test_an_owner_and_an_account_that_look_alike_are_one_person(inside: Inside) -> None:
    names = names_of(inside.station, "0" * 16, "Аnnа")
    with pytest.raises(RefusedError, match="may not approve"):
        check_apart(Policy(), Demand(1, 24, frozenset({"importer-approver"})), importer="anna", approvers=names)
