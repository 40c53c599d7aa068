"""What cannot be recorded does not happen: transfers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.intake import sftp_pull
from appliance.outgoing import sftp_list, sftp_push
from bundles.errors import FailedError
from tests.control.test_recorded_first import FullLog
from tests.intake.inside import Context
from tests.sftp.ssh_server import ssh_server
from tests.sftp.station import Carrying, carrying

NAME = "alpha.bravo-000001"


def _broken(station: Carrying, context: Context) -> Context:
    audit = FullLog()
    return Context(replace(station.inside.station, audit=audit), context.params, context.folder, context.job_id)


def test_nothing_is_sent_fetched_or_looked_at_that_cannot_be_recorded(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh") as server, carrying(tmp_path / "bravo", drop=server.settings()) as station:
        folder = station.bundle(tmp_path / "made")
        with pytest.raises(FailedError, match="the audit log cannot be written"):
            sftp_push.run(_broken(station, station.pushing(folder)))
        with pytest.raises(FailedError, match="the audit log cannot be written"):
            sftp_list.run(_broken(station, station.inside.context(at="drop")))
        assert list(server.drop.iterdir()) == []
        station.push(folder)
        (tmp_path / "in").mkdir()
        with pytest.raises(FailedError, match="the audit log cannot be written"):
            sftp_pull.run(_broken(station, station.pulling(NAME, tmp_path / "in")))
        assert list((tmp_path / "in").iterdir()) == []
