"""Certificates, on a real station: what clients meet is shown, and new files are taken up by who may."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.api.status import Certificate
from tests.console.real_station import PASSWORD, RealStation, console_of
from tui.wording.certificates import role_of


async def test_a_renewed_certificate_is_taken_up_by_an_administrator_alone(tmp_path: Path) -> None:
    station = RealStation(tmp_path)
    code = station.make()
    station.call("user", "claim", "ada", code=code, password=PASSWORD)
    station.start()
    try:
        station.call("user", "login", "ada", password=PASSWORD)
        station.call("user", "create", "bob", password=PASSWORD)
        station.call("role", "grant", "bob", "courier")
        async with console_of(station) as console:
            await console.log_in("bob")
            console.app.show_root("certificates")
            await console.shows("server")
            await console.press("t")
            await console.shows("an administrator may")
            await console.press("O")
            await console.log_in("ada")
            console.app.show_root("certificates")
            await console.shows("localhost")
            station.call("tls", "renew", "--name", "registry.bravo.example", "--name", "localhost")
            await console.press("t")
            await console.shows("Take up the certificate's files")
            await console.press("y")
            await console.shows("taken up; good until")
            await console.shows("registry.bravo.example")
            await console.until(lambda: station.knocks("ada", PASSWORD) == 200, "clients are served")
            (station.root / "tls/server.pem").write_text("no certificate")
            await console.press("t")
            await console.shows("Take up the certificate's files")
            await console.press("y")
            await console.until(lambda: "[!!]" in console.screen(), "it is refused")
            assert station.knocks("ada", PASSWORD) == 200  # and the one before is still met
    finally:
        station.stop()


@pytest.mark.parametrize(
    ("days", "role"), [(3650, "ok"), (30, "ok"), (29, "need"), (7, "need"), (6, "bad"), (-1, "bad")]
)
def test_an_end_that_is_near_is_marked(days: int, role: str) -> None:
    assert role_of(Certificate(name="server", path="", not_after="", days=days)) == role
