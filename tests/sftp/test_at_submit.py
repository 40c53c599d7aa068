"""A transfer whose host or bundle is mistyped is refused before there is a job; Tab offers the hosts."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from appliance.cli.completion import HOST
from tests.stage import Station

FINGERPRINT = "SHA256:" + "A" * 42 + "E"


@pytest.fixture(scope="module")
def bravo(tmp_path_factory: pytest.TempPathFactory) -> Station:
    folder = tmp_path_factory.mktemp("station") / "bravo"
    station = Station(folder, "bravo", "inside")
    with (folder / "config.toml").open("a") as config:
        for name in ("dropzone", "other"):
            config.write(f'\n[transfer_hosts.{name}]\naddress = "192.0.2.1"\nuser = "lockgate"\n'
                         f'host_keys = ["{FINGERPRINT}"]\npassword = true\n')  # fmt: skip
    return station


def test_a_mistyped_transfer_is_no_job_and_tab_names_the_hosts(bravo: Station, tmp_path: Path) -> None:
    with bravo:
        for words in (
            ("list", "dropzon"), ("list", "dropzone:../etc"), ("push", tmp_path, "--to", "drop zone"),
            ("pull", "alpha.bravo-000001", "--from", "\x1b[2J", "--out", tmp_path),
            ("pull", "alpha.bravo", "--from", "dropzone", "--out", tmp_path),
        ):  # fmt: skip
            told = bravo.run("sftp", *words, expect=2).stderr
            assert len(told.strip().splitlines()) <= 2
            assert "\x1b" not in told
        assert "dropzone, other" in bravo.run("sftp", "list", "dropzon", expect=2).stderr
        assert bravo.run("job", "list", "--json").json["items"] == []

        context = click.Context(click.Command("list"))
        context.params["root"] = str(bravo.folder)
        assert [one.value for one in HOST.shell_complete(context, click.Argument(["host"]), "d")] == ["dropzone"]
        assert [one.value for one in HOST.shell_complete(context, click.Argument(["host"]), "")] == [
            "dropzone",
            "other",
        ]
    assert HOST.shell_complete(context, click.Argument(["host"]), "") == []
