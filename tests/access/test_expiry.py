"""Thirty, seven and one days before a certificate ends, status and metrics say so, each time in their own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.access.certificates import make_ca, make_server
from appliance.control.server import application
from appliance.limits import access as limits
from bundles.documents.audit_log import LANES
from tests.control.test_who_may_call import Played, a_station, served


@pytest.mark.parametrize(
    ("days", "alerts", "well"), [(31, 0, True), (29.1, 1, True), (6.1, 1, True), (0.5, 1, False), (-0.5, 1, False)]
)
async def test_status_and_metrics_speak_up(
    days: float, alerts: int, well: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SERVER_DAYS", days)
    with a_station(tmp_path, Played("administrator"), open_=False) as (control, _):
        (control.station.paths.audit / LANES).mkdir(parents=True)  # as after a station's first event
        make_ca(control.station.paths, "bravo")
        make_server(control.station.paths, ["localhost"])
        async with served(application(control), tmp_path) as client:
            status = await (await client.get("/v1/status")).json()
            metrics = await (await client.get("/v1/metrics")).text()
            shown = await (await client.get("/v1/tls")).json()
    said = [text for text in status["alerts"] if "certificate" in text]
    assert len(said) == alerts
    assert all(("ended at" if days < 0 else f"ends in {int(days)} days") in text for text in said)
    assert {check["name"]: check["ok"] for check in status["health"]["checks"]}["certificates"] is well
    assert status["health"]["ok"] is well
    assert "lockgate_store_damaged_blobs 0.0" in metrics
    assert "lockgate_store_unread_blobs 0.0" in metrics
    assert f'lockgate_health{{check="certificates"}} {float(well)}' in metrics
    (line,) = (
        line
        for line in metrics.splitlines()
        if line.startswith('lockgate_certificate_seconds_left{certificate="server"}')
    )
    assert float(line.rpartition(" ")[2]) == pytest.approx(days * 86_400, abs=600)
    assert {entry["name"] for entry in shown["items"]} == {"server", "CA"}
