"""Refresh tokens: what stands in the database is no way to one."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3

import pytest

from tests.access.site import Site, ask_token, basic, post_token
from tests.registry_server import Server

LATE = "2099-01-01T00:00:00Z"
PULL = "repository:team/app:pull"


def renewed(server: Server, refresh: str) -> int:
    return post_token(server, grant_type="refresh_token", refresh_token=refresh, scope=PULL).status


def by_hand(site: Site, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(site.paths.database)) as database:
        database.execute(statement, values)
        database.commit()


def test_a_refresh_token_that_was_made_in_the_database_opens_nothing(site: Site) -> None:
    server = site.worker()
    site.person("alice", "reader")
    secret = "0" * 43
    row = ("made", "made", "alice", "", hashlib.sha256(secret.encode()).hexdigest(), "2026-01-01T00:00:00Z", LATE)
    by_hand(
        site, "INSERT INTO refresh_tokens (id, family, account, client, hash, created, expires)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)", *row
    )  # fmt: skip
    assert renewed(server, f"lgt_made_{secret}") == 401


@pytest.mark.parametrize("field", ["account", "expires", "family", "id"])
def test_a_refresh_token_that_was_changed_in_the_database_opens_nothing(site: Site, field: str) -> None:
    server = site.worker()
    site.person("alice", "reader")
    site.person("bob", "reader")
    refresh = ask_token(server, basic("bob"), PULL, offline_token="true").json["refresh_token"]
    assert renewed(server, refresh) == 200
    _, token_id, secret = refresh.split("_", 2)
    changed = {"account": "alice", "expires": LATE}.get(field, "other")
    by_hand(site, f"UPDATE refresh_tokens SET {field} = ? WHERE id = ?", changed, token_id)
    assert renewed(server, f"lgt_other_{secret}" if field == "id" else refresh) == 401


def test_every_worker_knows_a_refresh_token_and_what_it_is_given_for(site: Site) -> None:
    one, other = site.worker(), site.worker()
    site.person("alice", "reader")
    refresh = ask_token(one, basic("alice"), PULL, offline_token="true").json["refresh_token"]
    again = post_token(
        other, grant_type="refresh_token", refresh_token=refresh, scope=PULL, access_type="offline"
    ).json["refresh_token"]
    assert again != refresh
    assert renewed(one, again) == 200
