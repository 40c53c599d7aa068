"""A whole station whose people are in a directory: at the command line, at the registry, and by the audit log."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.access.directory import BUILDERS, PASSWORD, SECRET, Slapd, a_slapd
from tests.access.live import PASSWORD as LOCAL
from tests.access.live import Live
from tests.access.site import basic
from tests.access.test_workload_station import ask


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with a_slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, slapd: Slapd) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    station = Live(folder / "bravo", folder)
    station.make()
    shutil.copy(slapd.folder / "tls/ca.pem", station.root / "tls/directory-ca.pem")
    secret = station.root / "keys/directory.secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    config = station.root / "config.toml"
    config.write_text(
        config.read_text().replace(
            '[directory]\n', '[directory]\nca = "tls/directory-ca.pem"\nbind_dn = "cn=lockgate,dc=example"\n'
            'user_base = "ou=people,dc=example"\ngroup_base = "ou=groups,dc=example"\n'
            f'roles = {{ "{BUILDERS}" = ["collector", "reader team/**"] }}\n'
        ).replace('address = ""', f'address = "localhost:{slapd.secure}"')
    )  # fmt: skip
    station.start()
    station.call("user", "login", "ada", password=LOCAL)
    yield station
    station.stop()


def test_a_person_of_the_directory_is_somebody_here(live: Live, slapd: Slapd, tmp_path: Path) -> None:
    assert ask(live, "/token?scope=repository:team/app:pull", basic("anna", PASSWORD))[1]["scope"] == (
        "repository:team/app:pull"
    )
    anna = Live(live.root, tmp_path, live.port)
    assert "anna" in anna.call("user", "login", "anna", password=PASSWORD)
    who = json.loads(anna.call("user", "whoami", "--json"))
    assert {(role["role"], role["pattern"]) for role in who["roles"]} == {("collector", "**"), ("reader", "team/**")}
    anna.call("user", "login", "bob", password=PASSWORD)
    listed = {one["name"]: one["origin"] for one in json.loads(live.call("user", "list", "--json"))["items"]}
    assert listed == {"ada": "local", "anna": "directory", "bob": "directory"}
    reviewed = {one["name"]: one for one in json.loads(live.call("user", "review", "--json"))["items"]}
    assert reviewed["anna"]["origin"] == "directory"
    assert all(role["since"] for role in reviewed["anna"]["roles"])
    assert reviewed["anna"]["concerns"] == []
    live.call("role", "grant", "anna", "administrator", expect=3)
    live.call("role", "grant", "anna", "security-officer", expect=3)
    assert "directory" in live.call("user", "password", "anna", expect=2, password=LOCAL)
    assert "directory" in live.call("user", "bind", "anna", "--uid", "4711", expect=2)


def test_a_local_account_made_the_directorys_by_hand_opens_nothing(live: Live, slapd: Slapd) -> None:
    live.call("user", "create", "carl", password=LOCAL)
    live.call("role", "grant", "carl", "reader")
    with closing(sqlite3.connect(live.root / "metadata.sqlite")) as db:
        db.execute("INSERT INTO directory_accounts VALUES ('carl', '2026-01-01T00:00:00Z')")
        db.commit()
    status, said = ask(live, "/token", basic("carl", PASSWORD))
    assert (status, said["errors"][0]["code"]) == (403, "DENIED")
    assert [role["role"] for role in json.loads(live.call("user", "show", "carl", "--json"))["roles"]] == ["reader"]
    with closing(sqlite3.connect(live.root / "metadata.sqlite")) as db:
        db.execute("DELETE FROM directory_accounts WHERE account = 'carl'")
        db.commit()


def test_while_the_directory_is_away_local_accounts_go_on(live: Live, slapd: Slapd, tmp_path: Path) -> None:
    slapd.stop()
    try:
        elsewhere = Live(live.root, tmp_path, live.port)
        assert "directory does not answer" in elsewhere.call("user", "login", "bob", expect=3, password=PASSWORD)
        assert ask(live, "/token", basic("dora", PASSWORD))[1]["errors"][0]["detail"] == {"reason": "directory-down"}
        elsewhere.call("user", "login", "ada", password=LOCAL)
    finally:
        slapd.start()
