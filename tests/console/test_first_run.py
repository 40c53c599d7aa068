"""A new station leads through people, keys, trust and the first bundle; one that is down says how it starts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance.api.people import Account, HeldRole, Who
from appliance.api.status import Status
from appliance.api.trust import OwnKey, TrustedKey
from appliance.clock import now
from tests.console.real import Live, live
from tests.stage import Station
from tui.guides.first_run import steps
from tui.guides.steps import GuideFacts, SettingUp
from tui.shell.console import LockgateConsole
from tui.station.control_socket import ControlStation
from tui.station.keyring import FolderKeyring
from tui.terminal.look import Look
from tui.wording.next_action import suggestions


def status(side: str) -> Status:
    return msgspec.convert({"site": "bravo", "side": side, "version": "1", "started": "", "listen": ""}, Status)


def key(purpose: str, *, sites: tuple[str, ...] = ()) -> TrustedKey:
    return TrustedKey(
        keyid="ab" * 8, purposes=(purpose,), owner="Olga", sites=sites, algorithm="ed25519", fingerprint="0" * 64
    )


def account(role: str) -> Account:
    return Account(name=role, kind="person", roles=(HeldRole(role=role),))


def facts(side: str, **found: object) -> GuideFacts:
    whole = {"who": Who(account="ada"), "accounts": (), "own": (), "pinned": (), "sent": (), "imported": False} | found
    return GuideFacts(status(side), setting_up=SettingUp(**whole))  # type: ignore[arg-type]


def roles_of(made: GuideFacts) -> list[str]:
    return [step.role for step in steps(made)]


def test_an_empty_inside_needs_people_keys_trust_and_an_import_in_this_order() -> None:
    assert [step.name for step in steps(facts("inside"))] == ["Site", "People", "Keys", "Trust", "First import"]
    assert roles_of(facts("inside")) == ["ok", "need", "need", "need", "need"]
    people = (account("courier"), account("security-officer"))
    pinned = (key("release"), key("bundle", sites=("alpha",)))
    made = facts("inside", accounts=people, pinned=pinned, imported=True)
    assert roles_of(made) == ["ok"] * 5
    one = facts("inside", accounts=people[:1], pinned=pinned, imported=True)
    assert "security-officer" in steps(one)[1].text
    gone = msgspec.structs.replace(account("security-officer"), disabled="2026-01-01T00:00:00Z")
    assert steps(facts("inside", accounts=(people[0], gone)))[1].role == "need"


def test_an_outside_needs_a_collector_a_key_content_and_a_bundle() -> None:
    assert steps(facts("outside"))[-1].name == "First bundle"
    assert "lockgate collect" in steps(facts("outside"))[-1].text
    own = (OwnKey(name="engineer", keyid="cd" * 8, algorithm="ed25519", encrypted=True),)
    assert steps(facts("outside", own=own))[2].role == "ok"
    station = (msgspec.structs.replace(own[0], station=True),)
    assert steps(facts("outside", own=station))[2].role == "need"  # the station's own key signs no bundle


@pytest.mark.parametrize(("act", "place"), [("account", 1), ("trust", 3), ("import", 4)])
def test_a_step_that_a_role_may_not_do_says_which_role_may(act: str, place: int) -> None:
    who = Who(account="bob", denied={act: "a courier may not do this; security-officer may"})
    accounts = None if act == "account" else ()
    step = steps(facts("inside", who=who, accounts=accounts))[place]
    assert "security-officer may" in step.text


def test_a_station_that_has_anything_is_not_new() -> None:
    new = suggestions(status("inside"), (), ())
    assert (new[0].kind, new[0].reference) == ("guide", "first_run")
    used = msgspec.structs.replace(status("inside"), store=msgspec.structs.replace(status("inside").store, blobs=1))
    assert all(one.reference != "first_run" for one in suggestions(used, (), ()))


async def test_a_real_new_station_leads_and_says_how_it_starts_when_it_is_down(tmp_path: Path) -> None:
    with Station(tmp_path / "bravo", "bravo", "inside") as bravo:
        async with live(bravo.folder) as console:
            await console.shows("> [>>] Set up: people, keys, trust")
            await console.press("enter")
            await console.shows("no key signs for release yet")  # the first step that waits for a person
            await console.press("up")
            await console.shows("the station is open: nobody logs in")
            await console.press("down", "down")
            await console.shows("pin the sender's key for bundles")
            await console.press("1")
            assert bravo.process is not None
            bravo.process.terminate()
            await console.shows("This station does not answer")
            flat = "".join(console.screen().split())
            assert f"lockgateserve-C{bravo.folder}" in flat
            await console.press("r")
        app = LockgateConsole(
            ControlStation(bravo.folder), FolderKeyring(bravo.folder), now=now, look=Look(colour=False)
        )
        async with app.run_test(size=(80, 24)) as pilot:
            console = Live(app, pilot)
            await console.shows("unknown: the station does not answer")
            assert f"lockgateserve-C{bravo.folder}" in "".join(console.screen().split())
            assert "looking for the station" not in console.screen().partition("\n")[2]
