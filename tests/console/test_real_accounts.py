"""Accounts on a real station: an administrator makes a person and a robot, and what the console says is true."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from textual.widgets import Input

from tests.console.real_station import PASSWORD, Console, RealStation, console_of
from tui.dialogs.told import SecretDialog


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStation]:
    made = RealStation(tmp_path_factory.mktemp("real"))
    made.call("user", "claim", "ada", code=made.make(), password=PASSWORD)
    made.start()
    made.people()
    yield made
    made.stop()


async def answer(console: Console, *texts: str) -> None:
    """Fill the questions that come one after another."""
    for text in texts:
        before = console.app.screen
        field = before.query_one("#answer", Input)
        field.value = text
        await console.press("enter")
        await console.until(lambda seen=before: console.app.screen is not seen, "the next question")


def shown(station: RealStation, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(station.call("user", "show", name, "--json"))
    return document


async def test_an_administrator_makes_a_person_gives_a_role_explains_it_and_disables_them(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("ada")
        await console.until(lambda: console.app.status is not None, "an answer")
        console.app.show_root("accounts")
        await console.shows("olga")
        await console.press("n", "enter")
        await answer(console, "kim", "Kim Moss", PASSWORD, PASSWORD)
        await console.shows("Created kim")  # and the cursor stands on the new account
        await console.press("a", "down", "enter")
        await answer(console, "team/**")
        await console.shows("kim is writer team/**")
        assert shown(station, "kim")["roles"] == [{"role": "writer", "pattern": "team/**"}]
        await console.press("v")
        await answer(console, "team/app")
        await console.shows("a writer on team/** may push")
        await console.press("escape", "d", "y")
        await console.shows("kim is disabled")
        assert shown(station, "kim")["disabled"]
        await console.press("e")
        await console.shows("kim may log in")
        assert {event["act"] for event in station.events("account.")} >= {"account.create", "account.grant"}


async def test_a_robots_secret_is_shown_once_and_opens_the_registry(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("ada")
        await console.until(lambda: console.app.status is not None, "an answer")
        console.app.show_root("accounts")
        await console.shows("olga")
        await console.press("n", "down", "enter")
        await answer(console, "robot-ci", "the build farm")
        await console.until(lambda: isinstance(console.app.screen, SecretDialog), "the secret")
        await console.press("y", "escape")
        secret = console.app.clipboard
        assert secret.startswith("lgs_")
        assert secret not in console.screen()
        await console.shows("robot-ci")
        assert await asyncio.to_thread(station.knocks, "robot-ci", secret) == 200
        assert await asyncio.to_thread(station.knocks, "robot-ci", secret[:-1]) == 401
        assert shown(station, "robot-ci")["seen"]


async def test_who_is_no_administrator_is_told_why_by_the_station(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("olga")
        await console.until(lambda: console.app.status is not None, "an answer")
        console.app.show_root("accounts")
        await console.shows("forbidden: separation of duties: a security-officer may never see or change accounts")
        await console.press("n")
        await console.shows("New: separation of duties")
