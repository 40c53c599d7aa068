"""`[replicas.NAME]` of config.toml: each fault is named, with its key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.serve.preflight import objections
from appliance.settings.faults import faults
from appliance.settings.replicas import split_url
from bundles.errors import UsageError
from tests.outgoing.outside import Outside
from tests.replication.following import Follower

GOOD = 'url = "https://north.example:5000"\nca = "tls/north.pem"\nrepositories = ["**"]\n'


def wrong(text: str, side: str = "outside") -> list[str]:
    return [one.key for one in faults(f'site = "alpha"\nside = "{side}"\n[replicas.north]\n{text}'.encode())]


def test_a_good_one_has_no_fault() -> None:
    assert wrong(GOOD) == []
    assert wrong(GOOD + 'account = "robot-follower"\nevery = 30\nhours = ["22:00-05:00"]\nrate = 1000\n') == []
    assert wrong('url = "http://127.0.0.1:5000"\nrepositories = ["team/*"]\nfollow = false\ndeletes = true\n') == []


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (GOOD.replace("https", "http"), "url"),
        (GOOD.replace("north.example", "ada:word@north.example"), "url"),
        (GOOD.replace(":5000", ":5000/team"), "url"),
        (GOOD.replace('["**"]', '["../x"]'), "repositories"),
        (GOOD.replace('["**"]', "[]"), "repositories"),
        (GOOD.replace('ca = "tls/north.pem"\n', ""), "ca"),
        ('url = "http://127.0.0.1:5000"\nca = "x.pem"\nrepositories = ["**"]\n', "ca"),
        (GOOD + "every = 1\n", "every"),
        (GOOD + 'hours = ["25:00-26:00"]\n', "hours"),
        (GOOD + "rate = -1\n", "rate"),
        (GOOD + 'account = "a b"\n', "account"),
        (GOOD + 'password = "secret"\n', "password"),
        (GOOD + 'deletes = "no"\n', "deletes"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(text: str, key: str) -> None:
    assert f"replicas.north.{key}" in wrong(text)


def test_an_inside_station_follows_nobody() -> None:
    assert wrong(GOOD, "inside") == ["replicas.north"]


def test_a_name_is_no_path() -> None:
    assert faults(b'site = "alpha"\nside = "outside"\n[replicas."../x"]\nurl = ""\n') != []


@pytest.mark.parametrize("text", ["", "https://", "ftp://north.example", "http://north.example", "https://a b", "https://n:0",
                                  "https://n:99999", "https://[::1", "x" * 9999, "https://n/?q=1"])  # fmt: skip
def test_what_is_no_primary_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        split_url(text)


def test_an_authority_that_is_not_there_is_told_before_the_station_starts(tmp_path: Path) -> None:
    with Outside(tmp_path) as outside:
        follower = Follower(outside, "https://north.example", ca="tls/none.pem")
        config = follower.outside.station.config
        said = [one.diagnostics() for one in objections(outside.station.paths, config)]
    assert [text for text in said if "tls/none.pem" in text and "[replicas.north]" in text]


def test_a_host_is_told_in_lower_case() -> None:
    assert split_url("https://North.Example:5000/") == ("north.example:5000", True)
    assert split_url("http://127.0.0.1:5000") == ("127.0.0.1:5000", False)
