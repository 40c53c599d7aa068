"""No administrator acts as an officer: what changes an officer's credentials, or makes one, takes a second person."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.store.writes.access import EnableAccount
from bundles.errors import LockgateError, NotFoundError, RefusedError, UsageError
from bundles.signing.keys import create_private
from bundles.signing.pinning import revoke_key, trust_key
from tests.release.closed import PASSWORD, Closed

NEW = "another password, quite long"
ROLE = {"role": "security-officer", "pattern": "**"}


@pytest.fixture(autouse=True)
def confirmed(closed: Closed) -> None:
    """A first officer has called, whatever ended their log-in in another test."""
    closed.sessions.clear()
    closed.ask("anna", "GET", "/v1/session")


def asked(closed: Closed, name: str, what: str, **body: Any) -> dict[str, Any]:
    """What waits after ada asked for a change."""
    answer = closed.ask("ada", "POST", f"/v1/accounts/{name}/{what}", body)
    return dict(answer["waits"])


def confirm(closed: Closed, who: str, change: dict[str, Any]) -> dict[str, Any]:
    return dict(closed.ask(who, "POST", f"/v1/account-changes/{change['id']}/confirm", {}))


def cancel(closed: Closed, change: dict[str, Any]) -> None:
    closed.ask("ada", "POST", f"/v1/account-changes/{change['id']}/cancel", {})


def made(closed: Closed, name: str) -> None:
    closed.ask("ada", "POST", "/v1/accounts", {"name": name, "password": PASSWORD})


def may(closed: Closed, name: str) -> list[str]:
    try:
        return list(closed.ask(name, "GET", "/v1/session")["permissions"])
    except RefusedError:  # no role at all
        return []


def logs_in(closed: Closed, name: str, password: str) -> bool:
    import asyncio

    from appliance.control.client import ControlClient

    async def run() -> None:
        async with ControlClient(closed.root) as client:
            await client.log_in(name, password)

    try:
        asyncio.run(run())
    except RefusedError:
        return False
    return True


def test_an_officers_password_set_by_an_administrator_does_not_count(closed: Closed) -> None:
    change = asked(closed, "anna", "password", password=NEW)
    assert (change["state"], change["account"], change["asked_by"]) == ("waits", "anna", "ada")
    assert not logs_in(closed, "anna", NEW)
    assert may(closed, "anna")  # her log-in and her old password are as good as before
    assert logs_in(closed, "anna", PASSWORD)
    assert "argon2" not in json.dumps(closed.ask("ada", "GET", "/v1/account-changes", state="all"))
    cancel(closed, change)
    with pytest.raises(LockgateError, match="cancelled"):
        confirm(closed, "adam", change)


@pytest.mark.parametrize(
    ("what", "body"),
    [("uid", {"uid": 4242}), ("bind-key", {}), ("grant", {**ROLE, "pattern": "team/**"})],
)
def test_every_other_way_to_become_an_officer_waits_too(closed: Closed, what: str, body: dict[str, Any]) -> None:
    before = closed.ask("ada", "GET", "/v1/accounts/boris")
    change = asked(closed, "boris", what, **(body or {"keyid": closed.spare()}))
    with pytest.raises(RefusedError, match="who asked"):
        confirm(closed, "ada", change)
    with pytest.raises((RefusedError, NotFoundError)):
        confirm(closed, "carl", change)
    after = closed.ask("ada", "GET", "/v1/accounts/boris")
    assert {key: after[key] for key in ("uid", "keys", "roles")} == {
        key: before[key] for key in ("uid", "keys", "roles")
    }
    cancel(closed, change)


def test_only_a_key_that_counts_for_releases_is_bound_to_a_person(closed: Closed) -> None:
    made(closed, "kim")
    with pytest.raises(UsageError, match="not pinned here"):
        closed.ask("ada", "POST", "/v1/accounts/kim/bind-key", {"keyid": "0" * 16})
    builder = create_private().public
    trust_key(closed.paths.trust, builder, purpose="bundle", owner="Kim Builds", sites=["alpha"])
    with pytest.raises(UsageError, match="not pinned for releases"):
        closed.ask("ada", "POST", "/v1/accounts/kim/bind-key", {"keyid": builder.keyid})
    keyid = closed.spare()
    revoke_key(closed.paths.trust, keyid, why="lost", at=clock.now())
    with pytest.raises(RefusedError, match="revoked"):
        closed.ask("ada", "POST", "/v1/accounts/kim/bind-key", {"keyid": keyid})
    assert closed.ask("ada", "GET", "/v1/accounts/kim")["keys"] == []
    said = closed.cli("ada", "user", "bind-key", "kim", "0" * 16, expect=2)
    assert "lockgate key trust" in said.stderr
    bound = closed.spare()
    closed.cli("ada", "user", "bind-key", "kim", bound)
    gone = closed.command("key", "untrust", bound, "--why", "a wrong one", "-C", closed.root)
    assert f"lockgate user unbind-key kim {bound}" in gone.stdout


def test_who_calls_by_a_binding_that_waits_is_told_that_and_who_confirms_it(closed: Closed) -> None:
    uid = asked(closed, "anna", "uid", uid=os.geteuid())
    refused = closed.command("status", "-C", closed.root, expect=3).stderr
    assert f"waits to be confirmed: {uid['id']}: uid {os.geteuid()} calls for anna" in refused
    assert "lockgate user login anna" in refused
    cancel(closed, uid)
    assert "waits" not in closed.command("status", "-C", closed.root, expect=3).stderr
    name, made = closed.brought(), closed.key("Boris Lind")
    key = asked(closed, "boris", "bind-key", keyid=made.public.keyid)
    with pytest.raises(RefusedError, match=f"waits for a second person: {key['id']}: .*ask boris or adam"):
        closed.approve("boris", name, made)
    cancel(closed, key)


def test_a_disabled_officer_is_not_let_in_again_by_one(closed: Closed) -> None:
    closed.ask("ada", "POST", "/v1/accounts/clara/disable", {})
    change = asked(closed, "clara", "enable")
    assert not logs_in(closed, "clara", PASSWORD)
    confirm(closed, "adam", change)
    assert logs_in(closed, "clara", PASSWORD)


def test_a_new_officer_is_none_and_does_not_confirm_themselves(closed: Closed) -> None:
    made(closed, "eve")
    change = asked(closed, "eve", "grant", **ROLE)
    assert may(closed, "eve") == []
    with pytest.raises((RefusedError, NotFoundError)):
        confirm(closed, "eve", change)
    keyid = closed.spare()
    for what, body in (("password", {"password": NEW}), ("uid", {"uid": 4243}), ("bind-key", {"keyid": keyid})):
        late = asked(closed, "eve", what, **body)  # what the second person confirmed is not changed behind their back
        cancel(closed, late)
    (password,) = confirm(closed, "adam", change)["then"]
    assert not logs_in(closed, "eve", PASSWORD), "ada set it: it waits as the role did"
    with pytest.raises(RefusedError):
        confirm(closed, "ada", password)
    confirm(closed, "adam", password)
    closed.sessions.pop("eve", None)
    assert "approve" in may(closed, "eve")


def test_who_confirms_a_grant_sees_who_set_what_and_what_another_set_waits(closed: Closed) -> None:
    """Over the API and the command line: what is shown, what is suspended, who is named."""
    made(closed, "nora")
    keyid = closed.spare()
    assert logs_in(closed, "nora", PASSWORD)
    closed.ask("ada", "POST", "/v1/accounts/nora/bind-key", {"keyid": keyid})
    change = asked(closed, "nora", "grant", **ROLE)
    shown = [(one["what"], one["thing"], one["set_by"], one["foreign"]) for one in change["credentials"]]
    assert shown == [("password", "", "ada", True), ("bind-key", keyid, "ada", True)]
    assert all(one["at"] for one in change["credentials"])
    assert change["confirmers"] == ["adam"]
    pending = closed.cli("adam", "user", "pending").stdout
    assert f"key {keyid}: set by ada at " in pending
    assert "password: set by ada at " in pending
    assert "; 2 credentials of " in " ".join(closed.ask("vera", "GET", "/v1/status")["alerts"])
    assert closed.cli("adam", "user", "confirm", change["id"]).stdout.count("not in force") == 2
    found = closed.ask("ada", "GET", "/v1/accounts/nora")
    assert (found["roles"], found["keys"], found["credentials"]) == ([ROLE], [], [])
    assert not logs_in(closed, "nora", PASSWORD)
    items = closed.ask("adam", "GET", "/v1/account-changes")["items"]
    waits = {one["what"]: one for one in items if one["account"] == "nora"}
    assert {one["asked_by"] for one in waits.values()} == {"ada"}
    assert waits["password"]["confirmers"] == ["adam"], "nora cannot log in and is not named"
    confirm(closed, "adam", waits["password"])
    events = closed.ask("vera", "GET", "/v1/audit", act="account.confirm", thing="nora", limit=100)["items"]
    assert ["password", f"bind-key {keyid}"] in [event["detail"].get("foreign") for event in events]
    confirm(closed, "nora", waits["bind-key"])
    (key,) = [one for one in closed.ask("ada", "GET", "/v1/accounts/nora")["credentials"] if one["what"] == "bind-key"]
    assert (key["set_by"], key["confirmed_by"], key["foreign"]) == ("ada", "nora", False)


def test_who_has_no_role_sees_and_confirms_changes_of_their_own(closed: Closed) -> None:
    made(closed, "olaf")
    grant = asked(closed, "olaf", "grant", **ROLE)
    bound = asked(closed, "olaf", "bind-key", keyid=closed.spare())
    listed = closed.ask("olaf", "GET", "/v1/account-changes")["items"]
    assert {one["id"] for one in listed} == {grant["id"], bound["id"]}
    with pytest.raises(RefusedError):
        confirm(closed, "olaf", grant)
    confirm(closed, "olaf", bound)
    then = confirm(closed, "adam", grant)["then"]
    assert {one["what"] for one in then} == {"password", "bind-key"}, "ada could have confirmed the key as olaf"
    for one in then:
        cancel(closed, one)


def test_a_newer_password_ends_an_older_one_that_waits(closed: Closed) -> None:
    older = asked(closed, "boris", "password", password=NEW)
    answer = closed.ask("boris", "POST", "/v1/accounts/boris/password", {"old": PASSWORD, "password": PASSWORD})
    assert "waits" not in answer
    closed.sessions.pop("boris", None)
    with pytest.raises(LockgateError, match="cancelled"):
        confirm(closed, "adam", older)
    assert logs_in(closed, "boris", PASSWORD)


def test_a_disabled_person_is_not_named_as_who_may_confirm(closed: Closed) -> None:
    closed.ask("ada", "POST", "/v1/accounts/clara/disable", {})
    said = closed.cli("ada", "user", "enable", "clara", expect=4).stderr
    assert "adam confirms it" in said
    assert "clara or" not in said
    (change,) = closed.ask("ada", "GET", "/v1/account-changes")["items"]
    assert change["confirmers"] == ["adam"]
    confirm(closed, "adam", change)


def test_a_second_administrator_is_not_made_to_confirm(closed: Closed) -> None:
    made(closed, "puppet")
    first = asked(closed, "puppet", "grant", role="administrator", pattern="**")
    wanted = asked(closed, "anna", "password", password=NEW)
    for change in (first, wanted):
        with pytest.raises((RefusedError, NotFoundError)):
            confirm(closed, "puppet", change)
        cancel(closed, change)


def test_withdrawing_the_role_first_is_no_way_round(closed: Closed) -> None:
    made(closed, "olga")
    closed.change("olga", "grant", **ROLE)
    closed.ask("ada", "POST", "/v1/accounts/olga/withdraw", ROLE)
    assert "waits" not in closed.ask("ada", "POST", "/v1/accounts/olga/password", {"password": NEW})
    change = asked(closed, "olga", "grant", **ROLE)
    with pytest.raises((RefusedError, NotFoundError)):
        confirm(closed, "ada", change)
    cancel(closed, change)


def test_a_person_confirms_their_own_and_changes_their_own_at_once(closed: Closed) -> None:
    key = closed.spare()
    confirmed = confirm(closed, "boris", asked(closed, "boris", "bind-key", keyid=key))
    assert (confirmed["state"], confirmed["how"], confirmed["decided_by"]) == ("done", "own", "boris")
    assert key in closed.ask("ada", "GET", "/v1/accounts/boris")["keys"]
    answer = closed.ask("boris", "POST", "/v1/accounts/boris/password", {"old": PASSWORD, "password": PASSWORD})
    assert "waits" not in answer
    closed.sessions.pop("boris")


def test_disabling_the_other_administrator_begins_the_wait(closed: Closed) -> None:
    change = asked(closed, "anna", "password", password=NEW)
    assert change["due"] is None
    closed.ask("ada", "POST", "/v1/accounts/adam/disable", {})
    try:
        (found,) = [
            one for one in closed.ask("ada", "GET", "/v1/account-changes")["items"] if one["id"] == change["id"]
        ]
        assert found["due"] > found["asked"]
        assert not logs_in(closed, "anna", NEW)
        back = asked(closed, "adam", "enable")
        assert back["due"] is not None
        assert not logs_in(closed, "adam", PASSWORD)
        cancel(closed, back)
    finally:
        closed.stop()
        with recorded(closed.root, Act.ACCOUNT_ENABLE, "adam", {}):  # else it would be a change by hand
            closed.write(EnableAccount(account="adam"))
        closed.start()
    waits = [one["id"] for one in closed.ask("ada", "GET", "/v1/account-changes")["items"]]
    assert waits == [change["id"]], "what waits outlives a restart"
    cancel(closed, change)


def test_what_waits_and_what_changed_is_shown_until_the_next_release(closed: Closed) -> None:
    name = closed.brought()
    keyid = closed.spare()
    change = asked(closed, "clara", "bind-key", keyid=keyid)
    for who in ("vera", "anna", "ada"):
        assert any(f"key {keyid}" in text for text in closed.ask(who, "GET", "/v1/status")["alerts"])
    closed.approve("anna", name)
    closed.approve("boris", name)
    assert change["id"] in [one["id"] for one in closed.ask("anna", "GET", f"/v1/intake/{name}")["account_changes"]]
    assert f"key {keyid}" in closed.cli("anna", "intake", "show", name).stdout
    confirm(closed, "clara", change)
    said = closed.cli("anna", "intake", "release", name)
    assert f"key {keyid} stands for clara" in said.stderr
    other = closed.brought()
    assert change["id"] not in [
        one["id"] for one in closed.ask("anna", "GET", f"/v1/intake/{other}")["account_changes"]
    ]
    (event,) = closed.ask("vera", "GET", "/v1/audit", act="intake.release", thing=name)["items"]
    assert change["id"] in event["detail"]["account_changes"]


def test_every_step_is_an_event(closed: Closed) -> None:
    change = asked(closed, "anna", "bind-key", keyid=closed.spare())
    confirm(closed, "adam", change)
    other = asked(closed, "anna", "bind-key", keyid=closed.spare())
    cancel(closed, other)
    events = closed.ask("vera", "GET", "/v1/audit", thing="anna", limit=100)["items"]
    said = {(one["act"], one["detail"].get("id")) for one in events}
    assert {("account.ask", change["id"]), ("account.confirm", change["id"]), ("account.cancel", other["id"])} <= said
    assert closed.ask("vera", "GET", "/v1/audit", act="account.first-officer")["items"]


def test_the_command_line_says_that_it_waits_and_how_it_goes_on(closed: Closed) -> None:
    said = closed.cli("ada", "user", "bind", "anna", "--uid", "4244", expect=4)
    change_id = said.stdout.splitlines()[-1]
    assert f"lockgate user confirm {change_id}" in said.stderr
    assert change_id in closed.cli("ada", "user", "pending").stdout
    listed = closed.cli("anna", "user", "pending", "--json").json["items"]
    assert [one["id"] for one in listed] == [change_id]
    closed.cli("ada", "user", "confirm", change_id, expect=3)
    closed.cli("anna", "user", "confirm", change_id)
    assert closed.cli("ada", "user", "show", "anna", "--json").json["uid"] == 4244
    waits = closed.cli("ada", "role", "grant", "boris", "security-officer", "--on", "a/*", "--json", expect=4).json[
        "waits"
    ]
    closed.cli("ada", "user", "cancel", waits["id"])
    assert closed.cli("ada", "user", "pending").stdout == "nothing waits\n"
