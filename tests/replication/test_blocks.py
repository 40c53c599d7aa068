"""What is blocked at a primary is shown to nobody at its follower."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.reading import tail
from appliance.limits import collecting as collecting_limits
from appliance.limits import registry as limits
from appliance.registry.services import RegistrySettings
from appliance.settings.client_writes import ClientWrites
from appliance.store.writes.lifecycle import Block
from bundles.errors import LockgateError, RefusedError
from bundles.oci.digest import Digest
from tests.access.site import Site, bearer, token
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import SmallRegistry, serving
from tests.registry_server import Server, Store
from tests.replication.following import NAME, Follower, push
from tests.replication.test_hostile_primaries import answers

WHY = "a backdoor"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with Outside(tmp_path / "follower") as outside:
        yield outside


def block(store: Store, digest: str, why: str = WHY) -> None:
    store.writer.submit(Block(digest=digest, why=why, actor="officer", at=clock.now()))


def test_what_was_followed_is_blocked_here_too_and_a_tag_that_nobody_gets_is_no_lack(
    outside: Outside, tmp_path: Path
) -> None:
    (tmp_path / "primary").mkdir()
    with Store(tmp_path / "primary") as store:
        server = store.serve()
        follower = Follower(outside, f"http://{server.host}")
        bad, layer = push(server, "team/app", "1", b"bad"), Digest.of(b"good")
        push(server, "team/app", "2", b"good")
        assert follower.sync()["blocked"] == []
        block(store, bad)
        result = follower.sync()
        assert (result["blocked"], result["withheld"], result["failed"]) == ([bad], 1, [])
        metadata = outside.station.metadata
        assert metadata.blocked(Digest.parse(bad)) == f"blocked at {NAME}: {WHY}"
        assert follower.at("team/app", "1") == bad  # a tag that leads to nothing that is given
        assert follower.stands().repositories["team/app"].withheld == 1
        # A tag that is blocked before it was ever followed, and a blob of another one.
        never = push(server, "team/new", "1", b"never")
        block(store, never)
        block(store, str(layer))
        result = follower.sync()
        assert (sorted(result["blocked"]), result["withheld"]) == (sorted([never, str(layer)]), 2)
        assert follower.at("team/new", "1") is None
        assert metadata.blocked(layer) is not None
        assert follower.sync()["blocked"] == []
    events = [event for event in tail(outside.station.paths.audit, 99) if event["act"] == "block"]
    assert {event["thing"] for event in events} == {bad, never, str(layer)}
    assert {event["detail"]["replica"] for event in events} == {NAME}


def test_a_tag_that_the_primary_withholds_and_that_is_shown_here_is_no_ok(outside: Outside) -> None:
    with serving(SmallRegistry()) as primary:
        primary.fault = answers("nothing", 200, b"")
        primary.image("team/app", "1", b"content")
        follower = Follower(outside, f"http://{primary.host}")
        follower.sync()
        primary.fault = answers("team/app/manifests", 403, b"")
        assert [one["thing"] for one in follower.part()["failed"]] == ["team/app:1"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b""),
        (200, b"garbage"),
        (200, b"[]"),
        (200, b'{"other": []}'),
        (200, b'{"blocks": []}'),
        (200, b'{"side": "inside", "blocks": []}'),
        (200, b'{"side": "outside", "blocks": 1}'),
        (200, b'{"side": "outside", "blocks": ["x"]}'),
        (200, b'{"side": "outside", "blocks": [{"digest": "x", "why": ""}]}'),
        (500, b""),
        (403, b""),
    ],
)
def test_without_a_list_that_can_be_read_nothing_is_taken(
    outside: Outside, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    monkeypatch.setattr(collecting_limits, "REMOTE_ATTEMPTS", 1)
    with serving(SmallRegistry()) as primary:
        primary.image("team/app", "1", b"content")
        primary.fault = answers("_lockgate", status, body)
        follower = Follower(outside, f"http://{primary.host}")
        with pytest.raises(LockgateError):
            follower.sync()
        assert follower.at("team/app", "1") is None
        assert (follower.stands().whole, follower.stands().fault != "") == ("", True)


def test_an_inside_station_is_not_followed_from_outside(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "primary").mkdir()
    with Store(tmp_path / "primary") as store:
        server = store.serve(settings=RegistrySettings(writes=ClientWrites(None, keeps_released=True)))
        push(server, "team/app", "1", b"content")
        follower = Follower(outside, f"http://{server.host}")
        with pytest.raises(RefusedError) as raised:
            follower.sync()
        assert raised.value.code == "replica-side"
        assert follower.at("team/app", "1") is None


def test_a_list_that_goes_in_a_circle_has_an_end(outside: Outside) -> None:
    with serving(SmallRegistry()) as primary:

        def fault(handler: object) -> bool:
            if "_lockgate" not in handler.path:  # type: ignore[attr-defined]
                return False
            handler.answer(200, b'{"side": "outside", "blocks": []}', {"Link": f"<{handler.path}>; rel=next"})  # type: ignore[attr-defined]
            return True

        primary.fault = fault
        with pytest.raises((LockgateError, RefusedError)):
            Follower(outside, f"http://{primary.host}").sync()


def put(server: Server, name: str, secret: str, repository: str, body: bytes) -> Digest:
    digest = Digest.of(body)
    headers = bearer(token(server, name, f"repository:{repository}:pull,push", secret=secret))
    assert server.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body, headers).status == 201
    return digest


def test_a_block_is_told_to_who_may_see_the_content_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PAGE", 2)
    with Site(tmp_path) as site:
        server = site.worker()
        name, secret, _ = site.robot("robot-follower", "reader team/**")
        pusher, pushed, _ = site.robot("robot-pusher", "writer **")
        seen = [put(server, pusher, pushed, "team/app", b"seen %d" % number) for number in range(3)]
        hidden = put(server, pusher, pushed, "other/app", b"hidden")
        nowhere = Digest.of(b"nowhere")
        for digest in (*seen, hidden, nowhere):
            block(site, str(digest), "x" * 1000)
        assert server.ask("GET", "/v2/_lockgate/blocks").status == 401
        headers = bearer(token(server, name, "registry:catalog:*", secret=secret))
        found, path = [], "/v2/_lockgate/blocks"
        while path:
            answer = server.ask("GET", path, headers=headers)
            assert answer.status == 200
            assert len(answer.json["blocks"]) <= 2
            found += answer.json["blocks"]
            path = answer.headers.get("Link", "").partition(">")[0].lstrip("<")
        assert [one["digest"] for one in found] == sorted(map(str, (*seen, nowhere)))
        assert {len(one["why"]) for one in found} == {limits.BLOCK_TOLD}
        assert server.ask("POST", "/v2/_lockgate/blocks", json.dumps({}), headers).status in (403, 405)
