"""What `lockgate status` says in one word."""

from __future__ import annotations

import pytest

from appliance.cli.station.status import _health


@pytest.mark.parametrize(
    ("ok", "alerts", "word"),
    [(True, [], "[ok]"), (True, ["a released tag was moved"], "[!!] see the alerts"), (False, [], "[!!] FAIL"),
     (False, ["x"], "[!!] FAIL")],
)  # fmt: skip
def test_health_is_ok_only_where_nothing_alerts(ok: bool, alerts: list[str], word: str) -> None:
    assert _health({"health": {"ok": ok}, "alerts": alerts}) == word
