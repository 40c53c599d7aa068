"""A station that was made with accounts is not opened, whatever was taken away from its folder."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.checkpoints import checkpoint, verify_log
from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.origin import Origin, adopt, read_origin, require_made_so, require_open, write_origin
from appliance.paths import StationPaths
from appliance.serve.supervisor import serve
from appliance.settings.station import Config, load_config
from appliance.store.database import open_writer
from bundles.documents.audit_log import origin_digest
from bundles.errors import LockgateError, RefusedError, UsageError
from tests.access.live import Live
from tests.observe.station import as_earlier_version

OPEN = ("init", "--site", "bravo", "--side", "inside", "--open", "--json")
CLOSED = ("init", "--site", "bravo", "--side", "inside", "--json")


def station(tmp_path: Path, *words: str) -> StationPaths:
    made = Live(tmp_path / "bravo", tmp_path)
    made.call(words[0], made.root, *words[1:])
    return StationPaths(made.root)


def opened(paths: StationPaths) -> Config:
    """Somebody writes `open = true`."""
    paths.config.write_text(paths.config.read_text().replace("open = false", "open = true"))
    return load_config(paths.config)


def prune_the_first_event(paths: StationPaths) -> None:
    """As `audit prune` leaves a lane: its first segment is gone."""
    (first,) = sorted((paths.audit / "lanes").glob("01.*.jsonl"))
    lines = first.read_text().splitlines(keepends=True)
    first.with_name("01.000002.jsonl").write_text("".join(lines[1:]))
    first.unlink()


def may_open(paths: StationPaths) -> bool:
    config = opened(paths)
    try:
        adopt(paths, config)
        require_open(paths, config)
    except RefusedError:
        return False
    return True


def test_a_station_made_open_opens_with_and_without_its_first_event(tmp_path: Path) -> None:
    paths = station(tmp_path, *OPEN)
    assert may_open(paths)
    prune_the_first_event(paths)
    assert may_open(paths)


def remove(paths: StationPaths) -> None:
    paths.origin.unlink()


def forge(paths: StationPaths) -> None:
    fields = json.loads(paths.origin.read_text())
    fields["origin"]["open"] = True
    paths.origin.write_text(json.dumps(fields, sort_keys=True, separators=(",", ":")))


def another_stations(paths: StationPaths) -> None:
    other = station(paths.root.parent / "other", *OPEN)
    paths.origin.write_bytes(other.origin.read_bytes())


def link(paths: StationPaths) -> None:
    other = station(paths.root.parent / "other", *OPEN)
    paths.origin.unlink()
    paths.origin.symlink_to(other.origin)


def edit_the_log(paths: StationPaths) -> None:
    (first,) = sorted((paths.audit / "lanes").glob("01.*.jsonl"))
    first.write_text(first.read_text().replace('"open":false', '"open":true'))
    remove(paths)


def drop_the_log(paths: StationPaths) -> None:
    for path in (paths.audit / "lanes").iterdir():
        path.unlink()
    remove(paths)


def nothing(paths: StationPaths) -> None:
    """The document is left as it is."""


@pytest.mark.parametrize("pruned", [False, True], ids=["whole", "pruned"])
@pytest.mark.parametrize("attack", [nothing, remove, forge, another_stations, link, edit_the_log, drop_the_log])
def test_a_station_made_with_accounts_stays_closed(
    tmp_path: Path, attack: Callable[[StationPaths], None], pruned: bool
) -> None:
    (tmp_path / "other").mkdir()
    paths = station(tmp_path, *CLOSED)
    checkpoint(paths)
    attack(paths)
    if pruned and attack is not drop_the_log:
        prune_the_first_event(paths)
    assert not may_open(paths)


def test_serve_refuses_it_with_accounts_deleted_and_the_first_event_pruned(tmp_path: Path) -> None:
    made = Live(tmp_path / "bravo", tmp_path)
    made.make()
    paths = StationPaths(made.root)
    with contextlib.closing(sqlite3.connect(paths.database)) as intruder, intruder:
        for table in ("grants", "accounts"):
            intruder.execute(f"DELETE FROM {table}")
    prune_the_first_event(paths)
    opened(paths)
    for attack in (nothing, remove):
        attack(paths)
        assert "never opened" in made.call("serve", expect=3)


def test_one_that_was_made_open_and_got_accounts_is_closed_for_good(tmp_path: Path) -> None:
    paths = station(tmp_path, *OPEN)
    closed = Config(site="bravo", side="inside")
    adopt(paths, closed)
    found = read_origin(paths, "bravo")
    assert found is not None
    assert found.open is False
    assert not may_open(paths)


def findings(paths: StationPaths) -> list[str]:
    return [each.text() for each in verify_log(paths, "bravo").findings]


def earlier(paths: StationPaths) -> bytes:
    """The document of this station that said it was made open; it has been closed since."""
    before = paths.origin.read_bytes()
    adopt(paths, Config(site="bravo", side="inside"))
    checkpoint(paths)
    assert findings(paths) == []
    return before


def test_an_earlier_document_of_this_very_station_put_back_is_found_and_opens_nothing(tmp_path: Path) -> None:
    paths = station(tmp_path, *OPEN)
    paths.origin.write_bytes(earlier(paths))
    assert read_origin(paths, "bravo") is not None, "its signature holds"
    assert not may_open(paths)
    for _ in range(2):
        assert findings(paths) == ["origin.json: it is not the one that the last checkpoint names"]
        checkpoint(paths)  # which does not sign what was put there


def test_a_document_that_is_taken_away_is_found(tmp_path: Path) -> None:
    paths = station(tmp_path, *OPEN)
    earlier(paths)
    remove(paths)
    assert findings(paths) == ["origin.json: it is missing"]


def test_a_last_checkpoint_that_is_not_this_stations_opens_nothing(tmp_path: Path) -> None:
    paths = station(tmp_path, *OPEN)
    checkpoint(paths)
    assert may_open(paths)
    with (paths.audit / "checkpoints.jsonl").open("ab") as file:
        file.write(b"{}\n")
    assert not may_open(paths)


def test_a_cut_names_the_document_and_shows_that_checkpoints_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    paths = station(tmp_path, *OPEN)
    checkpoint(paths)
    audit = FileAudit(paths.audit)
    for number in range(12):
        audit.record(AuditEvent(Act.JOB_READ, "tester(0)", str(number), "done", {"pad": "x" * 400}))
    export.export(paths, tmp_path / "out", {}, site="bravo", at=clock.now())
    _, cut = prune_log(paths, tmp_path / "out")
    assert cut is not None
    assert cut.origin == origin_digest(paths.origin)
    assert findings(paths) == []
    paths.origin.write_bytes(b"{}")
    (paths.audit / "checkpoints.jsonl").unlink()
    assert any("checkpoints were removed" in text for text in findings(paths))
    assert any(text.startswith("origin.json") for text in findings(paths))


def test_restore_asks_how_the_station_was_made_as_well(tmp_path: Path) -> None:
    made = Live(tmp_path / "bravo", tmp_path)
    made.make()
    opened(StationPaths(made.root))
    assert "never opened" in made.call("restore", "--why", "the disk died", expect=3)


def test_an_earlier_versions_open_station_gets_its_document_at_its_first_start(tmp_path: Path) -> None:
    paths = station(tmp_path, *OPEN)
    open_writer(paths.database).close()
    remove(paths)
    as_earlier_version(paths)
    assert not may_open(paths), "nothing signed says that the log is whole"
    checkpoint(paths)
    assert may_open(paths)
    assert paths.origin.is_file()


def test_a_document_of_another_site_is_refused(tmp_path: Path) -> None:
    paths = station(tmp_path, *OPEN)
    write_origin(paths, Origin(site="alpha", side="inside", open=True, created=clock.now()))
    with pytest.raises(LockgateError, match="another station"):
        read_origin(paths, "bravo")


@pytest.mark.parametrize(
    ("written", "wrong"), [('site = "bravo"', 'site = "brav0"'), ('side = "inside"', 'side = "outside"')]
)
def test_a_station_of_another_site_or_side_than_it_was_made_with_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, wrong: str
) -> None:
    paths = station(tmp_path, *OPEN)
    paths.config.write_text(paths.config.read_text().replace(written, wrong))
    log = [path.read_bytes() for path in sorted(paths.audit.rglob("*.jsonl"))]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        serve(paths.root)
    assert wrong.replace('"', "'") in refused.value.thing
    assert written.replace('"', "'") in refused.value.remedy
    assert [path.read_bytes() for path in sorted(paths.audit.rglob("*.jsonl"))] == log


def test_a_station_starts_as_it_was_made(tmp_path: Path) -> None:
    paths = station(tmp_path, *CLOSED)
    require_made_so(paths, load_config(paths.config))
