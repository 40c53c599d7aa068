"""An account whose name looks like another's is not made; where both are there already, they are one person."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance import clock
from appliance.intake.approvals import names_of
from appliance.settings.approvals import Demand, Policy, check_apart, person
from appliance.store.reads.accounts import Accounts
from appliance.store.writes.access import CreateAccount
from bundles.errors import RefusedError, UsageError
from bundles.people import gather
from tests.intake.inside import Inside


def create(inside: Inside, name: str, kind: str = "person", full_name: str = "") -> None:
    inside.writer.submit(CreateAccount(name=name, kind=kind, full_name=full_name, password="x", at=clock.now()))  # type: ignore[arg-type]


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


@pytest.mark.parametrize("unseen", ["\u2800", "\u115f", "\u1160", "\u3164", "\uffa0", "\U0001d159", "\u200b", "\u00ad",
                                    "\u3000", "\u202e", "\ufe0f", "\U000e0100", "\x1b"])  # fmt: skip
def test_a_full_name_with_what_nobody_sees_is_refused(inside: Inside, unseen: str) -> None:
    for full_name in (unseen, f"Anna{unseen} Berg", f"Anna Berg{unseen}x"):
        with pytest.raises(UsageError):
            create(inside, "anna", full_name=full_name)
        with pytest.raises(UsageError):
            create(inside, "robot-ci", "robot", full_name=full_name)


@pytest.mark.parametrize("second", ["Anna Berg", "ANNA  berg", "Ａnna Berg", "Аnna Berg", "Anna Ber\u0261"])
def test_a_full_name_that_looks_like_another_is_refused(inside: Inside, second: str) -> None:
    create(inside, "anna", full_name="Anna Berg")
    with pytest.raises(UsageError, match="full name looks like it"):
        create(inside, "anna-two", full_name=second)
    create(inside, "anna-two", full_name="Anna Berg (administrator)")


def test_a_full_name_and_an_accounts_name_that_look_alike_are_refused(inside: Inside) -> None:
    create(inside, "anna")
    with pytest.raises(UsageError, match="looks like another account's name"):
        create(inside, "eve", full_name="Anna")
    create(inside, "carl", full_name="boris")
    with pytest.raises(UsageError, match="looks like another account's name"):
        create(inside, "boris")
    create(inside, "robot-a", "robot", full_name="nightly builds")
    create(inside, "robot-b", "robot", full_name="nightly builds")


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
