"""What the check of what is shown costs: one at a time, linear work, and memory that does not grow with the bundles."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control import release_check
from appliance.control.release_check import ReleaseCheck
from appliance.release_check.unexplained import keep_manifest, unexplained
from bundles.format.sums import MANIFEST, SumLine, render
from bundles.limits import MIB
from bundles.oci.digest import Digest
from tests.intake.inside import Inside

REPOSITORY = Path(__file__).parents[2]
AT = "2026-01-01T00:00:00Z"


def digest_of(text: str) -> str:
    return str(Digest.of(text.encode()))


def bundle(station: Inside, number: int, blobs: int, repositories: list[str], *, released: bool = True) -> None:
    """A bundle as its import leaves it, in the database, the folder and the log, but for the content itself."""
    name = f"alpha.bravo-{number:06d}"
    artifacts = [{"repository": one, "digest": digest_of(f"{number} {one}"), "tags": ["1"]} for one in repositories]
    carried = [{"digest": digest_of(f"{number} {blob}")} for blob in range(blobs)]
    raw = json.dumps({"artifacts": artifacts, "blobs": carried, "requires": []}, separators=(",", ":")).encode()
    manifest = Digest.of(raw)
    sums = render([SumLine(sha256=Digest.of(b"").hex, path="README.txt"), SumLine(sha256=manifest.hex, path=MANIFEST)])
    digest = Digest.of(sums)
    with sqlite3.connect(station.station.paths.database) as database:
        database.execute(
            "INSERT INTO intake (digest, id, stream, sequence, state, artifacts, bytes, job, actor, received)"
            " VALUES (?, ?, 'alpha.bravo', ?, 'released', 1, 1, '', '', ?)",
            (str(digest), name, number, AT),
        )
        database.execute("INSERT INTO intake_documents (digest, manifest) VALUES (?, ?)", (str(digest), raw.decode()))
        database.execute("INSERT INTO intake_sums (digest, sums, readme) VALUES (?, ?, x'')", (str(digest), sums))
        database.executemany(
            "INSERT OR IGNORE INTO repositories (name, created) VALUES (?, ?)", [(one, AT) for one in repositories]
        )
    database.close()
    keep_manifest(station.station.paths, digest, raw)
    detail: dict[str, Any] = {"digest": str(digest), "manifest": str(manifest)}
    station.station.audit.record(AuditEvent(Act.INTAKE_IMPORT, "tester(0)", name, "done", detail))
    if released:
        station.station.audit.record(AuditEvent(Act.INTAKE_RELEASE, "tester(0)", name, "done", detail))


def calls(work: Callable[[], object]) -> int:
    """How many functions `work` calls, resumed generators among them."""
    found = 0

    def count(*_: object) -> None:
        nonlocal found
        found += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def test_the_work_is_linear_in_artifacts_and_repositories(tmp_path: Path) -> None:
    found = []
    for count in (40, 320):
        with Inside(tmp_path / str(count)) as station:
            bundle(station, 1, count, [f"team/{number}" for number in range(count)])
            found.append(calls(lambda station=station: unexplained(station.station)))  # type: ignore[misc]
    assert found[1] < 12 * found[0]


def test_one_look_runs_at_a_time_and_nobody_gets_one_that_began_before_they_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, going, most = [], threading.Semaphore(0), [0, 0]

    def look(_: object) -> tuple[list[dict[str, str]], list[dict[str, str]], list[dict[str, str]]]:
        began.append(len(began))
        most[0] += 1
        most[1] = max(most)
        going.acquire(timeout=30)
        most[0] -= 1
        return [{"look": str(began[-1])}], [], []

    monkeypatch.setattr(release_check, "_check", look)
    monkeypatch.setattr(release_check, "on_own_station", lambda _, work: work(None))

    async def ask() -> list[str]:
        check = ReleaseCheck()
        first = asyncio.ensure_future(check.look(None))  # type: ignore[arg-type]
        while not began:
            await asyncio.sleep(0)
        others = [asyncio.ensure_future(check.look(None)) for _ in range(5)]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        going.release(2)
        return [one[0]["look"] for one in await asyncio.gather(first, *others)]

    assert asyncio.run(ask()) == ["0", "1", "1", "1", "1", "1"]
    assert most[1] == 1


CHECKING = """
import sys
from pathlib import Path
from appliance.release_check.moved_tags import moved_tags
from appliance.release_check.unexplained import unexplained
from tests.intake.inside import Inside
with Inside(Path(sys.argv[1])) as station:
    found = unexplained(station.station)
    moved_tags(station.station)
    status = Path("/proc/self/status").read_text().split()
    print(len(found), status[status.index("VmHWM:") + 1])
"""


@pytest.mark.long
@pytest.mark.parametrize("shape", ["quarantined", "one repository", "many repositories"])
def test_manifests_of_four_hundred_thousand_blobs_stay_below_the_ceiling_of_memory(tmp_path: Path, shape: str) -> None:
    repositories = [f"team/{number}" for number in range(4_000)] if shape == "many repositories" else ["team/app"]
    with Inside(tmp_path / "strict") as station:
        for number in range(1, 4):
            bundle(station, number, 400_000, repositories, released=shape != "quarantined")
        with sqlite3.connect(station.station.paths.database) as database:
            database.execute("INSERT OR IGNORE INTO repositories (name, created) VALUES ('stolen', ?)", (AT,))
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute(
                "INSERT INTO links (repository_id, digest, kind, created)"
                " SELECT id, ?, 'blob', '2026-02-01T00:00:00Z' FROM repositories"
                " WHERE name = 'stolen'",
                (digest_of("3 399999"),),
            )
        database.close()
    done = subprocess.run(
        [sys.executable, "-c", CHECKING, str(tmp_path / "strict")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    found, peak = map(int, done.stdout.split())
    assert found == 1
    assert peak * 1024 < 300 * MIB
