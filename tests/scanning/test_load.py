"""Advisories are loaded all at once or not at all, and what could not be read of them is said."""

from __future__ import annotations

import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.limits import scanning as limits
from appliance.scanning import load
from appliance.scanning.exports import open_export
from appliance.store.reads.advisories import Source, sources
from appliance.store.writes.write import under_event
from bundles.errors import CancelledError, LockgateError, MalformedError, RefusedError, UsageError
from tests.little_memory import within
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414  a fixture
from tests.outgoing.outside import Outside, PowerCut
from tests.scanning.exports import record, zipped
from tests.scanning.rows import known, removed


def loaded(outside: Outside, path: Path, **params: Any) -> dict[str, Any]:
    return outside.run(outside.context("advisories", {"path": str(path), **params}), load.run)


def held(outside: Outside) -> list[Source]:
    return sources(outside.station.reader)


def rows(outside: Outside) -> int:
    """Rows of any load, current or not."""
    (count,) = outside.station.reader.execute("SELECT count(*) FROM advisory_entries").fetchone()
    (ids,) = outside.station.reader.execute("SELECT count(*) FROM advisory_ids").fetchone()
    return int(count) + int(ids)


def ids(outside: Outside, package: str = "requests") -> set[str]:
    return {entry.id for _, entry in known(outside).entries("PyPI", package)}


def test_an_export_is_kept_with_its_date_its_digest_and_its_counts(outside: Outside, tmp_path: Path) -> None:
    export = zipped(
        tmp_path / "all.zip",
        [
            record("PYSEC-1", aliases=["CVE-2024-1"]), record("PYSEC-2", modified="2024-03-01T02:00:00.5+02:00"),
            record("PYSEC-3", "Foo.Bar"), record("PYSEC-4", withdrawn="2024-01-02T00:00:00Z"), b"{", b'{"id": "BAD-7"}',
            record("DSA-1", "openssl", "3", ecosystem="Debian:12"), record("ODD-1", ecosystem="Elsewhere"),
        ],
    )  # fmt: skip
    result = loaded(outside, export, source="vendor")
    (source,) = held(outside)
    assert (source.source, source.dated, source.actor) == ("vendor", "2024-03-01T00:00:00Z", "tester(0)")
    assert (source.records, source.withdrawn, source.malformed, source.entries) == (6, 1, 2, 5)
    assert dict(source.ecosystems) == {"PyPI": 3, "Debian:12": 1, "Elsewhere": 1}
    assert source.digest == result["digest"]
    assert (result["not_ordered"], len(result["malformed_named"])) == (["Elsewhere"], 2)
    assert "BAD-7" in result["malformed_named"][1]
    assert ids(outside) == {"PYSEC-1", "PYSEC-2"}
    assert ids(outside, "foo-bar") == {"PYSEC-3"}
    assert [entry.id for _, entry in known(outside).about("CVE-2024-1")] == ["PYSEC-1"]
    (event,) = outside.events("advisories.load")
    assert (event["thing"], event["outcome"], event["detail"]["digest"]) == ("vendor", "done", source.digest)
    for more in ({"source": "vendor"}, {}):
        again = loaded(outside, export, **more)
        assert (again["unchanged"], again["source"], again["records"], len(held(outside))) == (True, "vendor", 6, 1)


def test_a_folder_of_records_is_an_export_and_links_in_it_are_not_followed(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "osv/more").mkdir(parents=True)
    (tmp_path / "osv/a.json").write_text(json.dumps(record("PYSEC-1")))
    (tmp_path / "osv/more/b.json").write_text(json.dumps(record("PYSEC-2")))
    (tmp_path / "osv/README").write_text("no record")
    (tmp_path / "secret").write_text(json.dumps(record("PYSEC-9")))
    (tmp_path / "osv/c.json").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "osv/d.json")
    result = loaded(outside, tmp_path / "osv")
    assert (result["source"], result["records"], result["malformed"]) == ("osv-pypi", 2, 2)
    assert ids(outside) == {"PYSEC-1", "PYSEC-2"}


def test_a_later_export_takes_the_place_of_the_sources_earlier_one_and_of_no_others(
    outside: Outside, tmp_path: Path
) -> None:
    loaded(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1"), record("PYSEC-2")]), source="one")
    loaded(outside, zipped(tmp_path / "2.zip", [record("GHSA-1")]), source="two")
    before = rows(outside)
    loaded(outside, zipped(tmp_path / "3.zip", [record("PYSEC-2", modified="2024-02-01T00:00:00Z")]), source="one")
    assert ids(outside) == {"PYSEC-2", "GHSA-1"}
    assert rows(outside) == before - 2
    assert [one.source for one in held(outside)] == ["one", "two"]


@pytest.mark.parametrize(
    ("records", "what"),
    [
        ([record(f"PYSEC-{n}", modified="2023-12-31T23:59:59Z") for n in range(6)], "older than those held"),
        ([record("PYSEC-0", modified="2024-05-01T00:00:00Z")], "fewer than half"),
        ([record(f"PYSEC-{n}", modified="2023-01-01T00:00:00Z") for n in range(5)]
         + [record("PYSEC-9", modified="2999-01-01T00:00:00Z")], "older than those held"),
    ],
    ids=["older", "a part", "a date ahead of the clock"],
)  # fmt: skip
def test_an_older_export_or_a_part_of_one_is_refused_and_can_be_wanted(
    outside: Outside, tmp_path: Path, records: list[dict[str, Any]], what: str
) -> None:
    loaded(outside, zipped(tmp_path / "1.zip", [record(f"PYSEC-{n}") for n in range(6)]))
    before = held(outside), rows(outside)
    export = zipped(tmp_path / "2.zip", records)
    with pytest.raises(RefusedError) as refused:
        loaded(outside, export)
    assert what in refused.value.what
    assert "--replace" in refused.value.remedy
    assert (held(outside), rows(outside)) == before
    assert outside.events("advisories.load")[-1]["outcome"] == "refused"
    loaded(outside, export, replace=True)
    assert held(outside)[0].records == len(records)


def cancel(_: str, __: int, ___: int) -> None:
    raise CancelledError("cancelled")


def cut(_: str, __: int, ___: int) -> None:
    raise PowerCut


@pytest.mark.parametrize("stop", [cancel, cut])
@pytest.mark.parametrize("at", [1, 600, 1000])
def test_a_load_that_is_cut_off_changes_nothing_and_can_be_run_again(
    outside: Outside, tmp_path: Path, stop: Callable[[str, int, int], None], at: int
) -> None:
    loaded(outside, zipped(tmp_path / "1.zip", [record("PYSEC-A")]))
    later = [record(f"PYSEC-{n}", modified="2024-02-01T00:00:00Z") for n in range(1000)]
    export = zipped(tmp_path / "2.zip", later)
    context = outside.context("advisories", {"path": str(export)})
    context.on_progress = lambda phase, done, total: stop(phase, done, total) if (phase, done) == ("load", at) else None
    with pytest.raises((CancelledError, PowerCut)):
        outside.run(context, load.run)
    assert (ids(outside), held(outside)[0].records) == ({"PYSEC-A"}, 1)
    again = outside.context("advisories", {"path": str(export)}, context.job_id if stop is cut else "")
    assert outside.run(again, load.run)["records"] == 1000
    assert len(ids(outside)) == 1000
    assert rows(outside) == 2000


def test_rows_that_are_missing_keep_a_load_from_being_made_current(outside: Outside, tmp_path: Path) -> None:
    context = outside.context("advisories", {"path": str(zipped(tmp_path / "1.zip", [record("PYSEC-1")] * 501))})

    def lose(phase: str, done: int, _: int) -> None:
        if (phase, done) == ("load", 501):
            with outside.writer_connection() as db:
                db.execute("DELETE FROM advisory_entries WHERE number = 3")

    context.on_progress = lose
    with pytest.raises(LockgateError) as failed:
        outside.run(context, load.run)
    assert failed.value.what == "rows of the advisories are missing"
    assert held(outside) == []


def no_zip(path: Path) -> Path:
    path.write_bytes(b"PK\x03\x04" + os.urandom(500))
    return path


def encrypted(path: Path) -> Path:
    raw = bytearray(zipped(path, [record("PYSEC-1")]).read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(magic) + at] |= 1
    path.write_bytes(raw)
    return path


def broken(path: Path) -> Path:
    raw = bytearray(zipped(path, [record("PYSEC-1"), record("PYSEC-2")]).read_bytes())
    raw[50] ^= 0xFF
    path.write_bytes(raw)
    return path


def cut_short(path: Path) -> Path:
    path.write_bytes(zipped(path, [record(f"PYSEC-{n}") for n in range(50)]).read_bytes()[:-100])
    return path


def of_nothing(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.md", "no record")
    return path


def all_bad(path: Path) -> Path:
    return zipped(path, [b"{}", b"[]"])


@pytest.mark.parametrize("make", [no_zip, encrypted, broken, cut_short, of_nothing, all_bad])
def test_what_is_no_export_is_refused_whole(outside: Outside, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    loaded(outside, zipped(tmp_path / "good.zip", [record("PYSEC-A")]))
    with pytest.raises(MalformedError):
        loaded(outside, make(tmp_path / "bad.zip"))
    assert (ids(outside), len(held(outside))) == ({"PYSEC-A"}, 1)


def test_a_record_that_unpacks_to_too_much_is_counted_and_the_others_are_read(outside: Outside, tmp_path: Path) -> None:
    bomb = b'{"id": "' + b" " * (limits.ADVISORY_RECORD + 1) + b'"}'
    result = loaded(outside, zipped(tmp_path / "1.zip", [bomb, record("PYSEC-1")]))
    assert (result["records"], result["malformed"], ids(outside)) == (1, 1, {"PYSEC-1"})


def test_an_entry_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    export = zipped(tmp_path / "1.zip", [b" " * (6 * limits.ADVISORY_RECORD)])
    opened = open_export(export, tmp_path, lambda *_: None)
    tracemalloc.start()
    try:
        ((_, raw),) = opened.records()
        assert isinstance(raw, MalformedError)
        assert tracemalloc.get_traced_memory()[1] < 4 * limits.ADVISORY_RECORD
    finally:
        tracemalloc.stop()
        opened.close()


def test_a_folder_that_changes_while_it_is_read_is_no_export(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "osv").mkdir()
    for number in range(3):
        (tmp_path / f"osv/{number}.json").write_text(json.dumps(record(f"PYSEC-{number}")))
    context = outside.context("advisories", {"path": str(tmp_path / "osv")})

    def change(phase: str, done: int, _: int) -> None:
        if (phase, done) == ("load", 1):
            (tmp_path / "osv/2.json").write_text(json.dumps(record("PYSEC-9")))

    context.on_progress = change
    with pytest.raises(MalformedError):
        outside.run(context, load.run)
    assert held(outside) == []


def test_advisories_in_a_collected_file_are_loaded_by_its_reference(outside: Outside, tmp_path: Path) -> None:
    export = zipped(tmp_path / "all.zip", [record("PYSEC-1")])
    entry = {"kind": "file", "path": str(export), "name": "all.zip", "as": "advisories/pypi:1"}
    (reference,) = outside.collect(entry)
    context = outside.context("advisories", {"reference": reference})
    assert outside.run(context, load.run)["records"] == 1
    assert ids(outside) == {"PYSEC-1"}


@pytest.mark.parametrize(
    "params", [{}, {"path": "x", "reference": "a:1"}, {"path": "x", "source": "../a"}, {"path": "x", "source": "A b"}]
)
def test_a_load_names_one_export_and_a_source_that_is_a_name(outside: Outside, params: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        outside.run(outside.context("advisories", params), load.run)


def test_a_source_that_is_removed_counts_no_more(outside: Outside, tmp_path: Path) -> None:
    loaded(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1")]))
    with under_event():
        assert removed(outside.writer.submit, outside.station.paths, "osv-pypi")
        assert not removed(outside.writer.submit, outside.station.paths, "osv-pypi")
    assert (ids(outside), held(outside)) == (set(), [])


def test_the_date_of_an_export_is_never_ahead_of_the_clock(outside: Outside, tmp_path: Path) -> None:
    export = zipped(tmp_path / "1.zip", [record("PYSEC-1"), record("PYSEC-2", modified="2999-01-01T00:00:00Z")])
    loaded(outside, export)
    assert held(outside)[0].dated <= clock.now()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_record_that_unpacks_to_much_more_is_too_large_and_takes_no_memory(tmp_path: Path, method: int) -> None:
    export = tmp_path / "export.zip"
    with zipfile.ZipFile(export, "w", method, compresslevel=1) as archive:
        archive.writestr("bomb.json", bytes(32 << 20))
        archive.writestr("X-1.json", b"{}")

    def act() -> list[bool]:
        opened = open_export(export, tmp_path, lambda *_: None)
        return [isinstance(raw, MalformedError) for _, raw in opened.records()]

    assert within(24 << 20, act) == [True, False]
