"""The page for auditors: its commands, run as they stand, on an export and on one of a log that was pruned."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from bundles.signing.keys import create_private
from tests.observe.exports import Exported, export, released
from tests.peer_tools import require

PAGE = Path(__file__).parents[2] / "docs/howto/prove-what-crossed.md"
BLOCKS = re.findall(r"```sh[ a-z]*\n(.*?)```", PAGE.read_text(), re.DOTALL)


def run(block: str, export: Exported, earlier: Exported | None = None, **changes: str) -> tuple[int, str]:
    names = {
        "EXPORT": str(export.folder), "AUDIT_PEM": str(export.pem), "FROM": clock.now()[:10],
        "UNTIL": clock.after(86_400)[:10], "EARLIER": "" if earlier is None else str(earlier.folder),
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-euc", block], env=os.environ | names | changes, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, Exported]:
    """An export of a station that released a bundle, and one after what it holds was pruned."""
    require("openssl", "sha256sum")
    root = tmp_path_factory.mktemp("station")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "AUDIT_SEGMENT", 2_000)
        with released(root, [create_private()], [create_private(), create_private("ed25519")]) as station:
            for number in range(16):
                audit = station.station.audit
                audit.record(AuditEvent(Act.JOB_READ, "tester(0)", f"job{number}", "done", {"pad": "x" * 400}))
            before = export(station, root / "before")
            assert prune_log(station.station.paths, before.folder)[0] > 0
            return before, export(station, root / "after")


@pytest.mark.peer
def test_each_block_of_the_page_proves_an_export_and_one_after_a_prune(exports: tuple[Exported, Exported]) -> None:
    before, after = exports
    first, second, third = BLOCKS
    for one in exports:
        assert run(first, one) == (0, "Verified OK\nverify-export.sh: OK\n")
        status, said = run(second, one)
        assert (status, said.splitlines()[-1][:12]) == (0, "verdict: OK:")
        assert sorted(re.findall(r"approve by (.*) \(", said)) == ["Officer 1", "Officer 2"]
        assert f"{one.digest} signed by" in said
    status, said = run(third, after, before)
    assert status == 0, said
    assert [line.split()[1] for line in said.splitlines() if " intake." in line] == ["intake.import", "intake.release"]
    assert run(third, before, after)[0] == 1  # the other way round


@pytest.mark.peer
def test_the_page_ends_with_a_failure_where_anything_was_changed(exports: tuple[Exported, Exported]) -> None:
    export = exports[0]
    for name, block in (("verify-export.sh", BLOCKS[0]), ("lanes/01.000001.jsonl", BLOCKS[1])):
        file = export.folder / name
        data = file.read_bytes()
        file.write_bytes(data.replace(b"a", b"b", 1))
        assert run(block, export)[0] != 0
        file.write_bytes(data)
    assert run(BLOCKS[1], export, FROM="2020-01-01", UNTIL="2020-02-01")[1].count(" intake.") == 0
