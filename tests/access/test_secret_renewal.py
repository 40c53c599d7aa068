"""A robot renews its own secret, in the last third of its life, and nobody is caught between the two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.access.identity import MARK
from appliance.access.passwords import hash_secret, new_secret
from appliance.audit.acts import Act
from appliance.control.routes.tokens import due
from appliance.limits import access as limits
from appliance.store.reads.accounts import Secret
from appliance.store.writes.tokens import AddSecret
from bundles.errors import FailedError
from tests.access.live import PASSWORD, Live
from tests.access.test_sessions import Desk, a_desk

DAY = 86_400


@pytest.mark.parametrize(
    ("created", "expires", "from_then"),
    [
        ("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z", "2026-01-01T02:00:00Z"),
    ],
)
def test_a_secret_is_due_in_the_last_third_of_its_life(created: str, expires: str, from_then: str) -> None:
    assert due(Secret("id", "robot-ci", "", created, expires, None)) == from_then


def aged(desk: Desk, name: str, days_ago: int, days: int) -> tuple[str, str]:
    """A further secret of a robot, made so long ago."""
    secret_id = new_secret().encode().hex()[:16]
    secret = f"{MARK}{secret_id}_{new_secret()}"
    desk.inside.writer.submit(
        AddSecret(
            account=name, id=secret_id, hash=hash_secret(secret), at=clock.after(-days_ago * DAY),
            expires=clock.after((days - days_ago) * DAY),
        )
    )  # fmt: skip
    return secret, secret_id


async def renewed(desk: Desk, session: dict[str, str]) -> tuple[int, Any]:
    return await desk.ask("POST", "/v1/session/secret", session, {})


async def test_a_robot_renews_the_secret_that_it_logged_in_with_and_no_other(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        other, other_id = desk.robot("robot-ci", "reader")
        secret, secret_id = aged(desk, "robot-ci", 61, 90)
        session = await desk.robot_in("robot-ci", secret)
        status, made = await renewed(desk, session)
        assert (status, made["name"]) == (200, "robot-ci")
        fresh = await desk.robot_in("robot-ci", made["secret"])
        assert await desk.good(session), "the old one is good for a day"
        kept = {one.id: one for one in desk.control.accounts.secrets_of("robot-ci")}
        assert kept[secret_id].expires == made["old_until"] <= clock.after(limits.ROBOT_OVERLAP)
        assert kept[other_id].expires > clock.now()
        assert clock.seconds(kept[made["secret_id"]].expires) == pytest.approx(
            clock.seconds(clock.after(90 * DAY)), abs=60
        )
        (event,) = [one for one in desk.audit.events if one.act == Act.ACCOUNT_SECRET]
        assert (event.actor, event.thing, event.detail["renews"]) == ("robot-ci", "robot-ci", secret_id)
        assert (await renewed(desk, fresh))[1]["secret"] == "", "a new one is not due"
        assert (await renewed(desk, await desk.robot_in("robot-ci", other)))[1]["secret"] == ""
        assert len([one for one in desk.audit.events if one.act == Act.ACCOUNT_SECRET]) == 1


async def test_before_it_is_due_nothing_happens(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.robot("robot-ci", "reader")
        secret, secret_id = aged(desk, "robot-ci", 59, 90)
        status, made = await renewed(desk, await desk.robot_in("robot-ci", secret))
        assert (status, made["secret"], made["old_until"]) == (200, "", "")
        kept = {one.id: one for one in desk.control.accounts.secrets_of("robot-ci")}
        assert made["expires"] == kept[secret_id].expires


async def test_a_secret_that_cannot_be_recorded_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_desk(tmp_path) as desk:
        desk.robot("robot-ci", "reader")
        secret, _ = aged(desk, "robot-ci", 61, 90)
        session, before = await desk.robot_in("robot-ci", secret), desk.control.accounts.secrets_of("robot-ci")

        def full(_: object) -> None:
            raise FailedError("the audit log cannot be written")

        monkeypatch.setattr(desk.audit, "record", full)
        status, said = await renewed(desk, session)
        assert status >= 400
        assert "lgs_" not in json.dumps(said)
        assert desk.control.accounts.secrets_of("robot-ci") == before


async def test_nobody_else_renews_a_secret(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.person("alice", "reader")
        status, said = await renewed(desk, await desk.log_in("alice"))
        assert status == 400, said
        assert (await desk.ask("POST", "/v1/session/secret", {}, {}))[0] == 403


def test_the_command_renews_the_file_or_leaves_it(tmp_path: Path) -> None:
    station = Live(tmp_path / "bravo", tmp_path)
    station.make()
    station.start()
    try:
        station.call("user", "login", "ada", password=PASSWORD)
        made = json.loads(station.call("token", "create", "robot-ci", "--json"))
        station.call("role", "grant", "robot-ci", "reader")
        file = tmp_path / "secret"
        file.write_text(made["secret"] + "\n")
        file.chmod(0o600)
        said = json.loads(station.call("token", "renew", "robot-ci", file, "--json"))
        assert (said["renewed"], file.read_text()) == (False, made["secret"] + "\n")
        assert "secret" not in said
        assert json.loads(station.call("user", "whoami", "--json"))["account"] == "ada", "the log-in here stays"
        file.write_text("wrong\n")
        station.call("token", "renew", "robot-ci", file, expect=3)
        assert file.read_text() == "wrong\n"
        station.call("token", "renew", "ada", file, expect=2)
        station.call("token", "renew", "robot-ci", tmp_path / "nowhere", expect=1)
    finally:
        station.stop()
