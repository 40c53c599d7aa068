"""Two whole stations: a primary that is killed, its stand-by promoted, and the old one back in a partition."""

from __future__ import annotations

import copy
import os
import re
import shutil
from pathlib import Path

from appliance.paths import StationPaths
from appliance.standby.documents import FENCED, Role
from appliance.standby.joining import join
from appliance.standby.role import changed, find_role
from appliance.standby.sending import Sender
from appliance.store.writer import WriterService
from appliance.tour.stage import Station
from bundles.signing.keys import create_private, save_private
from bundles.signing.pinning import trust_key
from tests.registry_server import Client
from tests.replication.following import push
from tests.replication.test_two_stations import at, kill, port_of, until


def role_of(station: Station) -> Role:
    role = find_role(StationPaths(station.folder), "bravo")
    assert role is not None
    return role


def make_primary(folder: Path, exchange: Path) -> Station:
    """An inside station with two people's release keys, which writes its states into the exchange."""
    made = Station(folder / "bravo", "bravo", "inside")
    for name in ("anna", "boris"):
        key = create_private()
        save_private(made.folder / "keys" / f"{name}.pem", key, None)
        trust_key(made.folder / "trust", key.public, purpose="release", owner=name)
    exchange.mkdir()
    config = made.folder / "config.toml"
    text = re.sub(r'(?m)^exchange = ""$', f'exchange = "{exchange}"', config.read_text())
    config.write_text(re.sub(r"(?m)^every = 10 .*two states$", "every = 2", text))
    return made


def test_a_killed_primary_is_followed_by_its_stand_by_and_ends_when_it_meets_the_later_term(tmp_path: Path) -> None:
    exchange = tmp_path / "exchange"
    old = make_primary(tmp_path, exchange)
    new = copy.copy(old)
    new.folder = tmp_path / "standby"
    with WriterService(StationPaths(old.folder).database):
        Sender(old.folder, exchange).send()
    shutil.copytree(old.folder, new.folder, ignore=shutil.ignore_patterns("*.sock"))
    join(new.folder, exchange)
    with old:
        kept = push(Client(port_of(old)), "team/app", "1", os.urandom(3_000_000))
        before = role_of(old).number
        until(lambda: role_of(old).number > before + 1)  # a state that was begun after the push
        kill(old)
    new.run("replica", "follow", "--once")
    assert (role_of(new).role, role_of(new).term, role_of(new).fault) == ("standby", 1, "")
    changed(StationPaths(new.folder), role_of(new), heard="2026-01-01T00:00:00Z")
    new.run("replica", "promote", "--key", "anna", "--yes", expect=4)
    done = new.run("replica", "promote", "--key", "boris", "--yes", "--json").json
    assert (done["role"], done["term"], done["shut"]) == ("primary", 2, True)
    away = exchange.rename(tmp_path / "away")
    with new:
        assert at(new, "team/app", "1") == kept
        new.run("intake", "check")
    with old:  # in a partition it starts, and cannot know
        assert at(old, "team/app", "1") == kept
        away.rename(exchange)
        assert old.process is not None
        assert old.process.wait(300) == 0
    assert role_of(old).role == FENCED
    assert old.run("serve", expect=3).stderr.count("\n") == 1
