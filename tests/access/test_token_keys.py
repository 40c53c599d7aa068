"""The keys that sign tokens turn: no token fails on the way, an old one lasts as long as it said, and no longer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import clock
from appliance.access import token_cache, token_keys
from appliance.limits import access as limits
from appliance.store.writes.access import RevokeTokens
from tests.access.site import Site, bearer, token

PULL = "repository:team/app:pull"
TAGS = "/v2/team/app/tags/list"


@dataclass
class Hand:
    """The clock's hand, for whoever reads it."""

    ahead: float = 0.0

    def now(self) -> str:
        return datetime.fromtimestamp(time.time() + self.ahead, UTC).strftime(clock.FORMAT)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    """Both clocks, moved on together."""
    moved = Hand()
    monkeypatch.setattr(clock, "now", moved.now)
    monkeypatch.setattr(token_cache.time, "time", lambda real=time.time: real() + moved.ahead)
    monkeypatch.setattr(token_keys.time, "monotonic", lambda real=time.monotonic: real() + moved.ahead)
    return moved


def kids(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.pem"))


def test_a_new_key_signs_only_once_every_worker_has_read_it(site: Site, hand: Hand) -> None:
    folder = site.paths.token_keys
    assert not token_keys.rotate(folder), "one that is young enough is kept"
    (first,) = kids(folder)
    hand.ahead = limits.TOKEN_KEY_LIFE
    assert token_keys.rotate(folder)
    second = kids(folder)[1]
    assert token_keys.load(folder).kid == first
    assert set(token_keys.load(folder).verifies) == {first, second}
    hand.ahead += limits.TOKEN_KEY_SPREAD
    assert token_keys.load(folder).kid == second


def test_a_token_by_either_key_is_good_on_every_worker_while_they_turn(site: Site, hand: Hand) -> None:
    """Workers that read the keys at different moments: no second in which one refuses what another gave."""
    early, late = site.worker(), site.worker()
    site.person("alice", "reader")
    old = bearer(token(early, "alice", PULL))
    assert late.ask("GET", TAGS, headers=old).status == 404
    hand.ahead = limits.TOKEN_KEY_LIFE
    token_keys.rotate(site.paths.token_keys)
    for _ in range(8):
        for giving, taking in ((early, late), (late, early)):
            given = bearer(token(giving, "alice", PULL))
            assert {worker.ask("GET", TAGS, headers=given).status for worker in (giving, taking)} == {404}
        hand.ahead += limits.TOKEN_KEY_SPREAD / 4


def test_an_old_keys_token_lasts_until_its_end_and_the_key_is_then_taken_away(site: Site, hand: Hand) -> None:
    server = site.worker()
    site.person("alice", "reader")
    hand.ahead = limits.TOKEN_KEY_LIFE
    token_keys.rotate(site.paths.token_keys)
    given = bearer(token(server, "alice", PULL))
    hand.ahead += limits.TOKEN_LIFE - 30
    assert server.ask("GET", TAGS, headers=given).status == 404
    assert site.worker().ask("GET", TAGS, headers=given).status == 404, "a worker that starts now knows the old key too"
    hand.ahead += 60
    assert server.ask("GET", TAGS, headers=given).status == 401
    assert len(kids(site.paths.token_keys)) == 2
    hand.ahead += 600
    token_keys.rotate(site.paths.token_keys)
    assert len(kids(site.paths.token_keys)) == 1
    fresh = bearer(token(server, "alice", PULL))
    assert server.ask("GET", TAGS, headers=fresh).status == 404


def test_a_key_that_a_token_names_and_a_worker_does_not_know_is_looked_for_at_once(site: Site, hand: Hand) -> None:
    server = site.worker()
    site.person("alice", "reader")
    assert server.ask("GET", TAGS, headers=bearer(token(server, "alice", PULL))).status == 404
    for path in site.paths.token_keys.glob("*.pem"):
        path.unlink()
    hand.ahead += 2
    token_keys.rotate(site.paths.token_keys)
    given = bearer(token(site.worker(), "alice", PULL))
    assert server.ask("GET", TAGS, headers=given).status == 404


def test_a_revocation_needs_no_turn_of_the_key(site: Site, hand: Hand) -> None:
    server, other = site.worker(), site.worker()
    site.person("alice", "reader")
    given = bearer(token(server, "alice", PULL))
    assert other.ask("GET", TAGS, headers=given).status == 404
    site.submit(RevokeTokens(account="alice", at=clock.now()))
    assert {worker.ask("GET", TAGS, headers=given).status for worker in (server, other)} == {401}
