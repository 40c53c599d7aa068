"""Primaries that are not whom the follower trusts, do not know it, or answer what they should not."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.limits import collecting as limits
from appliance.store.writes.access import DisableAccount, GrantRole, WithdrawRole
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError, UsageError
from tests.access.papers import Issuer
from tests.access.site import Site, bearer, token
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import Handler, SmallRegistry, serving
from tests.replication.following import NAME, Follower

ROBOT = "robot-follower"
EMPTY = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    monkeypatch.setattr(limits, "REMOTE_ATTEMPTS", 1)
    with Outside(tmp_path / "follower") as outside:
        yield outside


def keep_secret(outside: Outside, secret: str, mode: int = 0o600) -> Path:
    path = outside.station.paths.keys / f"replica-{NAME}.secret"
    path.write_text(secret + "\n")
    path.chmod(mode)
    return path


def test_a_robot_asks_by_tls_with_the_one_authority_and_is_shut_out_once_it_is_revoked(
    outside: Outside, tmp_path: Path
) -> None:
    (tmp_path / "primary").mkdir()
    issuer, other = Issuer(tmp_path, "authority"), Issuer(tmp_path, "other")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issuer.server("127.0.0.1"))
    with Site(tmp_path / "primary") as site:
        plain, secure = site.worker(), site.worker(tls=context)
        _, secret, _ = site.robot(ROBOT, "reader team/**")
        pusher, pushed, _ = site.robot("robot-pusher", "writer **")
        for repository in ("team/app", "other/app"):
            headers = bearer(token(plain, pusher, f"repository:{repository}:pull,push", secret=pushed))
            plain.ask(
                "POST", f"/v2/{repository}/blobs/uploads/?digest="
                "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", b"{}", headers,
            )  # fmt: skip
            manifest = {
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
                "artifactType": "application/vnd.example",
                "config": {
                    "mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
                    "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
                },
            }  # fmt: skip
            done = plain.ask(
                "PUT", f"/v2/{repository}/manifests/1", json.dumps(manifest),
                headers | {"Content-Type": str(manifest["mediaType"])},
            )  # fmt: skip
            assert done.status == 201
        url = f"https://{secure.host}"
        with pytest.raises(UsageError, match="no secret"):
            Follower(outside, url, ca=str(issuer.ca), account=ROBOT).sync()
        keep_secret(outside, secret, 0o644)
        with pytest.raises(RefusedError, match="other accounts can read"):
            Follower(outside, url, ca=str(issuer.ca), account=ROBOT).sync()
        kept = keep_secret(outside, secret)
        kept.write_bytes(b"\xff\xfe\n")
        with pytest.raises(UsageError, match="no text"):
            Follower(outside, url, ca=str(issuer.ca), account=ROBOT).sync()
        kept.write_bytes(b"\nsecond line\n")
        with pytest.raises(UsageError, match="no secret"):
            Follower(outside, url, ca=str(issuer.ca), account=ROBOT).sync()
        kept.write_bytes(b"x" * 100_000)
        with pytest.raises(LockgateError):
            Follower(outside, url, ca=str(issuer.ca), account=ROBOT).sync()
        kept.write_text(secret + "\n")
        with pytest.raises(FailedError, match="cannot be used"):
            Follower(outside, url, ca=str(tmp_path / "none.pem"), account=ROBOT).sync()
        with pytest.raises(FailedError, match="certificate is not trusted"):
            Follower(outside, url, ca=str(other.ca), account=ROBOT).sync()
        follower = Follower(outside, url, ca=str(issuer.ca), account=ROBOT)
        assert follower.sync()["followed"] == ["team/app:1"]  # what the robot may not see is not there for it
        whole = follower.stands().whole
        # A permission that is lost is no deletion, also where deletes are followed.
        site.submit(WithdrawRole(account=ROBOT, role="reader", pattern="team/**"))
        site.submit(GrantRole(account=ROBOT, role="reader", pattern="other/**"))
        deleting = Follower(outside, url, ca=str(issuer.ca), account=ROBOT, deletes=True)
        assert [one["thing"] for one in deleting.part()["failed"]] == ["team/app"]
        assert deleting.at("team/app", "1") is not None
        kept.write_text("another\n")
        with pytest.raises(FailedError) as refused:
            follower.sync()
        assert (refused.value.code, secret in refused.value.diagnostics()) == ("account-refused", False)
        kept.write_text(secret)
        site.submit(DisableAccount(account=ROBOT, at=clock.now()))
        with pytest.raises(FailedError):
            follower.sync()
        stands = follower.stands()
        assert (stands.whole, stands.fault != "", follower.at("team/app", "1") is None) == (whole, True, False)
    assert not any(secret in path.read_text(errors="replace") for path in outside.root.rglob("*")
                   if path.is_file() and path != kept)  # fmt: skip


def answers(pattern: str, status: int, body: bytes, kind: str = "application/json") -> Callable[[Handler], bool]:
    """A registry that is whole, but for what the pattern finds in a request's method and path."""

    def fault(handler: Handler) -> bool:
        asked = f"{handler.command} {handler.path}"
        if re.search(pattern, asked):
            given = status, body, kind
        elif "_lockgate/blocks" in asked:
            given = 200, b'{"side": "outside", "blocks": []}', "application/json"
        elif "/referrers/" in asked:
            given = 200, EMPTY, "application/vnd.oci.image.index.v1+json"
        else:
            return False
        handler.send_response(given[0])
        handler.send_header("Content-Type", given[2])
        handler.send_header("Content-Length", str(len(given[1])))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(given[1])
        return True

    return fault


@pytest.fixture
def primary() -> Iterator[SmallRegistry]:
    with serving(SmallRegistry()) as registry:
        registry.fault = answers("nothing", 200, b"")
        registry.image("team/app", "good", b"good")
        registry.image("team/bad", "1", b"bad" * 9)
        yield registry


@pytest.mark.parametrize(
    ("pattern", "status", "body"),
    [
        ("_catalog", 200, b"<html>"),
        ("_catalog", 200, b'{"repositories": ["../../etc"]}'),
        ("_catalog", 200, b'{"repositories": {"a": 1}}'),
        ("_catalog", 200, b"[" * 200_000),
        ("_catalog", 404, b""),
        ("_catalog", 418, b""),
        ("_catalog", 500, b""),
        ("_catalog", 401, b""),
    ],
)  # fmt: skip
def test_without_a_catalog_that_can_be_read_nothing_is_said_to_be_equal(
    outside: Outside, primary: SmallRegistry, pattern: str, status: int, body: bytes
) -> None:
    primary.fault = answers(pattern, status, body)
    follower = Follower(outside, f"http://{primary.host}")
    with pytest.raises((FailedError, RefusedError, MalformedError)):
        follower.sync()
    assert (follower.stands().whole, follower.stands().fault != "") == ("", True)


@pytest.mark.parametrize(
    ("pattern", "status", "body"),
    [
        ("team/bad/tags/list", 200, b"garbage"),
        ("team/bad/tags/list", 403, b""),
        ("team/bad/tags/list", 200, b'{"name": "team/bad", "tags": ["1", "absent"]}'),
        ("team/bad/manifests/1", 200, b"{}"),
        ("GET /v2/team/bad/manifests/sha256", 200, b'{"schemaVersion": 2}'),
        ("team/bad/blobs", 200, b"other bytes, of another length than the blob"),
        ("team/bad/blobs", 404, b""),
        ("team/bad/referrers", 200, b"garbage"),
        ("team/bad/referrers", 404, b""),
    ],
)  # fmt: skip
def test_what_is_wrong_in_one_repository_is_named_and_the_others_are_followed(
    outside: Outside, primary: SmallRegistry, pattern: str, status: int, body: bytes
) -> None:
    primary.fault = answers(pattern, status, body)
    follower = Follower(outside, f"http://{primary.host}")
    result = follower.part()
    assert "team/app:good" in result["followed"]
    assert result["failed"]
    assert all(one["thing"].startswith("team/bad") for one in result["failed"])
    stands = follower.stands()
    assert (stands.whole, stands.repositories["team/bad"].equal) == ("", "")
    assert stands.repositories["team/app"].equal != ""


def test_a_blob_of_another_digest_is_shown_to_nobody(outside: Outside, primary: SmallRegistry) -> None:
    primary.fault = answers("team/bad/blobs/sha256:(?!44136fa)", 200, b"BAD" * 9)
    follower = Follower(outside, f"http://{primary.host}")
    assert [one["thing"] for one in follower.part()["failed"]] == ["team/bad:1"]
    assert follower.at("team/bad", "1") is None


def test_a_primary_is_followed_to_no_other_host(outside: Outside, primary: SmallRegistry) -> None:
    def fault(handler: Handler) -> bool:
        if "team/bad/blobs" not in handler.path:
            return answers("nothing", 200, b"")(handler)
        handler.send_response(307)
        handler.send_header("Location", f"http://localhost:{primary.port}{handler.path.replace('bad', 'app')}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    primary.fault = fault
    result = Follower(outside, f"http://{primary.host}").part()
    assert [one["thing"] for one in result["failed"]] == ["team/bad:1"]


def test_an_error_is_one_line_with_a_remedy(outside: Outside, primary: SmallRegistry) -> None:
    primary.fault = answers("_catalog", 200, b'{"repositories": ["\\u001b[31m"]}')
    with pytest.raises(LockgateError) as raised:
        Follower(outside, f"http://{primary.host}").sync()
    line = raised.value.diagnostics()
    assert "\n" not in line
    assert "\x1b" not in line
    assert raised.value.remedy
