"""A released tag points where its release put it: clients cannot move it, and whoever moves it by hand is named."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import sqlite3
import ssl
from typing import Any

import pytest

from bundles.oci.digest import Digest
from tests.bundles.small import MemoryStore, file_artifact
from tests.conformance.shapes import image
from tests.release.closed import Closed


def released(closed: Closed, **changes: Any) -> tuple[str, str, str]:
    """A bundle that two officers released: its id, a reference it shows, and that one's digest."""
    name = closed.brought(**changes)
    closed.approve("anna", name)
    closed.approve("boris", name)
    reference = closed.release("clara", name)[0]
    repository, _, tag = reference.rpartition(":")
    with contextlib.closing(sqlite3.connect(closed.paths.database)) as reader:
        row = reader.execute(
            "SELECT t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = ? AND t.tag = ?",
            (repository, tag),
        ).fetchone()
    return name, reference, row[0]


def robot(closed: Closed, name: str, role: str) -> dict[str, str]:
    """What an administrator alone can make: a robot with a role on everything. Its credentials as a header."""
    made = closed.ask("ada", "POST", "/v1/accounts", {"name": name, "kind": "robot", "days": 1})
    closed.ask("ada", "POST", f"/v1/accounts/{name}/grant", {"role": role, "pattern": "**"})
    sent = base64.b64encode(f"{name}:{made['secret']}".encode()).decode()
    return {"Authorization": f"Basic {sent}"}


def send(closed: Closed, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(closed.root / "tls/ca.pem"))
    connection = http.client.HTTPSConnection("localhost", closed.port, context=context, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def check(closed: Closed) -> list[dict[str, str]]:
    return [one for one in closed.ask("vera", "GET", "/v1/releases/check")["items"] if one["kind"] == "tag"]


def move(closed: Closed, reference: str, digest: str | None) -> None:
    """Somebody with sqlite3 at the database."""
    repository, _, tag = reference.rpartition(":")
    with contextlib.closing(sqlite3.connect(closed.paths.database, timeout=30)) as db, db:
        number = db.execute("SELECT id FROM repositories WHERE name = ?", (repository,)).fetchone()[0]
        if digest is None:
            db.execute("DELETE FROM tags WHERE repository_id = ? AND tag = ?", (number, tag))
        else:
            db.execute("UPDATE tags SET digest = ? WHERE repository_id = ? AND tag = ?", (digest, number, tag))


def put_back(closed: Closed, reference: str, digest: str) -> None:
    repository, _, tag = reference.rpartition(":")
    with contextlib.closing(sqlite3.connect(closed.paths.database, timeout=30)) as db, db:
        db.execute(
            "INSERT OR REPLACE INTO tags (repository_id, tag, digest, updated)"
            " SELECT id, ?, ?, '2026-01-01T00:00:00Z' FROM repositories WHERE name = ?",
            (tag, digest, repository),
        )


def test_a_robot_that_an_administrator_made_replaces_no_released_tag(closed: Closed) -> None:
    _, reference, digest = released(closed)
    repository, _, tag = reference.rpartition(":")
    headers = robot(closed, "robot-mover", "maintainer")
    content = image()
    for body in content.blobs:
        path = f"/v2/{repository}/blobs/uploads/?digest={Digest.of(body)}"
        assert send(closed, "POST", path, body, headers)[0] == 403
    kind = headers | {"Content-Type": content.media_type}
    path = f"/v2/{repository}/manifests/{tag}"
    status, answer = send(closed, "PUT", path, content.manifest, kind)
    assert (status, json.loads(answer)["errors"][0]["code"]) == (403, "DENIED")
    assert send(closed, "DELETE", path, None, headers)[0] == 403
    assert send(closed, "PUT", "/v2/new/app/manifests/1", content.manifest, kind)[0] == 403
    assert Digest.of(send(closed, "GET", path, None, headers)[1]) == Digest.parse(digest)
    assert check(closed) == []


def test_a_collector_brings_nothing_into_an_inside_by_another_door(closed: Closed) -> None:
    _, reference, _ = released(closed)
    closed.ask("ada", "POST", "/v1/accounts", {"name": "cole", "password": "a password of some length"})
    closed.ask("ada", "POST", "/v1/accounts/cole/grant", {"role": "collector", "pattern": "**"})
    other = closed.folder / "other.txt"
    other.write_text("something else\n")
    for target in (reference, "new/app:1"):
        source = {"kind": "file", "path": str(other), "as": target}
        assert closed.job("cole", "collect", sources=[source])["state"] == "refused"
    assert check(closed) == []


@pytest.mark.parametrize("how", ["elsewhere", "away"])
def test_a_tag_that_was_moved_by_hand_is_named_with_its_bundle(closed: Closed, how: str) -> None:
    name, reference, digest = released(closed)
    _, _, other = released(closed)
    repository, _, tag = reference.rpartition(":")
    move(closed, reference, other if how == "elsewhere" else None)
    (found,) = check(closed)
    assert (found["bundle"], found["repository"], found["tag"], found["digest"]) == (name, repository, tag, digest)
    said = closed.cli("vera", "intake", "check", expect=3)
    assert reference in said.stderr
    assert name in said.stderr
    alerts = closed.ask("vera", "GET", "/v1/status")["alerts"]
    assert [text for text in alerts if reference in text and name in text]
    put_back(closed, reference, digest)
    assert check(closed) == []
    assert "[ok]" in closed.cli("vera", "intake", "check").stdout


def twice(closed: Closed) -> tuple[list[str], str, list[str]]:
    """Two bundles of one source that put one tag at two digests, released one after the other: ids, the reference,
    digests."""
    names, digests = [], []
    follows: dict[str, Any] = {}
    repository = f"files/twice{closed.bundles}"
    # Each bundle is of a source of its own; a tag is moved by another source only where the policy names it.
    sites = [f"site{closed.bundles + number}" for number in range(4)]
    closed.paths.approvals.write_text(
        "".join(f'[[sources]]\nsite = "{site}"\nrepositories = ["**"]\n' for site in sites)
    )
    for number in (1, 2):
        store = MemoryStore()
        artifacts = [file_artifact(store, f"content {closed.bundles}\n".encode(), repository)]
        made = closed.carried_of(store, artifacts, **follows)
        follows = {"stream": made.signed.manifest.stream, "sequence": 2, "previous": made.digest}
        assert closed.job("carl", "import", paths=[str(made.folder)])["state"] == "done"
        name = str(made.signed.manifest.id)
        closed.approve("anna", name)
        closed.approve("boris", name)
        (reference,) = closed.release("clara", name)
        names.append(name)
        digests.append(artifacts[0].digest)
        assert number == len(set(digests))
    closed.paths.approvals.unlink()
    return names, reference, digests


def test_a_later_release_and_a_withdrawal_move_a_tag_rightly(closed: Closed) -> None:
    (_, later), reference, (first, second) = twice(closed)
    assert check(closed) == []
    move(closed, reference, first)
    assert [one["bundle"] for one in check(closed)] == [later]
    move(closed, reference, second)
    closed.ask("clara", "POST", f"/v1/intake/{later}/withdraw", {"why": "recalled"})
    assert check(closed) == []


def test_after_a_withdrawal_the_tag_points_at_what_still_counts(closed: Closed) -> None:
    (older, later), reference, (first, _) = twice(closed)
    _, _, other = released(closed)
    closed.ask("clara", "POST", f"/v1/intake/{later}/withdraw", {"why": "recalled"})
    move(closed, reference, other)
    assert [(one["bundle"], one["digest"]) for one in check(closed)] == [(older, first)]
    move(closed, reference, first)
    assert check(closed) == []
