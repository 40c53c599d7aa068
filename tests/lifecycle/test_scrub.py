"""A scrub finds what is damaged, withdraws it, names who can restore it, and goes on where it was stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.control.health import checks
from appliance.lifecycle import damage, scrub
from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.limits import lifecycle as limits
from appliance.limits import registry as registry_limits
from bundles.errors import CancelledError, IncompleteError, RefusedError, UsageError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.intake.inside import small_bundle
from tests.lifecycle.conftest import Kept

BODY = os.urandom(300_000)
DIGEST = Digest.of(BODY)


def truncate(kept: Kept) -> None:
    os.truncate(kept.paths.blob(DIGEST), 1000)


def rot(kept: Kept) -> None:
    kept.rot(DIGEST, 150_000)


def lose(kept: Kept) -> None:
    kept.paths.blob(DIGEST).unlink()


DAMAGE = {"truncated": truncate, "rotted": rot, "missing": lose}


@pytest.mark.parametrize("why", sorted(DAMAGE))
def test_damage_is_found_and_withdrawn_from_every_worker(kept: Kept, why: str) -> None:
    kept.server.push_blob("team/app", BODY)
    kept.server.push_blob("team/app", b"whole")
    DAMAGE[why](kept)
    result = kept.scrub()
    assert result["complete"]
    assert [(blob["digest"], blob["why"]) for blob in result["damaged"]] == [(str(DIGEST), why)]
    assert result["damaged"][0]["shown"] == (f"team/app@{DIGEST}",)
    for worker in kept.workers:
        for method in ("GET", "HEAD"):
            assert worker.ask(method, f"/v2/team/app/blobs/{DIGEST}").status == 404
        assert worker.ask("GET", f"/v2/team/app/blobs/{Digest.of(b'whole')}").body == b"whole"


@pytest.mark.parametrize("why", sorted(DAMAGE))
def test_pushing_it_again_heals_it(kept: Kept, why: str) -> None:
    kept.server.push_blob("team/app", BODY)
    DAMAGE[why](kept)
    kept.scrub()
    kept.server.push_blob("team/other", BODY)
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{DIGEST}").body == BODY
    again = kept.scrub()
    assert (again["complete"], again["damaged"]) == (True, [])
    kept.gc()
    assert list(kept.paths.damaged.glob("*")) == []


def test_a_manifest_that_names_a_withdrawn_blob_is_told_to_send_it_again(kept: Kept) -> None:
    content = image()
    for body in content.blobs:
        kept.server.push_blob("team/app", body)
    layer = Digest.of(content.blobs[1])
    kept.rot(layer)
    kept.scrub()
    put = ("PUT", "/v2/team/app/manifests/v1", content.manifest, {"Content-Type": content.media_type})
    refused = kept.server.ask(*put)
    assert (refused.status, refused.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    mount = kept.server.ask("POST", f"/v2/team/other/blobs/uploads/?mount={layer}&from=team/app")
    assert mount.status == 202
    kept.server.push_blob("team/app", content.blobs[1])
    assert kept.server.ask(*put).status == 201


@pytest.mark.parametrize("size", [1000, registry_limits.SMALL_BLOB, 3_000_000])
@pytest.mark.parametrize("header", [{}, {"Range": "bytes=0-99"}])
def test_before_it_is_found_a_reader_never_gets_wrong_bytes_to_their_end(
    kept: Kept, size: int, header: dict[str, str]
) -> None:
    body = os.urandom(size)
    digest = kept.server.push_blob("team/app", body)
    kept.rot(digest, 50)
    for worker in kept.workers:
        try:
            answer = worker.ask("GET", f"/v2/team/app/blobs/{digest}", headers=header)
        except (http.client.IncompleteRead, ConnectionResetError):
            continue
        assert answer.status == 404


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_what_a_reader_found_damaged_is_withdrawn_at_once_and_healed_by_a_push(kept: Kept, size: int) -> None:
    body = os.urandom(size)
    digest = kept.server.push_blob("team/app", body)
    path = f"/v2/team/app/blobs/{digest}"
    kept.rot(digest, 50)
    with contextlib.suppress(http.client.IncompleteRead, ConnectionResetError):
        kept.workers[1].ask("GET", path)
    assert [worker.ask("HEAD", path).status for worker in kept.workers] == [404, 404]
    assert [blob.why for blob in damage.damages(kept.inside.station)] == ["rotted"]
    kept.server.push_blob("team/app", body)
    assert [worker.ask("GET", path).body == body for worker in kept.workers] == [True, True]
    assert damage.damages(kept.inside.station) == []


def test_a_file_that_is_known_to_be_whole_is_looked_at_again_once_it_was_written_to(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", BODY)
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{digest}").body == BODY
    kept.rot(digest)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        kept.server.ask("GET", f"/v2/team/app/blobs/{digest}")


def bring_and_release(kept: Kept, root: Path, **changes: object) -> tuple[list[Path], str, list[Digest]]:
    made = small_bundle(root, **changes)
    kept.inside.trust(made.key.public)
    officer = kept.inside.officer()
    name = kept.inside.bring(*made.folders)["id"]
    kept.inside.decide(name, officer)
    kept.inside.release(name)
    return made.folders, name, [Digest.parse(blob.digest) for blob in made.signed.manifest.blobs]


def test_the_bundle_that_carried_it_is_named_and_heals_it(kept: Kept, tmp_path: Path) -> None:
    folders, name, blobs = bring_and_release(kept, tmp_path / "carried")
    before = kept.inside.everything()
    for digest in blobs:
        if kept.inside.station.blobs.size(digest):
            kept.rot(digest)
    damaged = kept.scrub()["damaged"]
    assert {bundle["id"] for blob in damaged for bundle in blob["bundles"]} == {name}
    assert all(blob["bundles"][0]["volumes"] and blob["bundles"][0]["media"] for blob in damaged)
    result = kept.inside.bring(*folders)
    assert (result["state"], len(result["restored"])) == ("released", len(damaged))
    assert kept.scrub()["damaged"] == []
    assert kept.inside.everything() == before, "the ledger, quarantine and what clients see are as they were"
    with pytest.raises(RefusedError, match="replay"):
        kept.inside.bring(*folders)


def test_of_a_bundle_on_several_media_only_the_needed_volume_must_come(kept: Kept, tmp_path: Path) -> None:
    folders, _, blobs = bring_and_release(kept, tmp_path / "spread", media=2)
    victim = max(blobs, key=kept.inside.station.blobs.size)
    kept.rot(victim)
    [damaged] = kept.scrub()["damaged"]
    needed = damaged["bundles"][0]["media"]
    if len(needed) < len(folders):
        absent = [folder for number, folder in enumerate(folders, 1) if number not in needed]
        with pytest.raises(IncompleteError):
            kept.inside.bring(*absent)
    present = [folder for number, folder in enumerate(folders, 1) if number in needed]
    assert kept.inside.bring(*present)["restored"] == [str(victim)]


def test_a_bundle_whose_bytes_are_wrong_restores_nothing(kept: Kept, tmp_path: Path) -> None:
    folders, _, blobs = bring_and_release(kept, tmp_path / "carried")
    victim = max(blobs, key=kept.inside.station.blobs.size)
    kept.rot(victim)
    kept.scrub()
    for volume in folders[0].glob("volumes/*.7z"):
        with volume.open("r+b") as file:
            file.seek(100)
            file.write(b"\xff\x00\xff")
    with pytest.raises(RefusedError):
        kept.inside.bring(*folders)
    assert [blob["digest"] for blob in kept.scrub()["damaged"]] == [str(victim)]


def test_a_pass_goes_on_where_its_time_ended(kept: Kept) -> None:
    for number in range(5):
        kept.server.push_blob("team/app", os.urandom(100_000) + bytes([number]))
    seen = []
    while not (result := kept.scrub(budget=1e-6))["complete"]:
        seen.append(result["blobs"])
    assert seen == [1, 2, 3, 4]
    assert result["blobs"] == 5
    assert kept.scrub()["blobs"] == 5, "the next one begins anew"


def test_a_pass_goes_on_where_it_was_cancelled(kept: Kept) -> None:
    for number in range(4):
        kept.server.push_blob("team/app", os.urandom(1000) + bytes([number]))
    reads = iter(range(100))

    def cancel(*_: object) -> None:
        if next(reads) == 2:
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        scrub.run(kept.context(cancel))
    on = kept.inside.context()
    assert scrub.run(on)["blobs"] == 4
    assert "after 2 blobs" in on.lines[0]
    assert kept.scrub(restart=True)["blobs"] == 4


@pytest.mark.parametrize("budget", [0, -1, "1m", True])
def test_a_budget_is_a_number_of_seconds(kept: Kept, budget: object) -> None:
    with pytest.raises(UsageError):
        kept.scrub(budget=budget)


def test_what_was_healed_while_it_was_read_is_not_withdrawn(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.server.push_blob("team/app", BODY)
    rot(kept)
    look: Callable[..., object] = BlobExaminer.look

    def and_push(self: BlobExaminer, *args: object) -> object:
        looked = look(self, *args)
        kept.server.push_blob("team/app", BODY)
        return looked

    monkeypatch.setattr(BlobExaminer, "look", and_push)
    assert kept.scrub()["damaged"] == []
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{DIGEST}").body == BODY


def test_damage_is_an_alert_and_in_the_audit_log_until_it_is_healed(kept: Kept) -> None:
    kept.server.push_blob("team/app", BODY)
    rot(kept)
    kept.scrub()
    assert [check["ok"] for check in checks(kept.inside.station) if check["name"] == "store"] == [False]
    assert [event["thing"] for event in kept.inside.events("withdraw-damaged")] == [str(DIGEST)]
    kept.server.push_blob("team/app", BODY)
    assert [check["ok"] for check in checks(kept.inside.station) if check["name"] == "store"] == [True]


CHANGED = {
    "media_type": "application/vnd.docker.distribution.manifest.v2+json",
    "artifact_type": "application/spdx+json",
    "subject": str(Digest.of(b"another")),
    "size": 7,
    "annotations": '{"a": "b"}',
}


@pytest.mark.parametrize("field", CHANGED)
def test_what_the_database_says_of_a_manifest_is_held_against_its_bytes(kept: Kept, field: str) -> None:
    digest = image(annotations={"real": "yes"}).push(kept.server, "team/app", "1")
    before = kept.server.ask("GET", "/v2/team/app/manifests/1")
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as db, db:
        db.execute(f"UPDATE manifests SET {field} = ?, checksum = NULL WHERE digest = ?", (CHANGED[field], str(digest)))
    for method in ("GET", "HEAD"):  # served is what the bytes say, from each worker that has not read them before
        answer = kept.workers[-1].ask(method, "/v2/team/app/manifests/1")
        for header in ("Content-Type", "Content-Length"):
            assert answer.headers[header] == before.headers[header]
    result = kept.scrub()
    assert result["described"] == [{"digest": str(digest), "fields": [field]}]
    assert (kept.scrub()["described"], result["damaged"]) == ([], [])
    log = "".join(path.read_text() for path in kept.paths.audit.rglob("*.jsonl"))
    assert log.count('"act":"describe-manifest"') == 1


def test_a_manifest_that_comes_again_makes_its_row_anew(kept: Kept) -> None:
    pushed = image(annotations={"real": "yes"})
    digest = pushed.push(kept.server, "team/app", "1")
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as db, db:
        db.execute("UPDATE manifests SET subject = ?, annotations = '{}', checksum = NULL", (CHANGED["subject"],))
    pushed.push(kept.server, "team/other", "1")
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as db:
        row = db.execute("SELECT subject, annotations FROM manifests WHERE digest = ?", (str(digest),)).fetchone()
    assert row == (None, '{"real": "yes"}')


def test_a_budget_bounds_the_looks_before_the_pass_too_and_the_pass_goes_on(kept: Kept) -> None:
    """A withdrawn blob that takes longer to look at than the budget lasts; the store comes to its end all the same."""
    digest = kept.server.push_blob("team/app", bytes(3 << 20))
    others = [kept.server.push_blob("team/app", b"%d" % number) for number in range(3)]
    kept.rot(digest)
    assert len(kept.scrub()["damaged"]) == 1
    runs = 0
    complete = False
    while not complete:
        context = kept.inside.context(budget=1e-6)
        complete = scrub.run(context)["complete"]
        assert any("not all that is withdrawn" in line for line in context.lines)
        runs += 1
    assert runs <= len(others) + 2


def test_a_budget_bounds_the_check_of_the_metadata(kept: Kept) -> None:
    kept.server.push_blob("team/app", b"read all the same")
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as database, database:
        database.executemany("INSERT INTO blocks VALUES (?, '', '', '')", [(str(n),) for n in range(20_000)])
    context = kept.inside.context(budget=1e-6)
    result = scrub.run(context)
    assert result["metadata"]["state"] == "unchecked"
    assert result["blobs"] == 1
    assert kept.scrub(budget=60)["metadata"]["state"] == "ok"


@pytest.mark.parametrize("put", ["pipe", "folder", "folder with content", "link", "socket"])
def test_what_is_no_file_in_a_blobs_place_hangs_nobody_and_a_push_replaces_it(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: str
) -> None:
    """A pipe gives no bytes and no end, and no file is renamed over a folder."""
    monkeypatch.setattr(limits, "UNREADABLE_WAITS", ())
    content = image()
    content.push(kept.server, "team/app", "v1")
    layer, path = Digest.of(content.blobs[-1]), kept.paths.blob(Digest.of(content.blobs[-1]))
    path.unlink()
    with contextlib.ExitStack() as held:
        if put == "pipe":
            os.mkfifo(path)
        elif put == "link":
            path.symlink_to(tmp_path)
        elif put == "socket":
            held.enter_context(socket.socket(socket.AF_UNIX)).bind(_short(held, path))
        else:
            path.mkdir()
            if "content" in put:
                (path / "kept").write_bytes(b"whoever put it there")
        for worker in kept.workers:
            assert worker.ask("GET", f"/v2/team/app/blobs/{layer}").status == 503
            assert worker.ask("HEAD", f"/v2/team/app/blobs/{layer}").status == 404
        result = kept.scrub()
        assert [blob["digest"] for blob in result["unread"]] == [str(layer)]
        assert result["damaged"] == []
        kept.gc(now=True)
        content.push(kept.server, "team/app", "v1")
        assert kept.server.ask("GET", f"/v2/team/app/blobs/{layer}").body == content.blobs[-1]
        assert kept.scrub(restart=True)["unread"] == []
    assert len([*kept.paths.damaged.glob("*/kept")]) == int("content" in put), "nothing of it is lost"
    kept.gc(now=True)


def _short(held: contextlib.ExitStack, path: Path) -> str:
    """A name of a path that fits into a socket's address."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    held.callback(os.close, folder)
    return f"/proc/self/fd/{folder}/{path.name}"


def test_pushes_go_on_where_the_folder_of_uploads_went(kept: Kept) -> None:
    shutil.rmtree(kept.paths.uploads)
    content = image()
    content.push(kept.server, "team/app", "v1")
    assert kept.server.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest
