"""What cannot be recorded does not happen: with an audit log that takes nothing, nothing in the station changes."""

from __future__ import annotations

import ast
import base64
import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from appliance import clock
from appliance.access.first_administrator import make_code
from appliance.audit import lane as log_lanes
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.port import FileAudit, MemoryAudit
from appliance.cli.shared.first_steps import FirstSteps
from appliance.control import openapi
from appliance.control.api import CONTROL
from appliance.intake import import_job, inspection, receipts
from appliance.jobs.documents import Job
from appliance.jobs.kinds import KINDS
from appliance.lifecycle import gc
from appliance.lifecycle.restored_copy import Head, enter_heads, shut_imports
from appliance.paths import StationPaths
from appliance.store.database import open_reader, open_writer
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.registry import BumpEpoch
from appliance.store.writes.write import Guarded, LostAnswerError, Write, under_event
from bundles.errors import FailedError
from tests.control.test_openapi import serving
from tests.gates.known import harmless, load
from tests.intake.inside import Context, Inside, make_station, name_of, small_bundle

NAME = name_of()
DIGEST = f"sha256:{'5' * 64}"
CACHES = {"layers_inspected", "blobs", "jobs", "metadata_check", "commits"}
"""Tables that hold no act: what inspectors saw of a layer, bytes that nothing shows, how far jobs are, what the last
check of the metadata found, and how many commits there were."""


class FullLog:
    """An audit log on a full disk."""

    def record(self, event: AuditEvent) -> None:
        raise FailedError("the audit log cannot be written", thing=str(event.act))


CHANGES: dict[str, tuple[str, Any]] = {
    "POST /v1/accounts": ("/v1/accounts", {"name": "carla", "password": "a long enough word here"}),
    "POST /v1/accounts/{name}/password": ("/v1/accounts/anna/password", {"password": "another long enough word"}),
    "POST /v1/accounts/{name}/secret": ("/v1/accounts/robot-ci/secret", {}),
    "POST /v1/accounts/{name}/{what}": ("/v1/accounts/anna/grant", {"role": "auditor"}),
    "POST /v1/tokens/{id}/revoke": ("/v1/tokens/{secret}/revoke", {}),
    "POST /v1/jobs": ("/v1/jobs", {"kind": "gc", "params": {}}),
    "POST /v1/blocks": ("/v1/blocks", {"thing": DIGEST, "why": "bad"}),
    "DELETE /v1/blocks/{digest}": (f"/v1/blocks/sha256:{'6' * 64}", None),
    "DELETE /v1/advisories/{source}": ("/v1/advisories/osv-pypi", None),
    "POST /v1/intake/{id}/approval": (f"/v1/intake/{NAME}/approval", "approval"),
    "POST /v1/intake/{id}/release": (f"/v1/intake/{NAME}/release", {}),
    "POST /v1/intake/{id}/withdraw": (f"/v1/intake/{NAME}/withdraw", {"why": "recalled"}),
    "POST /v1/bundles/{id}/custody": (f"/v1/bundles/{NAME}/custody", {"giver": "A", "taker": "B", "medium": "usb"}),
    "POST /v1/bundles/{id}/void": ("/v1/bundles/bravo.alpha-000001/void", {"why": "lost"}),
    "POST /v1/sites": ("/v1/sites", {"site": "echo"}),
    "POST /v1/webhooks/{name}/replay": ("/v1/webhooks/deploy/replay", {}),
    "DELETE /v1/sites/{site}": ("/v1/sites/alpha", None),
    "POST /v1/streams/{stream}/reset": ("/v1/streams/alpha.bravo/reset", {"sequence": 40, "why": "new"}),
    "DELETE /v1/session": ("/v1/session", None),
    "POST /v1/streams/{stream}/override": ("/v1/streams/alpha.bravo/override", "override"),
    "POST /v1/account-changes/{id}/confirm": ("/v1/account-changes/change-1/confirm", {}),
    "POST /v1/account-changes/{id}/cancel": ("/v1/account-changes/change-1/cancel", {}),
    "POST /v1/jobs/{id}/resume": ("/v1/jobs/job-paused/resume", {}),
    "POST /v1/jobs/{id}/cancel": ("/v1/jobs/job-waiting/cancel", {}),
    "POST /v1/jobs/{id}/dismiss": ("/v1/jobs/job-failed/dismiss", {}),
}
"""A request of each route that would change something, were it recorded."""

ELSEWHERE = {
    "POST /v1/repositories/{name}/delete": "tests/control/test_repository_acts.py"
    "::test_a_deletion_that_cannot_be_recorded_deletes_nothing",
    "POST /v1/copies": "tests/control/test_repository_acts.py::test_a_copy_that_cannot_be_recorded_shows_nothing",
    "POST /v1/promotions": "tests/promotion/test_promote.py::test_a_promotion_that_cannot_be_recorded_shows_nothing",
    "POST /v1/rollbacks": "tests/promotion/test_promote.py::test_a_promotion_that_cannot_be_recorded_shows_nothing",
    "POST /v1/retirements": "tests/promotion/test_retire.py::test_a_retirement_that_cannot_be_recorded_does_not_count",
    "POST /v1/retirements/undo": "tests/promotion/test_retire.py"
    "::test_a_retirement_that_cannot_be_recorded_does_not_count",
    "POST /v1/signatures": "tests/control/test_signing.py::test_signatures_that_cannot_be_recorded_are_not_shown",
    "POST /v1/session": "tests/access/test_sessions.py::test_a_log_in_that_cannot_be_recorded_opens_no_session",
    "POST /v1/session/secret": "tests/access/test_secret_renewal.py::test_a_secret_that_cannot_be_recorded_is_not_made",
    "POST /v1/plans": "tests/control/test_recorded_elsewhere.py::test_a_plan_changes_nothing",
    "POST /v1/probe": "tests/control/test_recorded_elsewhere.py::test_a_probe_changes_nothing",
    "POST /v1/upstreams": "tests/control/test_recorded_elsewhere.py::test_a_question_for_registries_changes_nothing",
    "POST /v1/receipts": "tests/control/test_recorded_elsewhere.py"
    "::test_a_receipt_that_is_posted_is_not_taken_where_it_cannot_be_recorded",
    "POST /v1/jobs/{id}/signatures": "tests/control/test_cosigned.py"
    "::test_a_signature_that_cannot_be_recorded_is_not_taken",
    "POST /v1/tls/reload": "tests/control/test_recorded_elsewhere.py"
    "::test_a_certificate_is_not_loaded_where_it_cannot_be_recorded",
}
"""Routes that need another station than the one of this walk, and the test that walks each there."""


def unwritable(root: Path) -> FileAudit:
    """A log as the station writes it, in a folder where it really cannot: its lanes are a file."""
    folder = root / "audit"
    folder.mkdir(parents=True)
    (folder / "lanes").touch()
    return FileAudit(folder)


LOGS = {"it says no": lambda _: FullLog(), "its lanes are a file": unwritable}


OWN = "its own folder is shut"


@contextlib.contextmanager
def shut(root: Path) -> Iterator[FileAudit]:
    """A station's own log in a folder where nothing can be added, for whoever opens it from now on; its log then."""
    lanes, kept = root / "audit" / "lanes", root / "audit" / "lanes.kept"
    log_lanes._open.pop((os.getpid(), str((root / "audit").resolve())), None)  # as in a process that begins now
    if lanes.exists():
        lanes.rename(kept)
    lanes.touch()
    try:
        yield FileAudit(root / "audit")
    finally:
        lanes.unlink()
        if kept.exists():
            kept.rename(lanes)


def state_of(root: Path) -> tuple[dict[str, list[Any]], dict[str, bytes]]:
    """Every table, and every file beside the database, the audit log and what locks."""
    with contextlib.closing(open_reader(root / "metadata.sqlite")) as reader:
        names = [name for (name,) in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {
            name: sorted(reader.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in names if name not in CACHES
        }  # fmt: skip
    files = {
        str(path.relative_to(root)): path.read_bytes()
        for part in ("trust", "keys", "store", "jobs") if (root / part).exists()
        for path in sorted((root / part).rglob("*")) if path.is_file() and not path.name.endswith("lock")
    }  # fmt: skip
    return tables, files


def test_every_route_that_changes_something_is_tried(tmp_path: Path) -> None:
    with serving(tmp_path / "bravo") as (_, app):
        described = openapi.document(app)["paths"]
    changing = {
        f"{method.upper()} {path}" for path, methods in described.items() for method in methods if method != "get"
    }
    assert changing == CHANGES.keys() | ELSEWHERE.keys()


def test_every_route_that_is_not_walked_here_names_a_test_that_exists() -> None:
    for named in (*ELSEWHERE.values(), *JOBS_ELSEWHERE.values()):
        file, _, name = named.partition("::")
        assert f"def {name}(" in (Path(__file__).parents[2] / file).read_text(), named


@pytest.mark.parametrize("log", [*sorted(LOGS), OWN])
def test_no_route_acts_without_an_event(tmp_path: Path, log: str) -> None:
    root = tmp_path / "bravo"
    with Inside(root) as inside:
        key = _waiting(inside, tmp_path)
        sent = {"approval": _approval(inside, key), "override": _override(inside, key)}
        inside.decide(NAME, key)
        _other_released(inside, tmp_path)
        load(inside.writer.submit, inside.station.paths, harmless())
    with serving(root) as (base, app):
        control = app[CONTROL]
        control.callers._seen, control.callers._accounts = {}, control.accounts
        person = {"name": "anna", "password": "a long enough word"}
        for body in (person, person | {"name": "tester"}, {"name": "robot-ci", "kind": "robot"}):
            made = requests.post(f"{base}/v1/accounts", json=body, timeout=30)
            assert made.status_code == 200, made.text
        secret = made.json()["secret_id"]
        blocked = {"thing": f"sha256:{'6' * 64}", "why": "bad"}
        assert requests.post(f"{base}/v1/blocks", json=blocked, timeout=30).status_code == 201
        _change_asked_for(root)
        _failed_job(root)
        working, before = control.station, state_of(root)
        shutting = contextlib.ExitStack()
        audit = shutting.enter_context(shut(root)) if log == OWN else LOGS[log](tmp_path / "full")
        control.station = broken = replace(working, audit=audit)
        waiting = Job("job-waiting", "gc", {}, "queued", "tester", clock.now())
        paused = Job("job-paused", "gc", {}, "waiting", "tester", clock.now())
        control.jobs._live |= {waiting.id: waiting, paused.id: paused}
        control.jobs._station = broken
        for route, (path, body) in CHANGES.items():
            url = f"{base}{path.format(secret=secret)}"
            answer = requests.request(
                route.partition(" ")[0], url, json=sent.get(body, body) if isinstance(body, str) else body, timeout=30
            )
            assert answer.status_code == 409, (route, answer.status_code, answer.text)
            assert answer.json()["what"].startswith("the audit log cannot be written"), (route, answer.text)
            assert state_of(root) == before, route
        assert (waiting.state, paused.state, control.jobs._cancelled) == ("queued", "waiting", set())
        control.jobs._live.clear()
        shutting.close()
        control.station = control.jobs._station = working
        tried = CHANGES["POST /v1/intake/{id}/release"]
        assert requests.post(f"{base}{tried[0]}", json=tried[1], timeout=30).status_code == 200
        assert state_of(root) != before, "with a log that can be written the same request does it"


def _waiting(inside: Inside, tmp_path: Path) -> Any:
    made = small_bundle(tmp_path / "carried")
    inside.trust(made.key.public, owner="Builder")
    inside.bring(made.folder)
    return inside.officer("Anna")


def _approval(inside: Inside, key: Any) -> dict[str, str]:
    from appliance.intake import approvals
    from appliance.store.reads.intake import find_entry

    payload = approvals.draft(inside.station, find_entry(inside.station.reader, NAME), key.public.keyid, "approve", "")
    signed = {"payload": payload, "signature": key.sign(payload)}
    return {"keyid": key.public.keyid} | {name: base64.b64encode(data).decode() for name, data in signed.items()}


def _override(inside: Inside, key: Any) -> dict[str, str]:
    from appliance.intake import overrides

    subject = overrides.Subject("alpha.bravo", 40, "", "")
    payload = overrides.draft(inside.station, subject, key.public.keyid, "new")
    signed = {"payload": payload, "signature": key.sign(payload)}
    return {"keyid": key.public.keyid} | {name: base64.b64encode(data).decode() for name, data in signed.items()}


def _other_released(inside: Inside, tmp_path: Path) -> None:
    """Rows alone: a bundle to withdraw, and one to void."""
    with contextlib.closing(sqlite3.connect(inside.station.paths.database)) as database, database:
        database.execute(
            "INSERT INTO bundles_out (id, stream, sequence, state, job_id, created, digest) VALUES"
            " ('bravo.alpha-000001', 'bravo.alpha', 1, 'signed', 'x', '2026-01-01T00:00:00Z', ?)",
            (DIGEST,),
        )


def _change_asked_for(root: Path) -> None:
    """A row alone: a change of an account that waits for a second administrator."""
    with contextlib.closing(sqlite3.connect(root / "metadata.sqlite")) as database, database:
        database.execute(
            "INSERT INTO account_changes (id, account, what, detail, change, state, asked_by, asked, starts) VALUES"
            " ('change-1', 'tester', 'grant', '{}', '{}', 'waits', 'boss', ?1, ?1)",
            (clock.now(),),
        )


def _failed_job(root: Path) -> None:
    """A row alone: a job that went wrong."""
    with contextlib.closing(sqlite3.connect(root / "metadata.sqlite")) as database, database:
        database.execute(
            "INSERT INTO jobs (number, id, kind, params, state, phase, done, total, actor, created, error) VALUES"
            " (900, 'job-failed', 'gc', '{}', 'failed', '', 0, 0, 'tester', ?, '{}')",
            (clock.now(),),
        )


JOBS = ("import", "inspect", "receipt", "gc")
JOBS_ELSEWHERE = {
    "collect": "tests/control/test_recorded_elsewhere.py::test_nothing_is_collected_that_cannot_be_recorded",
    "build": "tests/control/test_recorded_elsewhere.py::test_no_medium_is_written_that_cannot_be_recorded",
    "recut": "tests/control/test_recorded_elsewhere.py::test_no_medium_is_cut_again_that_cannot_be_recorded",
    "advisories": "tests/control/test_recorded_elsewhere.py::test_no_advisories_are_loaded_that_cannot_be_recorded",
    "sftp-push": "tests/sftp/test_recorded.py::test_nothing_is_sent_fetched_or_looked_at_that_cannot_be_recorded",
    "sftp-pull": "tests/sftp/test_recorded.py::test_nothing_is_sent_fetched_or_looked_at_that_cannot_be_recorded",
    "sftp-list": "tests/sftp/test_recorded.py::test_nothing_is_sent_fetched_or_looked_at_that_cannot_be_recorded",
    "diode-send": "tests/diode/test_jobs.py::test_nothing_is_sent_or_delivered_that_cannot_be_recorded",
    "diode-receive": "tests/diode/test_jobs.py::test_nothing_is_sent_or_delivered_that_cannot_be_recorded",
    "warm": "tests/caching/test_warm.py::test_nothing_is_fetched_that_cannot_be_recorded",
    "replica": "tests/replication/test_follow.py::test_nothing_is_shown_or_let_go_that_cannot_be_recorded",
    "scan": "tests/control/test_recorded_elsewhere.py::test_no_image_is_scanned_that_cannot_be_recorded",
    "scrub": "tests/control/test_recorded_elsewhere.py::test_a_scrub_withdraws_nothing_that_cannot_be_recorded",
}
"""Kinds of jobs that need an outside station or a damaged store, and the test that walks each there."""


def test_every_kind_of_job_is_walked() -> None:
    assert KINDS.keys() == {*JOBS, *JOBS_ELSEWHERE}
    assert not {*JOBS} & JOBS_ELSEWHERE.keys()


@pytest.mark.parametrize("kind", JOBS)
def test_no_job_acts_without_an_event(tmp_path: Path, kind: str) -> None:
    with Inside(tmp_path / "bravo") as inside:
        made = small_bundle(tmp_path / "carried")
        inside.trust(made.key.public, owner="Builder")
        if kind == "inspect":
            inside.bring(made.folder)
            with contextlib.closing(sqlite3.connect(inside.station.paths.database)) as database, database:
                database.execute("UPDATE intake SET report_digest = NULL")  # an import that was cut off before it
        context = inside.context(
            paths=[str(made.folder)], out=str(tmp_path / "receipt"), id=NAME, collect_at_once=True
        )  # fmt: skip
        broken = Context(replace(inside.station, audit=FullLog()), context.params, context.folder, context.job_id)
        before = state_of(inside.root)
        run = {"import": import_job.run, "inspect": inspection.run, "receipt": receipts.run, "gc": gc.run}[kind]
        if kind == "gc":
            broken.params = {}
        with pytest.raises(FailedError, match="the audit log cannot be written"):
            run(broken)
        tables, files = state_of(inside.root)
        assert tables == before[0]
        assert {name for name in files if not name.startswith("jobs/")} == {
            name for name in before[1] if not name.startswith("jobs/")
        }
        assert not (tmp_path / "receipt").exists()


class Taken:
    """A writer that takes everything."""

    def __init__(self) -> None:
        self.writes: list[Write] = []

    def submit(self, write: Write) -> None:
        self.writes.append(write)


def test_a_write_without_an_event_is_not_submitted() -> None:
    taken = Taken()
    with pytest.raises(LookupError, match="Block"):
        Guarded(taken).submit(Block(digest=DIGEST, why="x", actor="x", at="x"))
    assert taken.writes == []
    with recording(MemoryAudit(), AuditEvent(Act.BLOCK, "x", DIGEST)):
        Guarded(taken).submit(Block(digest=DIGEST, why="x", actor="x", at="x"))
    assert len(taken.writes) == 1
    with pytest.raises(LookupError):
        Guarded(taken).submit(BumpEpoch())


def test_what_needs_no_event_says_why() -> None:
    with under_event():
        pass
    exempt = {write.__name__: write.unrecorded for write in Write.__subclasses__() if write.unrecorded}
    assert all(len(why) > 8 for why in exempt.values())
    assert not exempt.keys() & {"Release", "Quarantine", "Approve", "AddArtifacts", "PutManifest", "Withdraw"}


@pytest.mark.parametrize(
    ("error", "takes_back"),
    [(FailedError("full"), True), (OSError(28, "full"), True), (LostAnswerError("stopped"), False)],
)
def test_an_act_that_failed_takes_its_event_back_unless_it_may_have_happened(
    error: Exception, takes_back: bool
) -> None:
    audit = MemoryAudit()
    with pytest.raises(type(error)), recording(audit, AuditEvent(Act.BLOCK, "x", DIGEST)):
        raise error
    assert [event.outcome for event in audit.events] == ["done", "failed"]
    assert audit.events[1].detail.get("takes_back", False) is takes_back


WRITES_IN_THE_FOLDER = {
    "appliance/cli/shared/first_steps.py",
    "appliance/lifecycle/forgotten_blocks.py",
    "appliance/lifecycle/restored_copy.py",
    "appliance/lifecycle/rebuild.py",
}
"""Modules that change a station that does not run."""
WRITES_IN_THE_STORE = {
    "appliance/store/database.py",
    "appliance/store/postgres/engine.py",
    "appliance/store/writer/service.py",
}
"""The writer itself, and what opens it by the engine that a station has."""


def test_no_module_writes_to_a_database_past_the_guard() -> None:
    repository = Path(__file__).parents[2]
    bare, opened = [], set()
    for path in sorted((repository / "appliance").rglob("*.py")):
        name, tree = str(path.relative_to(repository)), ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        guarded = {id(argument) for call in calls if _called(call) == "Guarded" for argument in call.args}
        bare += [name for call in calls if _called(call) == "LocalWriter" and id(call) not in guarded]
        opened |= {name for call in calls if _called(call) == "open_writer"}
    assert bare == []
    assert opened == WRITES_IN_THE_FOLDER | WRITES_IN_THE_STORE


def _called(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


@pytest.mark.parametrize("act", ["claim", "restore inside", "restore outside"])
def test_a_stopped_station_is_not_changed_without_an_event(tmp_path: Path, act: str) -> None:
    root = tmp_path / "station"
    make_station(root, open_=False)
    code = make_code(StationPaths(root))
    open_writer(StationPaths(root).database).close()
    before = state_of(root)
    words = {
        "claim": lambda: FirstSteps(root).claim("ada", "", code, "a password of some length"),
        "restore inside": lambda: shut_imports(StationPaths(root), "tester", clock.now()),
        "restore outside": lambda: enter_heads(StationPaths(root), [Head("bravo.alpha", 1, DIGEST)]),
    }
    with shut(root), pytest.raises((FailedError, LookupError)):
        words[act]()
    assert state_of(root) == before


def test_every_process_of_a_station_writes_through_the_guard() -> None:
    for module in ("control/server.py", "jobs/runner.py", "serve/worker.py"):
        text = (Path(__file__).parents[2] / "appliance" / module).read_text()
        assert "Guarded(" in text, module
