"""The audit log: what it keeps whatever happens to its writers, and that no change in it goes unseen."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import Act, read_act
from appliance.audit.checkpoints import checkpoint, last_checkpoint
from appliance.audit.folder_acts import recorded
from appliance.audit.port import FileAudit
from appliance.audit.query import Query, find_events
from appliance.audit.reading import newest, tail
from appliance.limits import audit as limits
from appliance.paths import StationPaths
from bundles.documents.audit_log import line_of, verify
from bundles.errors import FailedError, UsageError
from bundles.signing.keys import create_private, load_public, save_private
from tests.observe.station import SITE, act, fill, findings, lane, lines, look, make


def test_a_log_that_nobody_touched_verifies(paths: StationPaths) -> None:
    fill(paths, 5)
    head = checkpoint(paths)
    found = look(paths, head)
    assert (found.findings, found.events, found.covered, found.head) == ([], 5, 5, head)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda all_: [*all_[:2], all_[2].replace(b"operator", b"nobody11"), *all_[3:]], id="edited"),
        pytest.param(lambda all_: [all_[0].replace(b"operator", b"nobody11"), *all_[1:]], id="the first edited"),
        pytest.param(lambda all_: [*all_[:-1], all_[-1].replace(b"operator", b"nobody11")], id="the last edited"),
        pytest.param(lambda all_: [*all_[:2], *all_[3:]], id="removed"),
        pytest.param(lambda all_: all_[1:], id="the first removed"),
        pytest.param(lambda all_: [*all_[:2], all_[1], *all_[2:]], id="inserted"),
        pytest.param(lambda all_: [all_[0], all_[2], all_[1], *all_[3:]], id="reordered"),
        pytest.param(lambda all_: all_[:-1], id="the end cut"),
        pytest.param(lambda all_: [*all_[:-1], all_[-1][:-1]], id="the last line cut"),
        pytest.param(lambda all_: [*all_[:2], b"{}\n", *all_[3:]], id="not an event"),
        pytest.param(
            lambda all_: [*all_[:2], all_[2].replace(b'":', b'": ', 1), *all_[3:]], id="the same in other bytes"
        ),
        pytest.param(lambda all_: [], id="emptied"),
    ],
)
def test_a_change_is_found(paths: StationPaths, change: Callable[[list[bytes]], list[bytes]]) -> None:
    fill(paths, 6)
    checkpoint(paths)
    whole = lines(lane(paths))
    lane(paths).write_bytes(b"".join(change(whole)))
    assert lines(lane(paths)) != whole
    assert findings(paths)


def test_a_lane_that_is_rewritten_whole_with_a_good_chain_is_found(paths: StationPaths, tmp_path: Path) -> None:
    fill(paths, 6)
    checkpoint(paths)
    other = make(tmp_path / "other")
    audit = FileAudit(other.audit)
    for number in range(1, 7):
        act(audit, number, actor="somebody(2)")
    shutil.copy(lane(other), lane(paths))
    assert any("is not the one checkpoint 1 saw" in text for text in findings(paths))


def test_a_lane_that_is_taken_away_whole_is_found(paths: StationPaths) -> None:
    first, second = FileAudit(paths.audit), paths.audit
    act(first, 1)
    done = multiprocessing.get_context("fork").Process(target=lambda: act(FileAudit(second), 2))
    done.start()
    done.join()
    checkpoint(paths)
    assert findings(paths) == []
    lane(paths, 2).unlink()
    assert any("its end was cut" in text for text in findings(paths))


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_checkpoint_that_is_edited_or_taken_away_is_found(paths: StationPaths, place: str) -> None:
    audit = FileAudit(paths.audit)
    heads = []
    for number in range(1, 5):
        act(audit, number)
        heads.append(checkpoint(paths))
    file = paths.audit / "checkpoints.jsonl"
    whole = lines(file)
    at = {"first": 0, "middle": 2, "last": 3}[place]
    file.write_bytes(b"".join([*whole[:at], *whole[at + 1 :]]))
    assert findings(paths, heads[-1])
    file.write_bytes(b"".join([*whole[:at], whole[at].replace(b'"seq":', b'"seq":1'), *whole[at + 1 :]]))
    assert findings(paths)


def test_a_log_cut_together_with_its_checkpoints_does_not_hold_the_head_that_was_written_down(
    paths: StationPaths,
) -> None:
    audit = fill(paths, 3)
    checkpoint(paths)
    before = {file: file.read_bytes() for file in (lane(paths), paths.audit / "checkpoints.jsonl")}
    act(audit, 4, act="intake.release")
    head = checkpoint(paths)
    for file, data in before.items():
        file.write_bytes(data)
    assert findings(paths) == []
    assert any("end was cut" in text for text in findings(paths, head))


def test_checkpoints_by_another_key_are_found(paths: StationPaths) -> None:
    fill(paths, 3)
    mine = (paths.keys / "audit.pub.pem").read_bytes()
    for file in paths.keys.iterdir():
        file.unlink()
    save_private(paths.keys / "audit.pem", create_private(), None)
    checkpoint(paths)
    (paths.keys / "audit.pub.pem").write_bytes(mine)
    assert any("signature does not hold" in text for text in findings(paths))


def test_where_nothing_was_added_the_head_stays(paths: StationPaths) -> None:
    audit = fill(paths, 1)
    head = checkpoint(paths)
    assert checkpoint(paths) == head
    act(audit, 2)
    assert checkpoint(paths) != head


def test_a_head_that_is_none_is_a_slip_of_the_pen(paths: StationPaths) -> None:
    with pytest.raises(UsageError, match="not a head"):
        look(paths, "3-abc")


def test_threads_and_processes_write_at_once_and_every_chain_holds(paths: StationPaths) -> None:
    def write(number: int) -> None:
        audit = FileAudit(paths.audit)
        threads = [
            threading.Thread(
                target=lambda each: [act(audit, number * 1000 + each * 20 + n) for n in range(20)], args=(t,)
            )
            for t in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    workers = [multiprocessing.get_context("fork").Process(target=write, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    checkpoint(paths)
    found = look(paths)
    assert (found.findings, found.events) == ([], 240)
    assert len({event["thing"] for event in newest(paths.audit)}) == 240


_VICTIM = """
import sys
from pathlib import Path
from appliance.audit.port import AuditEvent, FileAudit
audit = FileAudit(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    audit.record(AuditEvent("push", "client", str(number), "done", {"pad": "x" * 2000}))
    print(number, flush=True)
"""


def test_what_was_recorded_outlives_a_kill_and_the_chain_goes_on(paths: StationPaths) -> None:
    for _ in range(3):
        victim = subprocess.Popen([sys.executable, "-c", _VICTIM, str(paths.audit)], stdout=subprocess.PIPE, text=True)
        assert victim.stdout is not None
        told = [victim.stdout.readline() for _ in range(15)][-1]
        victim.send_signal(signal.SIGKILL)
        rest = victim.stdout.read().split()
        victim.wait()
        kept = [int(event["thing"]) for event in tail(paths.audit, 10_000) if event["act"] == "push"]
        assert int(rest[-1] if rest else told) in kept[-2:]
    act(FileAudit(paths.audit), 1)
    checkpoint(paths)
    assert findings(paths) == []
    assert not lane(paths, 2).exists()


def test_what_a_power_cut_left_of_an_event_is_cut_off_and_said(paths: StationPaths) -> None:
    audit = fill(paths, 3)
    del audit
    with lane(paths).open("ab") as file:
        file.write(b'{"act":"intake.rel')
    act(FileAudit(paths.audit), 4)
    checkpoint(paths)
    assert findings(paths) == []
    assert [event["act"] for event in tail(paths.audit, 2)] == ["audit.repair", "intake.import"]


def test_a_full_disk_stops_the_act_and_leaves_the_log_whole(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = fill(paths, 2)
    real = os.write
    with monkeypatch.context() as patch:
        calls: list[int] = []

        def short(descriptor: int, data: bytes) -> int:
            calls.append(1)
            if len(calls) > 1:
                raise OSError(28, "No space left on device")
            return real(descriptor, bytes(data)[:20])

        patch.setattr(os, "write", short)
        with pytest.raises(FailedError, match="cannot be written"):
            act(audit, 3)
    act(audit, 4)
    checkpoint(paths)
    assert (findings(paths), [event["thing"][-1] for event in tail(paths.audit, 9)]) == ([], ["1", "2", "4"])


def test_a_damaged_lane_is_not_written_behind(paths: StationPaths) -> None:
    fill(paths, 2)
    lane(paths).write_bytes(b"not an event\n")
    with pytest.raises(FailedError, match="audit log is damaged"):
        act(FileAudit(paths.audit), 3)


def test_a_flood_of_one_refusal_is_counted_and_nothing_else_is_lost(paths: StationPaths) -> None:
    audit = FileAudit(paths.audit)
    for _ in range(2_500):
        act(audit, 1, outcome="refused", detail={"reason": "no"})
    act(audit, 2, outcome="refused", detail={"reason": "another"})
    audit.close()
    events = tail(paths.audit, 10_000)
    assert len(events) < 20
    counted = sum(event["detail"].get("repeated", 1) for event in events if event["thing"].endswith("1"))
    assert (counted, events[-2]["detail"]["reason"]) == (2_500, "another")


def test_a_refusal_that_takes_back_an_act_is_never_only_counted(paths: StationPaths) -> None:
    audit = FileAudit(paths.audit)
    for _ in range(30):
        act(audit, 1)
        act(audit, 1, outcome="refused", detail={"reason": "no"})
    assert [event["outcome"] for event in tail(paths.audit, 100)] == ["done", "refused"] * 30


def test_lanes_rotate_and_the_chain_goes_through(paths: StationPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    fill(paths, 30)
    checkpoint(paths)
    assert lane(paths, 1, 4).exists()
    assert (findings(paths), look(paths).events) == ([], 30)
    lane(paths, 1, 2).unlink()
    assert any("was removed" in text for text in findings(paths))


def test_events_behind_the_last_checkpoint_are_counted(paths: StationPaths) -> None:
    audit = fill(paths, 3)
    checkpoint(paths)
    assert look(paths).uncovered == 0
    act(audit, 4)
    act(audit, 5)
    assert (look(paths).uncovered, look(paths).findings) == (2, [])


def test_a_lane_that_claims_to_be_older_than_a_checkpoint_that_does_not_know_it_is_found(paths: StationPaths) -> None:
    fill(paths, 3)
    checkpoint(paths)
    made_up = json.loads(lines(lane(paths))[0]) | {"lane": 2, "time": "2020-01-01T00:00:00Z"}
    lane(paths, 2).write_bytes(line_of(made_up))
    assert any("no checkpoint since knows it" in text for text in findings(paths))


COVERED_ACTS = ["intake.import", "intake.approve", "intake.release", "key.revoke", "account.grant", "audit.prune"]


@pytest.mark.parametrize("name", COVERED_ACTS)
def test_a_log_that_is_cut_behind_an_act_that_matters_is_found_at_once(paths: StationPaths, name: str) -> None:
    fill(paths, 2)
    checkpoint(paths)
    with recorded(paths.root, read_act(name), "alpha.bravo-000001", {}):  # type: ignore[arg-type]
        pass
    assert look(paths).uncovered == 0
    lane(paths).write_bytes(b"".join(lines(lane(paths))[:-1]))
    assert any("its end was cut" in text for text in findings(paths))


def test_a_clients_request_costs_no_checkpoint(paths: StationPaths) -> None:
    fill(paths, 2)
    head = checkpoint(paths)
    for name in (Act.PUSH_BLOB, Act.PUSH_MANIFEST, Act.PULL, Act.TOKEN_LOGIN):
        with recorded(paths.root, name, "team/app", {}):
            pass
    assert (last_checkpoint(paths.audit)["head"], look(paths).uncovered) == (head, 4)


def test_an_act_whose_checkpoint_cannot_be_signed_has_happened(
    paths: StationPaths, caplog: pytest.LogCaptureFixture
) -> None:
    fill(paths, 2)
    (paths.audit / "checkpoints.jsonl").write_bytes(b"{}\n")
    with recorded(paths.root, Act.KEY_REVOKE, "0" * 16, {}):
        pass
    assert "no checkpoint could be signed" in caplog.text
    assert tail(paths.audit, 1)[0]["outcome"] == "done"


def test_a_checkpoint_that_a_power_cut_left_in_part_is_written_over(paths: StationPaths) -> None:
    audit = fill(paths, 2)
    checkpoint(paths)
    with (paths.audit / "checkpoints.jsonl").open("ab") as file:
        file.write(b'{"checkpoint":{"created"')
    act(audit, 3)
    head = checkpoint(paths)
    assert (head.partition("-")[0], findings(paths, head)) == ("2", [])


@pytest.mark.parametrize(
    "name", ["lanes/01.000001.jsonl.old", "lanes/notes", "lanes/1.1.jsonl", "lanes/.01.000009.jsonl"]
)
def test_a_stray_file_is_found(paths: StationPaths, name: str) -> None:
    fill(paths, 2)
    checkpoint(paths)
    assert findings(paths) == []
    (paths.audit / name).write_bytes(b"")
    assert findings(paths) == [f"{name}: a file that is no part of the log"]


@pytest.mark.parametrize("name", ["notes", "checkpoints.jsonl.old", ".hidden", "lanes2"])
def test_a_stray_file_beside_the_lanes_of_a_live_log_is_found(paths: StationPaths, name: str) -> None:
    fill(paths, 2)
    checkpoint(paths)
    key = load_public(paths.keys / "audit.pub.pem")
    assert verify(paths.audit, key, SITE, live=True).findings == []
    (paths.audit / name).write_bytes(b"")
    found = verify(paths.audit, key, SITE, live=True).findings
    assert [each.text() for each in found] == [f"{name}: a file that is no part of the log"]


def test_events_are_found_by_what_they_are(paths: StationPaths) -> None:
    audit = fill(paths, 4)
    act(audit, 5, act="intake.release", outcome="refused", actor="anna", detail={"reason": "too few"})
    checks = {
        5: Query(act="intake."), 1: Query(act="intake.rel"), 0: Query(until="2020-01-01"),
    }  # fmt: skip
    for count, query in checks.items():
        assert len(find_events(paths.audit, 100, query)[0]) == count
    for query in (
        Query(actor="anna"),
        Query(outcome="refused"),
        Query(text="too few"),
        Query(thing="alpha.bravo-000005"),
    ):
        assert [event["actor"] for event in find_events(paths.audit, 100, query)[0]] == ["anna"]
    assert len(find_events(paths.audit, 2, Query())[0]) == 2


def test_pages_lead_to_the_oldest_event_and_show_each_once(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_process() -> None:
        act(FileAudit(paths.audit), 100)

    audit = fill(paths, 7)
    done = multiprocessing.get_context("fork").Process(target=other_process)
    done.start()
    done.join()
    with monkeypatch.context() as patch:
        patch.setattr(clock, "micros", lambda: 1)  # a clock that was set back
        act(audit, 8)
    pages, after = [], ""
    while True:
        found, after = find_events(paths.audit, 3, Query(act="intake."), after)
        pages.append([event["thing"] for event in found])
        if not after:
            break
        act(audit, 9)  # what happens meanwhile is on no later page
    shown = [thing for one in pages for thing in one]
    assert sorted(shown) == sorted({*(f"alpha.bravo-{n:06}" for n in range(1, 9)), "alpha.bravo-000100"})
    assert [len(one) for one in pages] == [3, 3, 3]


def test_a_place_in_the_log_that_is_none_is_refused(paths: StationPaths) -> None:
    with pytest.raises(UsageError, match="not a place"):
        find_events(paths.audit, 3, Query(), "x")


def test_the_last_head_is_read_from_the_end(paths: StationPaths) -> None:
    assert last_checkpoint(paths.audit)["head"] == ""
    audit = fill(paths, 3)
    for number in range(4, 7):
        head = checkpoint(paths)
        assert (last_checkpoint(paths.audit)["head"], last_checkpoint(paths.audit)["events"]) == (head, number - 1)
        act(audit, number)
    with (paths.audit / "checkpoints.jsonl").open("ab") as file:
        file.write(b"{}\n")
    assert last_checkpoint(paths.audit)["head"] == ""


def test_an_event_holds_whatever_a_client_can_make_it_hold(paths: StationPaths) -> None:
    audit = FileAudit(paths.audit)
    act(audit, 1, thing="a\nb\u202e\x00\udc80", detail={"x": object, "y": 1.5})
    checkpoint(paths)
    assert findings(paths) == []
