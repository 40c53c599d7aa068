"""Whose account a job uses at a registry, and what happens when the one that came with it is gone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from appliance.jobs.kinds import JobContext
from appliance.outgoing.collect.station_accesses import StationAccesses, accesses_of
from appliance.settings.station import Config
from appliance.upstreams.accounts import Account, Accounts
from appliance.upstreams.auth_files import CREDENTIAL
from bundles.errors import FailedError, UsageError

SECRET = "s3cret-of-the-test"


def context(root: Path, secret: bytes | None, hosts: list[str] | None = None) -> JobContext:
    """A job that was handed `secret`, or was started again since."""
    config = msgspec.convert({"site": "alpha", "side": "outside"}, Config)
    params: dict[str, Any] = {"sources": []} | ({} if hosts is None else {"accounts": hosts})
    station = SimpleNamespace(config=config, paths=SimpleNamespace(root=root))
    return cast(JobContext, SimpleNamespace(params=params, station=station, secret=lambda: secret))


def accesses(root: Path, *handed: Account, environ: dict[str, str] | None = None) -> StationAccesses:
    return accesses_of(context(root, Accounts(handed).encode(), ["ghcr.io"]), environ or {})


def own(root: Path, host: str) -> dict[str, str]:
    """The environment of a service with its own account at a registry."""
    (root / CREDENTIAL).write_text(json.dumps({"auths": {host: {"username": "station", "password": SECRET}}}))
    return {"CREDENTIALS_DIRECTORY": str(root)}


def test_what_came_with_the_job_is_used_and_in_no_text(tmp_path: Path) -> None:
    access = accesses(tmp_path, Account("ghcr.io", "ada", SECRET)).for_repository("ghcr.io", "team/app")
    assert (access.user, access.secret, access.identity_token) == ("ada", SECRET, None)
    assert SECRET not in repr(access)
    token = accesses(tmp_path, Account("ghcr.io", "", "", SECRET)).for_repository("ghcr.io", "team/app")
    assert (token.user, token.secret, token.identity_token) == (None, None, SECRET)
    assert SECRET not in repr(token)


def test_an_account_is_for_its_registry_and_its_part_of_it_alone(tmp_path: Path) -> None:
    found = accesses(tmp_path, Account("ghcr.io/team", "ada", SECRET))
    for host, repository in (("ghcr.io", "other/app"), ("quay.io", "team/app"), ("ghcr.io:5000", "team/app")):
        assert found.for_repository(host, repository).user is None
    assert found.for_repository("GHCR.io", "team/app").user == "ada"


def test_the_stations_own_account_counts_where_none_came(tmp_path: Path) -> None:
    environ = own(tmp_path, "ghcr.io")
    assert accesses(tmp_path, environ=environ).for_repository("ghcr.io", "a").user == "station"
    both = accesses(tmp_path, Account("ghcr.io", "ada", SECRET), environ=environ)
    assert both.for_repository("ghcr.io", "a").user == "ada"
    assert both.for_repository("quay.io", "a").user is None


def test_a_job_that_lost_its_account_fails_by_name_and_asks_nothing_anonymously(tmp_path: Path) -> None:
    again = accesses_of(context(tmp_path, None, ["ghcr.io"]), {})
    with pytest.raises(FailedError) as lost:
        again.for_repository("ghcr.io", "team/app")
    assert lost.value.thing == "ghcr.io"
    assert "run the same command again" in lost.value.remedy
    assert again.for_repository("quay.io", "team/app").user is None


def test_a_job_that_lost_its_account_goes_on_with_the_stations_own(tmp_path: Path) -> None:
    again = accesses_of(context(tmp_path, None, ["ghcr.io"]), own(tmp_path, "ghcr.io"))
    assert again.for_repository("ghcr.io", "team/app").user == "station"


def test_a_job_that_never_had_an_account_has_lost_none(tmp_path: Path) -> None:
    assert accesses_of(context(tmp_path, None), {}).for_repository("ghcr.io", "a").user is None


def test_a_malformed_file_of_the_station_is_named_without_the_secret(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL).write_text(json.dumps({"auths": {"ghcr.io": SECRET}}))
    with pytest.raises(UsageError) as wrong:
        accesses_of(context(tmp_path, None), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert str(tmp_path / CREDENTIAL) in wrong.value.diagnostics()
    assert SECRET not in wrong.value.diagnostics()
