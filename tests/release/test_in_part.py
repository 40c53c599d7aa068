"""A release in part, as people ask for it: what is not named stays in quarantine."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
from typing import Any

import pytest

from bundles.errors import UsageError, from_wire
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import carry
from tests.release.closed import Closed


def approved(closed: Closed, source: str) -> str:
    """A bundle of two files, approved by two people."""
    store = MemoryStore()
    artifacts = [file_artifact(store, f"{source} {name}".encode(), f"{source}/{name}") for name in ("a", "b")]
    made = carry(closed.folder / source, store, artifacts, stream=f"{source}.bravo")
    trust_key(closed.paths.trust, made.key.public, purpose="bundle", owner=f"Builder {source}", sites=[source])
    closed.job("carl", "import", paths=[str(made.folder)])
    name = str(made.signed.manifest.id)
    closed.approve("anna", name)
    closed.approve("boris", name)
    return name


def test_only_what_is_named_is_released_by_the_command_line(closed: Closed) -> None:
    name = approved(closed, "part1")
    refused = closed.cli("clara", "intake", "release", name, "--only", "part1/none:1", expect=2)
    assert "does not hold this artifact" in refused.stderr
    assert closed.cli("clara", "intake", "release", name, "--only", "part1/a:1").stdout == "part1/a:1\n"
    assert closed.cli("clara", "intake", "release", name).stdout == "part1/b:1\n"


def test_only_what_is_named_is_released_by_a_request(closed: Closed) -> None:
    name = approved(closed, "part2")
    path = f"/v1/intake/{name}/release"
    with pytest.raises(UsageError, match="does not hold"):
        closed.ask("clara", "POST", path, {"only": ["part2/none"]})
    for body in (b"[]", b'{"only": "part2/a"}', b'{"only": [1]}', b"only"):
        with pytest.raises(UsageError):
            raw(closed, path, body)
    assert closed.ask("clara", "POST", path, {"only": ["part2/b"]})["released"] == ["part2/b:1"]
    assert raw(closed, path, b"")["released"] == ["part2/a:1"]


def test_what_was_left_in_quarantine_is_found_where_somebody_links_it(closed: Closed) -> None:
    name = approved(closed, "part3")
    closed.ask("clara", "POST", f"/v1/intake/{name}/release", {"only": ["part3/a"]})
    assert closed.ask("vera", "GET", "/v1/releases/check")["ok"] is True
    where = "(SELECT id FROM repositories WHERE name = 'part3/a')"
    with contextlib.closing(sqlite3.connect(closed.paths.database)) as intruder, intruder:
        intruder.execute(
            "INSERT INTO links (repository_id, digest, kind, created) SELECT"
            f" {where}, json_extract(a.value, '$.digest'), 'manifest', i.received FROM intake i"
            " JOIN intake_documents d USING (digest), json_each(d.manifest, '$.artifacts') a WHERE i.id = ?"
            " AND json_extract(a.value, '$.repository') = 'part3/b'",
            (name,),
        )
    items = closed.ask("vera", "GET", "/v1/releases/check")["items"]
    (found,) = [one for one in items if one["kind"] == "manifest"]
    assert [(one["kind"], one.get("found")) for one in items if one is not found] == [("facts", "missing")]
    assert (found["bundle"], found["repository"], found["kind"]) == (name, "part3/a", "manifest")
    with contextlib.closing(sqlite3.connect(closed.paths.database)) as intruder, intruder:
        intruder.execute(f"DELETE FROM links WHERE digest = ? AND repository_id = {where}", (found["digest"],))
    assert closed.ask("clara", "POST", f"/v1/intake/{name}/release", {})["released"] == ["part3/b:1"]
    assert closed.ask("vera", "GET", "/v1/releases/check")["ok"] is True


def raw(closed: Closed, path: str, body: bytes) -> Any:
    """A POST with exactly these bytes, as a client that is not ours sends it."""
    connection = http.client.HTTPConnection("lockgate")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(closed.paths.control_socket))
    connection.request("POST", path, body, {"Authorization": f"Bearer {closed.sessions['clara']}"})
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    if answer.status >= 400:
        raise from_wire(document)
    return document
