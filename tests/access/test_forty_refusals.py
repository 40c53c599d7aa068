"""Forty things nobody may do, each refused with the right code, each an event in the audit log.

One site: `alice` writes team/**, `owner` maintains everything, `robot-ci` reads team/app, anybody may pull public/**.
secret/app holds an image, its SBOM as a referrer, and a layer; one more image is in quarantine.
An administrator's acts by the socket from another uid are in test_reach.py, what lists may name in
tests/control/test_what_is_shown.py.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance import clock
from appliance.access import token_keys
from appliance.access.scopes import Scope
from appliance.access.tokens import Claims, sign
from appliance.store.writes.access import DisableAccount, RevokeTokens, SetPassword, WithdrawRole
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.tokens import RevokeToken
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.access.site import HASH, PASSWORD, SERVICE, Site, ask_token, basic, bearer, post_token, token
from tests.conformance.shapes import artifact, image
from tests.registry.test_quarantine import Quarantine
from tests.registry_server import Answer, Server

PULL, PUSH = "repository:team/app:pull", "repository:team/app:pull,push"
SECRET = "/v2/secret/app"


@dataclass
class Place:
    """The site, its worker, and the digests of what is there."""

    site: Site
    server: Server
    layer: Digest
    image: Digest
    hidden: Digest
    robot: tuple[str, str, str]

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: Any = None) -> Answer:
        return self.server.ask(method, path, body, headers or {})

    def token(self, name: str, *scopes: str) -> str:
        return token(self.server, name, *scopes)

    def forged(self, *, key: ec.EllipticCurvePrivateKey | None = None, **changes: Any) -> str:
        """A token for secret/app, signed by the station's own key unless another is given."""
        ring = token_keys.load(self.site.paths.token_keys)
        now = int(time.time())
        fields: dict[str, Any] = {
            "issuer": SERVICE, "audience": SERVICE, "subject": "owner", "issued": now, "expires": now + 60,
            "id": "0", "generation": 1, "session": "",
            "access": (Scope("repository", "secret/app", frozenset({"pull"})),),
        }  # fmt: skip
        return sign(Claims(**fields | changes), ring.kid, key or ring.signs)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Site(tmp_path_factory.mktemp("site")) as site:
        server = site.worker(anonymous=("public/**",))
        site.person("alice", "writer team/**")
        site.person("owner", "maintainer")
        robot = site.robot("robot-ci", "reader team/app")
        pushing = server
        owner = basic("owner")
        layer, secret = b"a secret layer", image()
        digest = Digest.of(layer)
        assert pushing.ask("POST", f"{SECRET}/blobs/uploads/?digest={digest}", layer, owner).status == 201
        for repository in ("secret/app", "team/app", "public/app"):
            for body in secret.blobs:
                path = f"/v2/{repository}/blobs/uploads/?digest={Digest.of(body)}"
                assert pushing.ask("POST", path, body, owner).status == 201
            headers = owner | {"Content-Type": secret.media_type}
            assert pushing.ask("PUT", f"/v2/{repository}/manifests/1", secret.manifest, headers).status == 201
        hidden = image()
        rows = []
        for body in (*hidden.blobs, hidden.manifest):
            found = Digest.of(body)
            rows.append(BlobRow(digest=str(found), size=len(body), crc32=site.blobs.put(body, found)))
        manifest = ManifestRow(blob=rows[-1], media_type=hidden.media_type)
        site.submit(Quarantine(blobs=tuple(rows), manifest=manifest))
        yield Place(site, server, digest, secret.digest, hidden.digest, robot)


@pytest.fixture
def place(whole: Place) -> Place:
    whole.site.audit.events.clear()
    return whole


def refused(place: Place, answer: Answer, status: int, code: str = "") -> None:
    """Refused so, and the audit log says so, beside a pull that was allowed before."""
    assert answer.status == status, (answer.status, answer.body)
    if code and answer.body:
        assert answer.code == code
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="http://127.0.0.1:')
        assert f'service="{SERVICE}"' in answer.headers["WWW-Authenticate"]
    if status in (401, 403):
        outcomes = [(event.act, event.outcome) for event in place.site.audit.events]
        assert [outcome for act, outcome in outcomes if (act, outcome) != ("pull", "done")] == ["refused"]


# Who has no account.


@pytest.mark.parametrize(
    ("number", "method", "path"),
    [
        (1, "GET", f"{SECRET}/manifests/1"),
        (2, "HEAD", f"{SECRET}/manifests/1"),
        (3, "GET", f"{SECRET}/tags/list"),
        (4, "GET", f"{SECRET}/referrers/sha256:{'0' * 64}"),
        (5, "GET", "/v2/_catalog"),
        (6, "POST", "/v2/public/app/blobs/uploads/"),
        (7, "DELETE", "/v2/public/app/manifests/1"),
    ],
)
def test_nobody_gets_no_further_than_public_repositories(place: Place, number: int, method: str, path: str) -> None:
    refused(place, place.get(path, method=method), 401, "UNAUTHORIZED")


def test_8_the_challenge_asks_for_what_the_request_needs_and_no_more(place: Place) -> None:
    answer = place.get(f"{SECRET}/manifests/1")
    refused(place, answer, 401, "UNAUTHORIZED")
    assert 'scope="repository:secret/app:pull"' in answer.headers["WWW-Authenticate"]


def test_9_a_repository_that_does_not_exist_is_refused_in_the_same_words(place: Place) -> None:
    for headers in ({}, basic("alice")):
        there = place.get(f"{SECRET}/manifests/1", headers)
        missing = place.get("/v2/secret/xyz/manifests/1", headers)
        assert (there.status, there.body) == (missing.status, missing.body)
        assert there.status in (401, 403)


# Who has one, and goes beyond it.


def test_10_another_repository_with_basic(place: Place) -> None:
    refused(place, place.get(f"{SECRET}/manifests/1", basic("alice")), 403, "DENIED")


def test_11_another_repository_with_a_token_for_ones_own(place: Place) -> None:
    refused(place, place.get(f"{SECRET}/manifests/1", bearer(place.token("alice", PULL))), 403, "DENIED")


def test_12_a_scope_beyond_ones_roles_is_not_given(place: Place) -> None:
    answer = ask_token(place.server, basic("alice"), "repository:secret/app:pull,push,delete", PUSH)
    assert answer.json["scope"] == PUSH
    refused(place, place.get(f"{SECRET}/manifests/1", bearer(answer.json["token"])), 403, "DENIED")


def test_13_a_reader_who_asks_to_push(place: Place) -> None:
    name, secret, _ = place.robot
    got = token(place.server, name, PUSH, secret=secret)
    refused(place, place.get("/v2/team/app/blobs/uploads/", bearer(got), "POST"), 403, "DENIED")


def test_14_pushing_with_a_token_for_pulling_is_told_what_is_missing(place: Place) -> None:
    answer = place.get("/v2/team/app/blobs/uploads/", bearer(place.token("alice", PULL)), "POST")
    refused(place, answer, 401, "UNAUTHORIZED")
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'scope="repository:team/app:pull,push"' in answer.headers["WWW-Authenticate"]


def test_15_deleting_as_a_writer(place: Place) -> None:
    got = place.token("alice", "repository:team/app:*")
    refused(place, place.get("/v2/team/app/manifests/1", bearer(got), "DELETE"), 403, "DENIED")


def test_16_a_wildcard_scope_is_no_more_than_the_roles(place: Place) -> None:
    answer = ask_token(place.server, basic("alice"), "repository:secret/app:*", "repository:team/app:*")
    assert answer.json["scope"] == PUSH


def test_17_mounting_from_a_secret_repository_becomes_an_upload(place: Place) -> None:
    path = f"/v2/team/app/blobs/uploads/?mount={place.layer}&from=secret/app"
    assert place.get(path, bearer(place.token("alice", PUSH, "repository:secret/app:pull")), "POST").status == 202
    assert [(event.thing, event.outcome) for event in place.site.audit.events] == [("secret/app", "refused")]
    assert place.get(f"/v2/team/app/blobs/{place.layer}", basic("alice"), "HEAD").status == 404


def test_18_mounting_without_naming_the_source_finds_no_secret_one(place: Place) -> None:
    path = f"/v2/team/app/blobs/uploads/?mount={place.layer}"
    assert place.get(path, basic("alice"), "POST").status == 202
    assert place.get(f"/v2/team/app/blobs/{place.layer}", basic("alice"), "HEAD").status == 404


def test_19_mounting_needs_the_sources_scope_too(place: Place) -> None:
    """The owner may read the source; a token that does not say so may not."""
    path = f"/v2/team/other/blobs/uploads/?mount={place.layer}&from=secret/app"
    both = ("repository:team/other:pull,push", "repository:secret/app:pull")
    assert place.get(path, bearer(place.token("owner", both[0])), "POST").status == 202
    assert place.get(path, bearer(place.token("owner", *both)), "POST").status == 201


def test_20_referrers_of_a_secret_image(place: Place) -> None:
    refused(place, place.get(f"{SECRET}/referrers/{place.image}", basic("alice")), 403, "DENIED")


def test_21_a_referrer_pushed_elsewhere_shows_nothing_of_a_secret_image(place: Place) -> None:
    """The subject may be secret; naming it tells nothing about it."""
    sbom = artifact(subject={"mediaType": OCI_MANIFEST, "digest": str(place.image),
                             "size": 1})  # fmt: skip
    for body in sbom.blobs:
        path = f"/v2/team/app/blobs/uploads/?digest={Digest.of(body)}"
        assert place.get(path, basic("alice"), "POST", body).status == 201
    headers = basic("alice") | {"Content-Type": sbom.media_type}
    assert place.get(f"/v2/team/app/manifests/{sbom.digest}", headers, "PUT", sbom.manifest).status == 201
    place.site.audit.events.clear()
    refused(place, place.get(f"{SECRET}/referrers/{place.image}", basic("alice")), 403, "DENIED")


def test_22_the_catalog_names_what_one_may_pull_alone(place: Place) -> None:
    got = place.token("alice", "registry:catalog:*")
    names = place.get("/v2/_catalog", bearer(got)).json["repositories"]
    assert "secret/app" not in names
    assert {"team/app", "public/app"} <= set(names)
    assert place.get("/v2/_catalog?n=1", bearer(got)).json["repositories"] == ["public/app"]


def test_23_the_catalog_without_its_scope(place: Place) -> None:
    answer = place.get("/v2/_catalog", bearer(place.token("alice", PULL)))
    refused(place, answer, 401, "UNAUTHORIZED")
    assert 'scope="registry:catalog:*"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("number", "kind"), [(24, "manifests"), (25, "blobs")])
def test_quarantined_content_by_digest(place: Place, number: int, kind: str) -> None:
    for who in ("alice", "owner"):
        assert place.get(f"/v2/team/app/{kind}/{place.hidden}", basic(who)).status == 404
    refused(place, place.get(f"{SECRET}/{kind}/{place.hidden}", basic("alice")), 403, "DENIED")


# Tokens that are none.


def altered(given: str, part: int, change: dict[str, Any]) -> str:
    """The token with fields of its header (0) or payload (1) replaced, and its signature as it was."""
    parts = given.split(".")
    fields = json.loads(base64.urlsafe_b64decode(parts[part] + "=="))
    raw = json.dumps(fields | change, separators=(",", ":")).encode()
    parts[part] = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return ".".join(parts)


def unsigned(given: str) -> str:
    return altered(given, 0, {"alg": "none"}).rpartition(".")[0] + "."


def slack(given: str) -> str:
    """The same signature in another spelling: its last letter with bits that say nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return given[:-1] + letters[letters.index(given[-1]) ^ 1]


@pytest.mark.parametrize(
    ("number", "make"),
    [
        (26, lambda place: place.forged(expires=int(time.time()) - 1, issued=int(time.time()) - 200)),
        (27, lambda place: place.forged(issued=int(time.time()) + 60, expires=int(time.time()) + 120)),
        (28, lambda place: unsigned(place.forged())),
        (29, lambda place: altered(place.forged(), 0, {"alg": "HS256"})),
        (30, lambda place: altered(place.token("alice", PULL), 1, {"sub": "owner"})),
        (31, lambda place: place.forged(key=ec.generate_private_key(ec.SECP256R1()))),
        (32, lambda place: place.forged(audience="lockgate/alpha")),
        (33, lambda place: place.forged(issuer="lockgate/alpha")),
        (34, lambda place: place.forged(expires=int(time.time()) + 86_400)),
        (35, lambda place: altered(place.forged(), 0, {"kid": "../../tls/server"})),
        (36, lambda place: slack(place.forged())),
        (37, lambda place: place.forged(subject="nobody-here")),
        (38, lambda place: place.forged(generation=99)),
    ],
)
def test_a_token_that_is_not_exactly_one_of_ours_now(place: Place, number: int, make: Any) -> None:
    assert place.get(f"{SECRET}/manifests/1", bearer(place.forged())).status == 200
    answer = place.get(f"{SECRET}/manifests/1", bearer(make(place)))
    refused(place, answer, 401, "UNAUTHORIZED")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


# What has been taken away.


def leaver(place: Place, name: str) -> tuple[str, str, str]:
    """Somebody with a token and a refresh token that work."""
    place.site.person(name, "reader team/**")
    answer = ask_token(place.server, basic(name), PULL, offline_token="true")
    access, refresh = answer.json["token"], answer.json["refresh_token"]
    assert place.get("/v2/team/app/tags/list", bearer(access)).status == 200
    place.site.audit.events.clear()
    return name, access, refresh


@pytest.mark.parametrize(
    ("number", "what", "status"),
    [(39, "disable", 401), (40, "revoke", 401), (41, "password", 401), (42, "role", 403), (43, "log-in", 401)],
)
def test_a_token_whose_ground_is_gone(place: Place, number: int, what: str, status: int) -> None:
    name, access, refresh = leaver(place, f"leaver-{what}")
    at = clock.now()
    place.site.submit(
        {
            "disable": DisableAccount(account=name, at=at),
            "revoke": RevokeTokens(account=name, at=at),
            "password": SetPassword(account=name, password=HASH, at=at),
            "role": WithdrawRole(account=name, role="reader"),
            "log-in": RevokeToken(id=refresh.split("_")[1], at=at),
        }[what]
    )
    refused(place, place.get("/v2/team/app/tags/list", bearer(access)), status)
    place.site.audit.events.clear()
    renewed = post_token(place.server, grant_type="refresh_token", refresh_token=refresh, scope=PULL)
    if what == "role":
        assert renewed.json["scope"] == ""
    else:
        refused(place, renewed, 401)


def test_a_token_whose_ground_is_gone_is_refused_whatever_the_epoch_in_the_database_says(place: Place) -> None:
    """Whoever has the database's file sets its number back, so that the next change makes it what it was."""
    name, access, _ = leaver(place, "leaver-unseen")
    with contextlib.closing(sqlite3.connect(place.site.paths.database)) as intruder:
        intruder.execute("UPDATE epoch SET value = value - 1")
        intruder.commit()
    place.site.submit(DisableAccount(account=name, at=clock.now()))
    refused(place, place.get("/v2/team/app/tags/list", bearer(access)), 401)


def test_44_a_replayed_refresh_token_ends_the_log_in_for_both(place: Place) -> None:
    _, access, refresh = leaver(place, "replayed")
    first = post_token(
        place.server, grant_type="refresh_token", refresh_token=refresh, scope=PULL, access_type="offline"
    )
    assert first.status == 200
    assert first.json["refresh_token"] != refresh
    refused(place, post_token(place.server, grant_type="refresh_token", refresh_token=refresh, scope=PULL), 401)
    for late in (first.json["refresh_token"], refresh):
        assert post_token(place.server, grant_type="refresh_token", refresh_token=late).status == 401
    assert place.get("/v2/team/app/tags/list", bearer(access)).status == 401


def test_45_a_robots_secret_that_is_over_or_revoked(place: Place) -> None:
    over = place.site.robot("robot-over", "reader", lasting=-1)
    refused(place, place.get("/v2/team/app/tags/list", basic(over[0], over[1])), 401, "UNAUTHORIZED")
    name, secret, secret_id = place.site.robot("robot-gone", "reader")
    access = token(place.server, name, PULL, secret=secret)
    place.site.submit(RevokeToken(id=secret_id, at=clock.now()))
    place.site.audit.events.clear()
    refused(place, place.get("/v2/team/app/tags/list", bearer(access)), 401)
    assert place.get("/v2/team/app/tags/list", basic(name, secret)).status == 401


def test_46_one_robots_secret_under_anothers_name(place: Place) -> None:
    place.site.robot("robot-a", "maintainer")
    _, secret, _ = place.site.robot("robot-b", "reader team/app")
    refused(place, place.get(f"{SECRET}/manifests/1", basic("robot-a", secret)), 401, "UNAUTHORIZED")


# Ways around.


@pytest.mark.parametrize(
    ("number", "name", "secret"),
    [(47, "alice", "wrong"), (48, "nobody", PASSWORD), (49, "alice", ""), (50, "robot-xyz", "lgs_0_0"), (51, "", "")],
)
def test_a_wrong_name_and_a_wrong_password_are_the_same(place: Place, number: int, name: str, secret: str) -> None:
    answer = place.get("/v2/team/app/tags/list", basic(name, secret))
    refused(place, answer, 401, "UNAUTHORIZED")
    assert answer.json == {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}


def test_52_a_token_is_no_way_to_another_token(place: Place) -> None:
    answer = ask_token(place.server, bearer(place.token("owner", PULL)), "repository:secret/app:pull")
    refused(place, answer, 401, "UNAUTHORIZED")


def test_53_a_token_for_another_service_is_not_given(place: Place) -> None:
    answer = place.get("/token?service=lockgate/alpha&scope=" + PULL, basic("alice"))
    assert (answer.status, answer.code) == (400, "UNSUPPORTED")


def test_54_nobodys_token_is_for_public_repositories_alone(place: Place) -> None:
    answer = ask_token(place.server, None, "repository:public/app:pull,push", "repository:secret/app:pull")
    assert answer.json["scope"] == "repository:public/app:pull"
    assert place.get("/v2/public/app/manifests/1", bearer(answer.json["token"])).status == 200
    refused(place, place.get(f"{SECRET}/manifests/1", bearer(answer.json["token"])), 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("number", "header"),
    [(55, "Basic !!!"), (56, "Basic"), (57, "Negotiate abc"), (58, "Bearer "), (59, "bearer a.b.c")],
)
def test_a_header_that_proves_nothing(place: Place, number: int, header: str) -> None:
    refused(place, place.get(f"{SECRET}/manifests/1", {"Authorization": header}), 401, "UNAUTHORIZED")


def raw(place: Place, request: bytes) -> bytes:
    """The bytes of the answers to bytes on one connection."""
    with socket.create_connection(("127.0.0.1", place.server.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
    return answer


def test_60_two_authorization_headers_are_one_too_many(place: Place) -> None:
    mine, theirs = basic("alice")["Authorization"], basic("owner")["Authorization"]
    answer = raw(
        place,
        f"GET {SECRET}/tags/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: {mine}\r\nAuthorization: {theirs}\r\n\r\n".encode(),
    )
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("number", "smuggled"),
    [
        (61, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (62, "Content-Length: 5\r\nContent-Length: 60\r\n\r\nGET /v"),
        (63, "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        (64, "X-Forwarded-For: 10.0.0.1\r\nX-Original-URL: /v2/public/app/tags/list\r\n\r\n"),
        (65, "X : y\r\n\r\n"),
    ],
)
def test_smuggled_headers_open_nothing(place: Place, number: int, smuggled: str) -> None:
    """A second request behind the first, or another path in a header: whatever is answered, nothing is shown."""
    answer = raw(place, f"POST {SECRET}/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{smuggled}".encode())
    assert answer.split(b" ", 2)[1] in (b"400", b"401")
    assert answer.count(b"HTTP/1.") == 1


@pytest.mark.parametrize(
    ("number", "path"),
    [
        (66, "/v2/team%2Fapp/../secret/app/manifests/1"),
        (67, "/v2/public/../secret/app/manifests/1"),
        (68, "/v2/public/app/../../secret/app/manifests/1"),
        (69, "//v2/secret/app/manifests/1"),
        (70, "/V2/secret/app/manifests/1"),
    ],
)
def test_another_spelling_of_a_path_leads_nowhere(place: Place, number: int, path: str) -> None:
    answer = raw(place, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ", 2)[1] in (b"400", b"401", b"404")


def test_71_a_host_header_with_quotes_does_not_reach_the_challenge(place: Place) -> None:
    answer = raw(place, b'GET /v2/ HTTP/1.1\r\nHost: a",realm="https://evil\r\nConnection: close\r\n\r\n')
    assert b"evil" not in answer


def test_72_an_address_that_is_not_on_the_list(place: Place, tmp_path: Path) -> None:
    far = place.site.worker(addresses=("10.0.0.0/8",))
    place.site.audit.events.clear()
    answer = far.ask("GET", "/v2/public/app/tags/list", headers=basic("owner"))
    refused(place, answer, 403, "DENIED")
    near = place.site.worker(addresses=("127.0.0.0/8",))
    assert near.ask("GET", "/v2/public/app/tags/list", headers=basic("owner")).status == 200


def test_73_addresses_are_the_connections_and_not_a_headers(place: Place) -> None:
    far = place.site.worker(addresses=("10.0.0.0/8",))
    place.site.audit.events.clear()
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
        sent = basic("owner") | {name: "for=10.0.0.1" if name == "Forwarded" else "10.0.0.1"}
        assert far.ask("GET", f"{SECRET}/tags/list", headers=sent).status == 403
    assert {event.detail["address"] for event in place.site.audit.events} == {"127.0.0.1"}


def test_74_a_role_that_counts_elsewhere_does_not_count_here(place: Place) -> None:
    away = place.site.worker(roles={"writer": ("10.0.0.0/8",)})
    got = ask_token(away, basic("alice"), PUSH)
    assert got.json["scope"] == ""
    place.site.audit.events.clear()
    refused(place, away.ask("POST", "/v2/team/app/blobs/uploads/", headers=basic("alice")), 403, "DENIED")
    assert place.get("/v2/team/app/blobs/uploads/", basic("alice"), "POST").status == 202


def test_75_an_upload_of_a_secret_repository_is_not_carried_on_elsewhere(place: Place) -> None:
    """The session's id is known, as it would be from a log: it belongs to its repository."""
    begun = place.get(f"{SECRET}/blobs/uploads/", basic("owner"), "POST")
    upload = begun.headers["Location"].rpartition("/")[2].partition("?")[0]
    for method, query in (("GET", ""), ("PATCH", ""), ("PUT", f"?digest={Digest.of(b'x')}"), ("DELETE", "")):
        answer = place.get(f"/v2/team/app/blobs/uploads/{upload}{query}", basic("alice"), method, b"x")
        assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert place.get(f"{SECRET}/blobs/uploads/{upload}", basic("owner")).status == 204


def test_76_a_manifest_does_not_pull_a_secret_layer_into_ones_own_repository(place: Place) -> None:
    layer = b"a secret layer"
    wanted = {"mediaType": "application/octet-stream", "digest": str(place.layer), "size": len(layer)}
    made = image()
    for body in made.blobs:
        path = f"/v2/team/app/blobs/uploads/?digest={Digest.of(body)}"
        assert place.get(path, basic("alice"), "POST", body).status == 201
    document = json.loads(made.manifest)
    document["layers"].append(wanted)
    headers = basic("alice") | {"Content-Type": made.media_type}
    answer = place.get("/v2/team/app/manifests/stolen", headers, "PUT", json.dumps(document).encode())
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert place.get("/v2/team/app/manifests/stolen", basic("alice")).status == 404


@pytest.mark.parametrize("parameter", ["access_token", "token", "authorization"])
def test_77_a_token_in_the_address_is_none(place: Place, parameter: str) -> None:
    """Addresses end up in logs."""
    got = place.token("owner", "repository:secret/app:pull")
    refused(place, place.get(f"{SECRET}/manifests/1?{parameter}={got}"), 401, "UNAUTHORIZED")


def test_78_another_method_in_a_header_is_not_the_requests(place: Place) -> None:
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        sent = bearer(place.token("owner", "repository:team/app:*")) | {name: "DELETE"}
        assert place.get("/v2/team/app/manifests/1", sent).status == 200
    assert place.get("/v2/team/app/manifests/1", basic("owner")).status == 200


def test_79_a_whole_url_as_the_path_is_asked_like_its_path(place: Place) -> None:
    request = f"GET http://127.0.0.1{SECRET}/manifests/1 HTTP/1.1\r\nHost: public\r\nConnection: close\r\n\r\n"
    assert raw(place, request.encode()).split(b" ", 2)[1] in (b"400", b"401", b"404")


def test_80_another_account_in_the_query_is_not_who_asks(place: Place) -> None:
    answer = ask_token(place.server, basic("alice"), "repository:secret/app:pull", account="owner")
    assert answer.json["scope"] == ""
    refused(place, place.get(f"{SECRET}/manifests/1", bearer(answer.json["token"])), 403, "DENIED")


def test_81_a_robots_secret_and_a_refresh_token_are_no_bearer_tokens(place: Place) -> None:
    _, secret, _ = place.robot
    refresh = ask_token(place.server, basic("alice"), PULL, offline_token="true").json["refresh_token"]
    place.site.audit.events.clear()
    refused(place, place.get("/v2/team/app/tags/list", bearer(secret)), 401, "UNAUTHORIZED")
    place.site.audit.events.clear()
    refused(place, place.get("/v2/team/app/tags/list", bearer(refresh)), 401, "UNAUTHORIZED")


def test_82_a_person_without_a_password_and_a_robots_name_with_one_open_nothing(place: Place) -> None:
    for name in ("robot-ci", "ROBOT-CI", "alice\x00", "Alice", " alice"):
        assert place.get("/v2/team/app/tags/list", basic(name)).status == 401, name
