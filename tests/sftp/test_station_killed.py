"""A transfer of a station that is killed and started again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.intake.inside import small_bundle
from tests.sftp.ssh_server import ssh_server
from tests.sftp.station import files_of
from tests.stage import Station

NAME = "alpha.bravo-000001"


def test_a_push_goes_on_after_kill_9_of_the_station_and_a_pull_brings_all_of_it(tmp_path: Path) -> None:
    made = small_bundle(tmp_path / "made")
    bravo = Station(tmp_path / "bravo", "bravo", "inside")
    (tmp_path / "alpha.pem").write_bytes(made.key.public.to_pem())
    (tmp_path / "in").mkdir()
    with ssh_server(tmp_path / "ssh") as server:
        config = tmp_path / "bravo" / "config.toml"
        text = config.read_text().replace('media_roots = ["/media"', f'media_roots = ["{tmp_path}", "/media"')
        config.write_text(
            f'{text}\n[transfer_hosts.drop]\naddress = "127.0.0.1:{server.port}"\nuser = "{server.user}"\n'
            f'host_keys = ["{server.fingerprint}"]\nfolder = "{server.drop}"\nkey = "{server.key}"\n'
            "rate = 2000000\nparallel = 1\n"
        )
        with bravo:
            bravo.run("key", "trust", tmp_path / "alpha.pem", "--purpose", "bundle", "--owner", "A", "--from", "alpha")
            job = bravo.run("sftp", "push", made.folder, "--to", "drop", "--detach").last_line
            part = server.drop / NAME / "volumes" / ".0001.7z.part"
            while not part.exists() or part.stat().st_size == 0:
                assert bravo.run("job", "show", job, "--json").json["state"] in ("queued", "starting", "running")
            assert bravo.process is not None
            os.killpg(bravo.process.pid, signal.SIGKILL)
            bravo.process.wait()
        assert not (server.drop / NAME / "SHA256SUMS").exists()
        with bravo:
            end = time.monotonic() + 120
            while (shown := bravo.run("job", "show", job, "--json").json)["state"] in ("queued", "starting", "running"):
                assert time.monotonic() < end
            assert shown["state"] == "done", shown
            assert shown["result"]["bundles"][0]["resumed"] == 1
            assert files_of(server.drop / NAME) == files_of(made.folder)
            (bundle,) = bravo.run("sftp", "list", "drop", "--json").json["bundles"]
            assert bundle == {"id": NAME, "whole": True, "volumes": 3}
            assert bravo.run("sftp", "hosts", "--json").json["items"][0]["host_keys"] == [server.fingerprint]
            pulled = bravo.run("sftp", "pull", NAME, "--from", "drop", "--out", tmp_path / "in").last_line
            assert files_of(Path(pulled)) == files_of(made.folder)
            assert bravo.run("intake", "import", pulled).last_line == NAME
            bravo.run("sftp", "pull", NAME, "--from", "elsewhere", "--out", tmp_path / "in", expect=2)
