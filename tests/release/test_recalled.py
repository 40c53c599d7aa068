"""Revoking a key, or blocking content, lists on a running station what it touched and who pulled it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import sqlite3
import ssl
from typing import Any

from bundles.oci.digest import Digest
from tests.release.closed import PASSWORD, Closed


def pull(closed: Closed, who: str, repository: str) -> str:
    """A manifest as a stock client pulls it, over TLS with a bearer token: its digest."""
    assert closed.process is not None
    context = ssl.create_default_context(cafile=str(closed.root / "tls/ca.pem"))
    connection = http.client.HTTPSConnection("localhost", closed.port, context=context, timeout=60)

    def ask(path: str, authorization: str) -> http.client.HTTPResponse:
        connection.request("GET", path, headers={"Authorization": authorization, "Accept": "*/*"})
        return connection.getresponse()

    basic = "Basic " + base64.b64encode(f"{who}:{PASSWORD}".encode()).decode()
    token = json.loads(ask(f"/token?service=lockgate/bravo&scope=repository:{repository}:pull", basic).read())["token"]
    answer = ask(f"/v2/{repository}/manifests/1", f"Bearer {token}")
    answer.read()
    assert answer.status == 200
    return str(answer.headers["Docker-Content-Digest"])


def released(closed: Closed) -> tuple[str, str]:
    """A released bundle and its one repository."""
    name = closed.brought()
    closed.approve("anna", name)
    closed.approve("boris", name)
    (reference,) = closed.release("clara", name)
    return name, reference.rpartition(":")[0]


def make_reader(closed: Closed) -> None:
    body: dict[str, Any] = {"name": "rita", "full_name": "", "password": PASSWORD}
    closed.ask("ada", "POST", "/v1/accounts", body)
    closed.ask("ada", "POST", "/v1/accounts/rita/grant", {"role": "reader", "pattern": "**"})


def test_a_block_that_was_removed_by_hand_is_named_until_it_is_made_again(closed: Closed) -> None:
    digest = str(Digest.of(b"bad"))
    closed.cli("anna", "block", "add", digest, "--why", "CVE-2026-1")
    assert closed.ask("vera", "GET", "/v1/releases/check")["ok"] is True
    with contextlib.closing(sqlite3.connect(closed.paths.database, timeout=30)) as intruder, intruder:
        intruder.execute("DELETE FROM blocks")
    said = closed.cli("vera", "intake", "check", expect=3)
    assert digest in said.stdout
    assert "missing" in said.stderr
    assert any(digest in alert for alert in closed.ask("vera", "GET", "/v1/status")["alerts"])
    closed.cli("anna", "block", "add", digest, "--why", "CVE-2026-1")
    assert closed.ask("vera", "GET", "/v1/releases/check")["ok"] is True
    closed.cli("anna", "block", "remove", digest)
    assert closed.ask("vera", "GET", "/v1/releases/check")["ok"] is True


def test_a_block_and_a_revocation_list_bundles_tags_and_who_pulled_them(closed: Closed) -> None:
    make_reader(closed)
    name, repository = released(closed)
    digest = pull(closed, "rita", repository)
    said = closed.cli("anna", "block", "add", digest, "--why", "CVE-2026-1").stdout
    for word in (f"blocked {digest}", name, f"{repository}:1", "rita", "127.0.0.1", "pulls are known since"):
        assert word in said
    manifest = closed.ask("anna", "GET", f"/v1/intake/{name}")["manifest"]
    builder = manifest["signers"][0]
    recalled = closed.cli("anna", "audit", "recall", builder, "--json").json
    assert [(one["id"], one["state"]) for one in recalled["bundles"]] == [(name, "released")]
    assert [one["actor"] for one in recalled["pulls"]] == ["rita"]
    said = closed.cli("anna", "key", "revoke", builder, "--why", "stolen").stdout
    for word in (f"revoked {builder}", name, "signed it", f"{repository}:1", "rita"):
        assert word in said
    officer = closed.cli("anna", "key", "revoke", closed.keys["clara"].public.keyid, "--why", "left").stdout
    assert "no bundle has anything to do with it" in officer
