"""What follows: a state as a whole, checked against the primary's signed log. Everything else is refused by name."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from appliance.audit.checkpoints import checkpoint
from appliance.audit.seals import audit_key
from appliance.limits import standby as limits
from appliance.paths import StationPaths
from appliance.standby.documents import State, StateFile, check_path, read, signed
from appliance.standby.exchange import Exchange
from appliance.standby.joining import join
from appliance.standby.role import changed
from appliance.standby.sending import Sender
from appliance.store.database import open_reader
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError
from bundles.oci.digest import Digest
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, dump, name_of
from tests.standby.pair import Pair

PIECE = limits.STANDBY_PIECE
TABLES = ("repositories", "manifests", "links", "tags", "intake", "ledger", "approvals", "decisions", "blocks")


def held(pair: Pair) -> StationPaths:
    role = pair.role()
    return StationPaths(StationPaths(pair.copy).standby_state(role.term, role.number))


def rows(paths: StationPaths) -> dict[str, list[object]]:
    with closing(open_reader(paths.database)) as reader:
        return dump(reader, TABLES)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(RefusedError) as caught:
        work()
    return caught.value.code


def test_everything_that_a_primary_decided_follows_in_states_of_one_moment(pair: Pair, bundle: SmallBundle) -> None:
    pair.make_standby()
    pair.inside.bring(bundle.folder)
    pair.send()
    pair.take()
    assert rows(held(pair)) == rows(StationPaths(pair.root))
    assert rows(held(pair))["tags"] == []  # it waits in quarantine, there and here
    for officer in pair.officers:
        pair.inside.decide(name_of(), officer)
    pair.inside.release(name_of())
    pair.block(str(Digest.of(b"blocked")))
    pair.send()
    role = pair.take()
    assert (role.fault, role.head) == ("", pair.role(pair.root).head)
    assert rows(held(pair)) == rows(StationPaths(pair.root))
    assert rows(held(pair))["tags"] != []
    with closing(open_reader(held(pair).database)) as reader:
        digests = [digest for (digest,) in reader.execute("SELECT digest FROM blobs")]
    for digest in digests:
        path = StationPaths(pair.copy).blob(Digest.parse(digest))
        assert Digest.of(path.read_bytes()) == Digest.parse(digest)
    pair.inside.withdraw(name_of())
    pair.send()
    assert pair.take().number == role.number + 1
    assert rows(held(pair))["tags"] == []
    told = Exchange(pair.exchange).taken(audit_key(StationPaths(pair.root)).public, "bravo")
    assert told is not None
    assert (told.number, told.fault) == (role.number + 1, "")
    assert pair.send().heard == told.created


def test_a_state_that_is_not_whole_is_not_held_and_is_taken_once_it_is(pair: Pair, bundle: SmallBundle) -> None:
    pair.make_standby()
    first = pair.take()
    pair.inside.bring(bundle.folder)
    pair.send()
    blobs = [path for path in (pair.exchange / "blobs").rglob("*") if path.is_file()]
    away = max(blobs, key=lambda path: path.stat().st_size)
    data = away.read_bytes()
    away.unlink()
    assert refused(pair.take) == "standby-incomplete"
    assert (pair.role().number, pair.role().fault != "") == (first.number, True)
    away.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(LockgateError):
        pair.take()
    assert not StationPaths(pair.copy).blob(Digest("sha256", away.name)).exists()
    away.write_bytes(data)
    assert (pair.take().number, pair.role().fault) == (first.number + 1, "")


ROWS = (
    "DELETE FROM ledger", "DELETE FROM approvals", "UPDATE intake SET state = 'released'",
    "UPDATE blocks SET digest = 'sha256:' || lower(hex(zeroblob(32)))",
)  # fmt: skip


def test_a_row_that_the_log_does_not_explain_keeps_a_state_out(pair: Pair, bundle: SmallBundle, tmp_path: Path) -> None:
    pair.inside.bring(bundle.folder)
    pair.inside.decide(name_of(), pair.officers[0])
    pair.block(str(Digest.of(b"blocked")))
    pair.make_standby()
    number = pair.take().number
    honest = (pair.exchange / "state.json").read_bytes()
    for count, statement in enumerate(ROWS):
        changed_rows = tmp_path / f"{count}.sqlite"

        def change(files: dict[str, bytes], path: Path = changed_rows, said: str = statement) -> None:
            path.write_bytes(files["metadata.sqlite"])
            with closing(sqlite3.connect(path)) as db, db:
                for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                    db.execute(f'DROP TRIGGER "{trigger}"')
                db.execute(said)
            files["metadata.sqlite"] = path.read_bytes()

        (pair.exchange / "state.json").write_bytes(honest)
        hostile(pair, change)
        assert refused(pair.take) == "standby-rows", statement
        assert pair.role().number == number


def hostile(pair: Pair, change: Callable[[dict[str, bytes]], None]) -> None:
    """The last state once more with the next number, some files of it changed, signed by the pair's key."""
    exchange, key = Exchange(pair.exchange), audit_key(StationPaths(pair.root))
    state = exchange.state(key.public, "bravo")
    assert state is not None
    files = {one.path: b"".join(map(exchange.piece, one.pieces)) for one in state.files}
    change(files)
    made = [
        StateFile(
            path=path, size=len(data),
            pieces=[exchange.put_piece(data[at : at + PIECE]) for at in range(0, len(data), PIECE)],
        )
        for path, data in sorted(files.items())
    ]  # fmt: skip
    exchange.write(msgspec.structs.replace(state, number=state.number + 1, files=made), key)


def lane(files: dict[str, bytes]) -> str:
    return next(path for path in files if path.startswith("audit/lanes/"))


def drop_event(files: dict[str, bytes]) -> None:
    lines = files[lane(files)].splitlines(keepends=True)
    files[lane(files)] = b"".join(lines[:-2] + lines[-1:])


def edit_event(files: dict[str, bytes]) -> None:
    files[lane(files)] = files[lane(files)].replace(b"tester", b"taster", 1)


def older_head(files: dict[str, bytes]) -> None:
    lines = files["audit/checkpoints.jsonl"].splitlines(keepends=True)
    files["audit/checkpoints.jsonl"] = b"".join(lines[:-1])


def test_a_log_that_does_not_hold_end_to_end_keeps_a_state_out(pair: Pair) -> None:
    pair.block(str(Digest.of(b"blocked")))
    pair.make_standby()
    number = pair.take().number
    honest = (pair.exchange / "state.json").read_bytes()
    for change in (drop_event, edit_event, older_head):
        (pair.exchange / "state.json").write_bytes(honest)
        hostile(pair, change)
        assert refused(pair.take) == "standby-log", change
        assert pair.role().number == number


def test_an_older_state_another_node_or_a_term_of_no_two_people_is_never_followed(pair: Pair) -> None:
    pair.make_standby()
    first = (pair.exchange / "state.json").read_bytes()
    pair.take()
    pair.send()
    number = pair.take().number
    last = (pair.exchange / "state.json").read_bytes()
    (pair.exchange / "state.json").write_bytes(first)
    assert refused(pair.take) == "standby-older"
    key = audit_key(StationPaths(pair.root))
    state = read(last, State, key.public, "bravo")
    for changes, code in (
        ({"node": "0" * 16, "number": number + 1}, "standby-two-primaries"),
        ({"term": 2, "number": number + 1}, "standby-term"),
        ({"head": "1-" + "0" * 64}, "standby-older"),
        ({"head": "1-" + "0" * 64, "number": number + 1}, "standby-log"),
    ):
        (pair.exchange / "state.json").write_bytes(signed(msgspec.structs.replace(state, **changes), key))
        assert refused(pair.take) == code
    (pair.exchange / "state.json").write_bytes(last.replace(b'"number":', b'"number": ', 1))
    assert refused(pair.take) == "standby-malformed"
    (pair.exchange / "state.json").write_bytes(signed(state, pair.officers[0]))
    assert refused(pair.take) == "standby-signature"
    (pair.exchange / "state.json").write_bytes(last)
    assert (pair.take().number, pair.role().fault) == (number, "")


@pytest.mark.parametrize(
    "path",
    [
        "../x", "/etc/passwd", "keys/audit.pem", "trust/../keys/audit.pem", "audit//x", "tls/ca.key", "audit/a\nb",
        "standby.json", "",
    ],
)  # fmt: skip
def test_a_state_names_no_file_outside_what_follows(path: str) -> None:
    with pytest.raises(MalformedError):
        check_path(path)


def test_an_older_copy_of_the_primary_writes_no_state_over_a_later_one(pair: Pair) -> None:
    pair.make_standby()
    role = pair.role(pair.root)
    pair.send()
    changed(StationPaths(pair.root), role)
    assert refused(lambda: Sender(pair.root, pair.exchange).send()) == "standby-older"
    changed(StationPaths(pair.root), role, node="0" * 16)
    assert refused(lambda: Sender(pair.root, pair.exchange).send()) == "standby-two-primaries"


def test_a_copy_whose_log_went_its_own_way_never_becomes_as_its_primary(pair: Pair) -> None:
    pair.send()
    pair.stop()
    shutil.copytree(pair.root, pair.copy, ignore=shutil.ignore_patterns("*.sock"))
    pair.start()
    with Inside(pair.copy) as forked:
        forked.shut()
    checkpoint(StationPaths(pair.copy))
    join(pair.copy, pair.exchange)
    pair.send()
    assert refused(pair.take) == "standby-log"
    assert pair.role().number == 0


def test_a_link_in_the_exchange_leads_to_no_file_of_the_primary(pair: Pair, bundle: SmallBundle) -> None:
    pair.make_standby()
    pair.inside.bring(bundle.folder)
    pair.send()
    store = StationPaths(pair.root).blobs / "sha256"
    held_there = sorted(store.iterdir())
    aside = (pair.exchange / "pieces").rename(pair.exchange / "aside")
    (pair.exchange / "pieces").mkdir()
    for number in range(256):
        (pair.exchange / "pieces" / f"{number:02x}").symlink_to(store)
    assert refused(pair.send) == "standby-link"
    assert sorted(store.iterdir()) == held_there
    with pytest.raises(RefusedError):
        Exchange(pair.exchange).sweep([])
    assert sorted(store.iterdir()) == held_there
    shutil.rmtree(pair.exchange / "pieces")
    aside.rename(pair.exchange / "pieces")
    (pair.exchange / "taken.json").write_bytes(b"\xff" * 100_000)  # what a stand-by says stops no primary
    (pair.exchange / "terms").mkdir(exist_ok=True)
    (pair.exchange / "terms" / "2-0000000000000000.json").symlink_to("/etc/passwd")
    pair.send()


def test_a_blob_that_is_missing_for_no_reason_on_record_ends_a_state(pair: Pair, bundle: SmallBundle) -> None:
    pair.make_standby()
    pair.inside.bring(bundle.folder)
    blob = max((StationPaths(pair.root).blobs / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    away = blob.rename(pair.root / "away")
    with pytest.raises(FailedError) as caught:
        pair.send()
    assert caught.value.code == "standby-lacks"
    away.rename(blob)
    pair.send()
    assert pair.take().fault == ""
