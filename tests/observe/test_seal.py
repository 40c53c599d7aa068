"""Who wrote an event: what somebody puts into the log without the station's audit key is never signed, and is named."""

from __future__ import annotations

import base64
import hmac
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.checkpoints import checkpoint, last_checkpoint, standing_of, verify_log
from appliance.audit.port import FileAudit
from appliance.audit.reading import newest, own_events, tail
from appliance.cli.station.init import init
from appliance.limits import audit as limits
from appliance.paths import StationPaths
from bundles import limits as bundle_limits
from bundles.documents.audit_checkpoint import read_checkpoint
from bundles.documents.audit_findings import BROKEN, GENESIS, MAC_MISSING, MAC_WRONG, REFUSED, SEAL_LOST
from bundles.documents.audit_log import hash_of, line_of
from bundles.documents.audit_seal import MAC, mac_key, read_sealed, seal
from bundles.errors import FailedError, RefusedError
from bundles.io import strict_json
from bundles.signing.keys import create_private, load_private, load_public, save_private
from bundles.signing.rotation import Rotation
from tests.observe.station import SITE, act, as_earlier_version, findings, look, make, sealed_line

CHECKPOINTS = "checkpoints.jsonl"


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    """A station whose log holds three signed events in lane 1."""
    paths = make(tmp_path / "bravo")
    write(paths, 3)
    checkpoint(paths)
    return paths


def write(paths: StationPaths, count: int, first: int = 1) -> None:
    """Record so many events in a process of its own, as commands do."""

    def record() -> None:
        audit = FileAudit(paths.audit)
        for number in range(first, first + count):
            act(audit, number)

    process = multiprocessing.get_context("fork").Process(target=record)
    process.start()
    process.join()
    assert process.exitcode == 0


def lane(paths: StationPaths, number: int = 1, segment: int = 1) -> Path:
    return paths.audit / "lanes" / f"{number:02}.{segment:06}.jsonl"


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def made_up(number: int, seq: int, prev: str, **changes: Any) -> bytes:
    """An event by somebody who knows the format and the time, and not the key."""
    fields = {
        "act": "intake.release", "actor": "mallory(0)", "thing": "alpha.bravo-000009", "outcome": "done",
        "detail": {"digest": "sha256:" + "0" * 64}, "time": clock.now(), "micros": clock.micros(), "pid": 1,
        "lane": number, "seq": seq, "prev": prev,
    }  # fmt: skip
    return line_of(fields | changes)


def codes(paths: StationPaths) -> set[tuple[str, int, str]]:
    """What the station finds, but for what a checkpoint says that it refused."""
    found = verify_log(paths, SITE).findings
    return {(each.code, each.line, each.file) for each in found if each.code != REFUSED}


def signed(paths: StationPaths) -> dict[int, int]:
    """The last event of each lane that the last checkpoint signs."""
    line = lines(paths.audit / CHECKPOINTS)[-1]
    made = read_checkpoint(line, [load_public(paths.keys / "audit.pub.pem")], SITE)
    return {lane.lane: lane.seq for lane in made.lanes}


def refused(paths: StationPaths) -> list[tuple[int, int, str]]:
    return [(lane["lane"], lane["seq"], lane["code"]) for lane in last_checkpoint(paths.audit)["refused"]]


def test_an_events_mac_is_an_hmac_under_a_key_derived_from_the_audit_key(paths: StationPaths) -> None:
    line = lines(lane(paths))[0]
    fields = json.loads(line)
    private = load_private(paths.keys / "audit.pem", None)._key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    secret = private.private_numbers().private_value.to_bytes(32, "big")
    key = HKDF(hashes.SHA256(), length=32, salt=None, info=b"lockgate audit event mac v1").derive(secret)
    bare = line_of({name: said for name, said in fields.items() if name != MAC})
    assert fields[MAC] == hmac.digest(key, bare, "sha256").hex()
    assert key == mac_key(load_private(paths.keys / "audit.pem", None))


@pytest.mark.parametrize("number", [0, 2, 7, 99])
def test_a_lane_of_ones_own_is_never_signed(paths: StationPaths, number: int) -> None:
    first = made_up(number, 1, GENESIS)
    lane(paths, number).write_bytes(first + made_up(number, 2, hash_of(first)))
    name = lane(paths, number).name
    for _ in range(2):
        assert {(MAC_MISSING, 1, name), (MAC_MISSING, 2, name)} <= codes(paths)
        checkpoint(paths)
        assert (signed(paths), refused(paths)) == ({1: 3}, [(number, 0, MAC_MISSING)])
    assert any(each.code == REFUSED for each in look(paths).findings), "the public key alone tells that it is refused"
    write(paths, 1)
    checkpoint(paths)
    assert signed(paths)[1] == 4, "other lanes are signed as ever"


def _missing(paths: StationPaths, line: bytes) -> bytes:
    return line


def _by_another_key(paths: StationPaths, line: bytes) -> bytes:
    return seal(line, mac_key(create_private()))


def _of_another_event(paths: StationPaths, line: bytes) -> bytes:
    return line_of(json.loads(line) | {MAC: json.loads(lines(lane(paths))[0])[MAC]})


def _malformed(paths: StationPaths, line: bytes) -> bytes:
    return line_of(json.loads(line) | {MAC: ""})


FORGERS = [_missing, _by_another_key, _of_another_event, _malformed]


@pytest.mark.parametrize("forge", FORGERS)
def test_a_line_that_is_added_to_the_stations_lane_ends_what_is_signed_of_it(
    paths: StationPaths, forge: Callable[[StationPaths, bytes], bytes]
) -> None:
    write(paths, 1, 4)
    line = forge(paths, made_up(1, 5, hash_of(lines(lane(paths))[-1])))
    with lane(paths).open("ab") as file:
        file.write(line)
    code = MAC_MISSING if forge is _missing else MAC_WRONG
    assert codes(paths) == {(code, 5, lane(paths).name)}
    checkpoint(paths)
    assert (signed(paths), [one[:2] for one in refused(paths)]) == ({1: 4}, [(1, 4)])
    write(paths, 1, 5)
    checkpoint(paths)
    assert signed(paths) == {1: 4, 2: 1}, "the next process writes another lane"


def test_events_of_the_station_behind_a_line_that_it_did_not_write_are_not_signed_with_it(paths: StationPaths) -> None:
    """Somebody writes between two events, and goes on with the chain as far as anybody without the key can."""
    write(paths, 2, 4)
    whole = lines(lane(paths))
    forged = made_up(1, 4, hash_of(whole[2]))
    lane(paths).write_bytes(b"".join([*whole[:3], forged, *whole[4:]]))
    checkpoint(paths)
    assert (signed(paths), [one[:2] for one in refused(paths)]) == ({1: 3}, [(1, 3)])
    assert (MAC_MISSING, 4, lane(paths).name) in codes(paths)


@pytest.mark.parametrize("at", [0, 1, 2, 4])
def test_an_event_that_is_put_back_a_second_time_counts_for_nothing(paths: StationPaths, at: int) -> None:
    """Each copy has a right MAC."""
    write(paths, 2, 4)
    checkpoint(paths)
    with lane(paths).open("ab") as file:
        file.write(lines(lane(paths))[at])
    things = [event["thing"] for event in own_events(paths)]
    assert things == [f"alpha.bravo-{number:06}" for number in (5, 4, 3, 2, 1)]
    checkpoint(paths)
    assert (signed(paths), refused(paths)) == ({1: 5}, [(1, 5, BROKEN)])
    assert codes(paths)


def test_an_event_of_one_lane_counts_in_no_other(paths: StationPaths) -> None:
    shutil.copy(lane(paths), lane(paths, 2))
    assert [event["lane"] for event in own_events(paths)] == [1, 1, 1]
    checkpoint(paths)
    assert (signed(paths), refused(paths)) == ({1: 3}, [(2, 0, MAC_WRONG)])
    assert codes(paths)


@pytest.mark.parametrize("what", ["cut", "emptied", "gone"])
def test_a_lane_that_lost_what_was_signed_stays_signed_at_its_end(paths: StationPaths, what: str) -> None:
    write(paths, 2, 4)
    checkpoint(paths)
    if what == "gone":
        lane(paths).unlink()
    else:
        lane(paths).write_bytes(b"".join(lines(lane(paths))[:4]) if what == "cut" else b"")
    write(paths, 1, 6)
    checkpoint(paths)
    assert signed(paths)[1] == 5
    assert (1, 5, BROKEN) in refused(paths)
    assert codes(paths)


@pytest.mark.parametrize("how", ["a line more", "cut", "another file", "gone"])
def test_a_process_leaves_a_lane_that_somebody_else_changed(paths: StationPaths, how: str) -> None:
    def record() -> None:
        audit = FileAudit(paths.audit)
        act(audit, 4)
        whole = lane(paths).read_bytes()
        if how == "a line more":
            with lane(paths).open("ab") as file:
                file.write(made_up(1, 5, hash_of(lines(lane(paths))[-1])))
        elif how == "cut":
            os.truncate(lane(paths), len(b"".join(lines(lane(paths))[:3])))
        else:
            lane(paths).unlink()
        if how == "another file":
            lane(paths).write_bytes(whole)
        act(audit, 5)
        act(audit, 6)

    process = multiprocessing.get_context("fork").Process(target=record)
    process.start()
    process.join()
    events = [json.loads(line) for line in lines(lane(paths, 2))]
    assert [event["act"] for event in events] == [Act.AUDIT_FOREIGN, "intake.import", "intake.import"]
    assert (events[0]["thing"], events[0]["detail"]["seq"]) == ("lane 01", 4)
    checkpoint(paths)
    assert signed(paths)[2] == 3


def test_checkpoints_that_were_taken_away_make_no_lane_the_stations(paths: StationPaths) -> None:
    (paths.audit / CHECKPOINTS).unlink()
    lane(paths, 2).write_bytes(made_up(2, 1, GENESIS))
    assert {event["lane"] for event in own_events(paths)} == {1}
    checkpoint(paths)
    assert (signed(paths), refused(paths)) == ({1: 3}, [(2, 0, MAC_MISSING)])


def test_a_checkpoint_of_before_the_first_mac_makes_no_lane_the_stations(paths: StationPaths) -> None:
    """The checkpoints are put back to one of an earlier version."""
    as_earlier_version(paths)
    sign_as_earlier_version(paths)
    before = (paths.audit / CHECKPOINTS).read_bytes()
    write(paths, 2, 4)
    checkpoint(paths)
    assert (findings(paths), signed(paths)) == ([], {1: 5})
    (paths.audit / CHECKPOINTS).write_bytes(before)
    lane(paths, 2).write_bytes(made_up(2, 1, GENESIS))
    assert any(code == SEAL_LOST for code, _, _ in codes(paths))
    assert [event["thing"][-1] for event in own_events(paths)] == ["5", "4", "3", "2", "1"]
    checkpoint(paths)
    assert (signed(paths), refused(paths)) == ({1: 5}, [(2, 0, MAC_MISSING)])


def sign_as_earlier_version(paths: StationPaths) -> None:
    """A checkpoint as the version before this one signed it."""
    key = load_private(paths.keys / "audit.pem", None)
    whole = lines(lane(paths))
    said = {
        "type": "application/vnd.lockgate.audit-checkpoint.v1+json", "site": SITE, "number": 1, "previous": None,
        "created": clock.now(), "lanes": [{"lane": 1, "seq": len(whole), "head": hash_of(whole[-1])}], "origin": "",
    }  # fmt: skip
    signature = base64.b64encode(key.sign(strict_json.canonical(said))).decode()
    line = strict_json.canonical({"checkpoint": said, "keyid": key.public.keyid, "signature": signature}) + b"\n"
    (paths.audit / CHECKPOINTS).write_bytes(line)


@pytest.mark.parametrize("signed_before", [True, False])
def test_a_log_of_an_earlier_version_stays_valid_and_is_sealed_from_then_on(
    paths: StationPaths, signed_before: bool
) -> None:
    as_earlier_version(paths)
    if signed_before:
        sign_as_earlier_version(paths)
        assert findings(paths) == []
    write(paths, 2, 4)
    checkpoint(paths)
    assert (findings(paths), codes(paths), look(paths).events) == ([], set(), 5)
    assert [event["thing"][-1] for event in own_events(paths)] == ["5", "4", "3", "2", "1"]
    lane(paths, 2).write_bytes(made_up(2, 1, GENESIS))
    whole = lines(lane(paths))
    lane(paths).write_bytes(b"".join([made_up(1, 1, GENESIS), *whole[1:]]))
    assert (MAC_MISSING, 1, lane(paths, 2).name) in codes(paths)
    assert [event["thing"][-1] for event in own_events(paths)] == ["5", "4", "3", "2"]


def _link(paths: StationPaths, path: Path) -> None:
    path.symlink_to(lane(paths))


def _pipe(paths: StationPaths, path: Path) -> None:
    os.mkfifo(path)


def _sparse(paths: StationPaths, path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _huge_line(paths: StationPaths, path: Path) -> None:
    path.write_bytes(b"x" * (bundle_limits.AUDIT_LINE + 10) + b"\n")


def _deep_line(paths: StationPaths, path: Path) -> None:
    path.write_bytes(b'{"detail":' + b"[" * 200_000 + b"\n")


def _other_shapes(paths: StationPaths, path: Path) -> None:
    path.write_bytes(b'[]\n{"lane":2,"seq":"x","micros":null}\n\n\x00\n7\n')


@pytest.mark.parametrize("name", ["02.000001.jsonl", "01.000002.jsonl", "00.000001.jsonl"])
@pytest.mark.parametrize("put", [_link, _pipe, _sparse, _huge_line, _deep_line, _other_shapes])
def test_what_is_no_lane_of_a_stations_stops_no_reader_and_is_named(
    paths: StationPaths, put: Callable[[StationPaths, Path], None], name: str
) -> None:
    put(paths, paths.audit / "lanes" / name)
    assert any(file == name for _, _, file in codes(paths))
    assert {event["lane"] for event in newest(paths.audit) if event["act"] == "intake.import"} == {1}
    foreign: set[str] = set()
    assert [event["thing"][-1] for event in own_events(paths, foreign=foreign)] == ["3", "2", "1"]
    assert foreign == {name}
    write(paths, 1, 4)
    checkpoint(paths)
    assert [one[0] for one in refused(paths)] == [int(name[:2])]
    assert sum(signed(paths).values()) >= 4


def test_a_link_in_the_place_of_a_lanes_lock_is_passed_over(paths: StationPaths) -> None:
    (paths.audit / "lanes/01.lock").unlink()
    (paths.audit / "lanes/01.lock").symlink_to("/dev/null")
    write(paths, 1)
    assert lane(paths, 2).exists()


def test_nothing_is_recorded_where_the_audit_key_is_missing(paths: StationPaths) -> None:
    (paths.keys / "audit.pem").unlink()
    with pytest.raises(FailedError, match="without its key"):
        act(FileAudit(paths.audit), 4)


def test_an_event_whose_detail_looks_like_an_event_is_told_from_it(paths: StationPaths) -> None:
    """The MAC is moved into the detail, in front of another number."""
    audit = FileAudit(paths.audit)
    inner = {
        "lane": 7, "micros": 1, "outcome": "done", "pid": 1, "prev": GENESIS, "seq": 1, "thing": '","mac":"', "z": 1,
    }  # fmt: skip
    act(audit, 4, detail=inner, thing='x","mac":"' + "0" * 64 + '","micros":1')
    line = lines(lane(paths))[-1]
    read = read_sealed(line)
    assert read is not None
    assert (read.lane, read.seq) == (1, 4)
    moved = line.replace(b',"mac":"' + read.mac + b'"', b"")
    moved = moved.replace(b'"lane":7,', b'"lane":7,"mac":"' + read.mac + b'",')
    assert read_sealed(moved) is None
    checkpoint(paths)
    assert (codes(paths), signed(paths)) == (set(), {1: 4})


def test_a_fresh_stations_first_lane_is_signed_by_init(tmp_path: Path) -> None:
    made = CliRunner().invoke(init, [str(tmp_path / "new"), "--site", SITE, "--side", "inside", "--open"])
    assert made.exit_code == 0, made.output
    paths = StationPaths(tmp_path / "new")
    found = verify_log(paths, SITE)
    assert (found.findings, found.events, found.covered, found.checkpoints) == ([], 1, 1, 1)
    assert standing_of(paths).sealed
    whole = lines(lane(paths))
    lane(paths).write_bytes(made_up(1, 1, GENESIS))
    assert len(whole) == 1
    assert codes(paths)


def test_a_log_of_another_station_is_not_taken_for_ones_own(paths: StationPaths, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    write(other, 3)
    checkpoint(other)
    for name in (CHECKPOINTS, "lanes/01.000001.jsonl"):
        shutil.copy(other.audit / name, paths.audit / name)
    assert list(own_events(paths)) == []
    assert standing_of(paths).damaged
    assert codes(paths)
    with pytest.raises(FailedError, match="not this station's"):
        checkpoint(paths)


def test_nothing_is_pruned_by_an_export_that_holds_what_the_station_did_not_write(
    paths: StationPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    write(paths, 20, 4)
    checkpoint(paths)
    forged = seal(made_up(2, 1, GENESIS), b"k" * 32)
    lane(paths, 2).write_bytes(forged)
    export.export(paths, tmp_path / "out", {}, site=SITE, at=clock.now())
    with pytest.raises(RefusedError, match="does not verify"):
        export.prunable(paths, tmp_path / "out", SITE)


def rotate(paths: StationPaths) -> None:
    """As `key rotate audit` on a station that does not run."""
    Rotation.prepare(paths.keys, "audit").carry_out(None)


def test_the_log_goes_on_after_a_rotation_of_the_audit_key(paths: StationPaths) -> None:
    rotate(paths)
    write(paths, 2, 4)
    head = checkpoint(paths)
    assert (findings(paths, head), codes(paths), signed(paths)) == ([], set(), {1: 5})
    assert [event["thing"][-1] for event in own_events(paths)] == ["5", "4", "3", "2", "1"]
    rotate(paths)
    write(paths, 1, 6)
    checkpoint(paths)
    assert (findings(paths, head), codes(paths), signed(paths)) == ([], set(), {1: 6})
    for old in paths.keys.glob("audit.????????????????.*"):
        old.unlink()
    assert (findings(paths), codes(paths)) == ([], set()), "what the former keys sealed is held by chain and checkpoint"
    lane(paths, 2).write_bytes(made_up(2, 1, GENESIS))
    assert codes(paths) == {(MAC_MISSING, 1, lane(paths, 2).name)}


def test_a_former_key_signs_no_checkpoint_behind_its_successor(paths: StationPaths) -> None:
    old = load_private(paths.keys / "audit.pem", None)
    rotate(paths)
    checkpoint(paths)
    for path in (paths.keys / "audit.pem", paths.keys / "audit.pub.pem"):
        path.unlink()
    former = load_private(next(paths.keys.glob("audit.????????????????.pem")), None)
    assert former.public == old.public
    save_private(paths.keys / "audit.pem", old, None)
    with pytest.raises(FailedError, match="not this station's"):
        checkpoint(paths)


def test_a_rejected_line_does_not_hide_what_was_recorded_since(paths: StationPaths) -> None:
    lane(paths, 2).write_bytes(made_up(2, 1, GENESIS))
    write(paths, 1, 4)
    assert tail(paths.audit, 9)[-1]["act"] in ("intake.release", "intake.import")
    assert next(event["thing"][-1] for event in own_events(paths)) == "4"
    assert sealed_line(paths, json.loads(lines(lane(paths))[0])) == lines(lane(paths))[0]
