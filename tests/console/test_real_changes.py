"""Changes of accounts that take two persons, on a real station: what the console shows, and who may end them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import now
from bundles.signing.keys import save_private
from tests.console.conftest import Seconds
from tests.console.doubles.station import demo_pair
from tests.console.real_station import PASSWORD, Console
from tests.release.closed import Closed
from tui.shell.console import LockgateConsole
from tui.station.control_socket import ControlStation
from tui.station.keyring import FolderKeyring
from tui.terminal.look import Look


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """Two administrators, ada and adam; officers, of whom one has called; anna's key is in the station's folder."""
    station = Closed(tmp_path_factory.mktemp("changes"))
    save_private(station.root / "keys" / "anna.pem", station.keys["anna"], None)
    station.ask("anna", "GET", "/v1/session")
    yield station
    station.stop()


@asynccontextmanager
async def console_of(root: Path, name: str) -> AsyncIterator[Console]:
    """A console of 80x24 in which somebody is logged in."""
    seconds = Seconds()
    app = LockgateConsole(
        ControlStation(root), FolderKeyring(root), now=now, look=Look(colour=False), seconds=seconds
    )  # fmt: skip
    async with app.run_test(size=(80, 24)) as pilot:
        console = Console(app, pilot, *demo_pair(seconds), seconds)
        await console.log_in(name, PASSWORD)
        await console.until(lambda: app.status is not None, "an answer")
        yield console


async def asks(closed: Closed, name: str, what: str, **body: Any) -> dict[str, Any]:
    """What waits after ada asked for a change."""
    answer = await asyncio.to_thread(closed.ask, "ada", "POST", f"/v1/accounts/{name}/{what}", body)
    return dict(answer["waits"])


async def account(closed: Closed, name: str) -> dict[str, Any]:
    return dict(await asyncio.to_thread(closed.ask, "ada", "GET", f"/v1/accounts/{name}"))


async def state(closed: Closed, change: dict[str, Any]) -> dict[str, Any]:
    page = await asyncio.to_thread(closed.ask, "ada", "GET", "/v1/account-changes", None, state="all")
    return next(dict(one) for one in page["items"] if one["id"] == change["id"])


async def to_changes(console: Console) -> None:
    """The screen of accounts, with the cursor on the changes that wait."""
    console.app.show_root("accounts")
    await console.shows("Waiting changes")
    if console.app.screen.focused is not console.app.screen.query_one("#changes"):
        await console.press("tab")


async def test_who_asked_is_refused_and_a_second_administrator_confirms(closed: Closed) -> None:
    change = await asks(closed, "clara", "grant", role="security-officer", pattern="team/**")
    async with console_of(closed.root, "ada") as console:
        await console.shows("1 change waits")
        await console.shows("Accounts: 1 change waits to be confirmed")
        await to_changes(console)
        await console.shows("clara is security-officer on team/**")
        await console.press("c", "y")
        await console.shows("who asked for the change may not confirm it")
    assert (await state(closed, change))["state"] == "waits"
    async with console_of(closed.root, "adam") as console:
        await to_changes(console)
        await console.shows("another administrator than ada")
        await console.press("c")
        await console.shows("Confirm: clara is security-officer on team/**?")
        await console.press("y")
        await console.shows("confirmed: clara is security-officer on team/**")
    assert (await state(closed, change))["how"] == "second"


async def test_who_confirms_a_role_sees_who_set_the_password_and_that_it_waits_too(closed: Closed) -> None:
    made = {"name": "nils", "password": PASSWORD}
    await asyncio.to_thread(closed.ask, "ada", "POST", "/v1/accounts", made)
    change = await asks(closed, "nils", "grant", role="security-officer", pattern="**")
    async with console_of(closed.root, "adam") as console:
        await to_changes(console)
        await console.shows("password: set by ada")
        await console.press("c")
        await console.shows("so it waits for a second person too: password: set by ada")
        await console.press("y")
        await console.shows("Waits too: a new password for")
        await console.shows("a new password for nils")
        await console.press("z", "y")
        await console.shows("cancelled: a new password for nils")
    assert (await state(closed, change))["how"] == "second"


async def test_an_officer_confirms_a_key_of_their_own_and_sees_no_other_account(closed: Closed) -> None:
    keyid = closed.spare()
    await asks(closed, "anna", "bind-key", keyid=keyid)
    async with console_of(closed.root, "anna") as console:
        await to_changes(console)
        await console.shows("forbidden")
        assert "boris" not in console.screen()
        await console.press("c", "y")
        await console.shows(f"confirmed: key {keyid} stands for anna")
    assert keyid in (await account(closed, "anna"))["keys"]


async def test_an_officer_does_not_confirm_a_role_of_their_own_and_may_cancel_it(closed: Closed) -> None:
    change = await asks(closed, "anna", "grant", role="security-officer", pattern="team/**")
    async with console_of(closed.root, "anna") as console:
        await to_changes(console)
        await console.press("c", "y")
        await console.shows("another must confirm the change")
        await console.press("z", "y")
        await console.shows("cancelled: anna is security-officer on team/**")
    assert (await state(closed, change))["state"] == "cancelled"


async def test_a_change_that_ended_meanwhile_is_refused_and_gone_from_the_list(closed: Closed) -> None:
    change = await asks(closed, "boris", "uid", uid=4242)
    async with console_of(closed.root, "adam") as console:
        await to_changes(console)
        await console.shows("uid 4242 calls for boris")
        await asyncio.to_thread(closed.ask, "ada", "POST", f"/v1/account-changes/{change['id']}/cancel", {})
        await console.press("c", "y")
        await console.shows("the change is cancelled")
        await console.until(lambda: "Waiting changes" not in console.screen(), "the list goes")
    assert (await account(closed, "boris"))["uid"] is None


async def test_approval_and_release_show_what_waits_and_what_took_effect(closed: Closed) -> None:
    before = await asyncio.to_thread(closed.brought)
    for officer in ("anna", "boris"):
        await asyncio.to_thread(closed.approve, officer, before)
    await asyncio.to_thread(closed.release, "clara", before)  # it showed what earlier tests changed: the list is short
    name = await asyncio.to_thread(closed.brought)
    await asyncio.to_thread(closed.approve, "boris", name)
    done = await asks(closed, "clara", "uid", uid=4343)
    await asyncio.to_thread(closed.ask, "adam", "POST", f"/v1/account-changes/{done['id']}/confirm", {})
    waits = await asks(closed, "boris", "uid", uid=4444)
    async with console_of(closed.root, "anna") as console:
        console.app.open_further("approval", name)
        await console.shows("account: uid 4343 calls for clara, asked for by ada")
        await console.shows("account: uid 4444 calls for boris, asked for by ada")
        await console.press("a")
        await console.shows("What this station found")
        await console.press("a")
        await console.shows("with the key")
        await console.press("y")
        await console.shows("approved, 2 of 2")
        console.app.open_thing("intake", name)
        await console.shows("accounts")
        await console.shows("1 change of accounts waits")
        await console.press("o")
        await console.shows("effect since 20")
        await console.press("escape")
        late = await asks(closed, "clara", "bind-key", keyid=closed.spare())
        await console.press("e")
        await console.shows(f"Release {name}?")
        await console.shows("uid 4343 calls for clara")
        await console.press("y")
        await console.shows("released")
    shown = [(await state(closed, one))["shown"] for one in (done, waits, late)]
    assert shown == [name, "", ""]


async def test_what_an_account_may_not_see_is_not_told_as_empty(closed: Closed) -> None:
    await asks(closed, "clara", "bind-key", keyid=closed.spare())
    async with console_of(closed.root, "carl") as console:
        await console.shows("asked for by ada")
        assert "to be confirmed" not in console.screen()
        for screen in ("intake", "approvals", "audit", "repositories"):
            console.app.show_root(screen)
            await console.shows("forbidden: ")
