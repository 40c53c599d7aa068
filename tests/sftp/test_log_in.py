"""How a transfer host is logged in to: keys, agents, certificates, passphrases, and through another host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from appliance.outgoing import sftp_list
from bundles.errors import RefusedError, UsageError
from tests.sftp.ssh_server import SshServer, make_key, ssh_server
from tests.sftp.station import Carrying, carrying, with_secret


def _looks(station: Carrying) -> bool:
    return station.list()["bundles"] == []


def _encrypt(server: SshServer, passphrase: str) -> None:
    words = ["ssh-keygen", "-q", "-p", "-f", server.key, "-P", "", "-N", passphrase]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def test_a_key_with_a_passphrase_from_the_job_or_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ssh_server(tmp_path / "ssh") as server, carrying(tmp_path / "bravo", drop=server.settings()) as station:
        _encrypt(server, "open sesame")
        with pytest.raises(UsageError, match="needs a passphrase") as told:
            station.list()
        assert "transfer-drop" in told.value.remedy
        with pytest.raises(UsageError, match="cannot be used"):
            sftp_list.run(with_secret(station.inside.context(at="drop"), b"wrong"))
        assert sftp_list.run(with_secret(station.inside.context(at="drop"), b"open sesame"))["bundles"] == []
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        (credentials / "transfer-drop").write_text("open sesame\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
        assert _looks(station)


def test_a_key_as_a_credential_and_one_that_others_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ssh_server(tmp_path / "ssh") as server:
        with carrying(tmp_path / "bravo", drop=server.settings(key="")) as station:
            with pytest.raises(UsageError, match="nothing to log in with"):
                station.list()
            credentials = tmp_path / "credentials"
            credentials.mkdir()
            (credentials / "transfer-drop-key").write_bytes(server.key.read_bytes())
            (credentials / "transfer-drop-key").chmod(0o400)
            monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
            assert _looks(station)
        server.key.chmod(0o644)
        with carrying(tmp_path / "bravo", drop=server.settings()) as station, pytest.raises(RefusedError) as told:
            station.list()
        assert f"chmod 600 {server.key}" in told.value.remedy


def test_an_agent_and_a_certificate(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh", f"TrustedUserCAKeys {tmp_path}/ca.pub") as server:
        make_key(tmp_path / "ca")
        make_key(tmp_path / "person")
        signing = ["ssh-keygen", "-q", "-s", tmp_path / "ca", "-I", "me", "-n", server.user, tmp_path / "person.pub"]
        subprocess.run(signing, check=True)
        by_certificate = server.settings(key=str(tmp_path / "person"), certificate=str(tmp_path / "person-cert.pub"))
        bare = server.settings(key=str(tmp_path / "person"))
        other = server.settings(certificate=str(tmp_path / "person-cert.pub"))
        agent = tmp_path / "agent"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL)
        try:
            by_agent = server.settings(key="", agent=str(agent))
            with carrying(tmp_path / "bravo", cert=by_certificate, bare=bare, other=other, agent=by_agent) as station:
                assert station.list("cert")["bundles"] == []
                with pytest.raises(RefusedError, match="lets this account not in"):
                    station.list("bare")
                with pytest.raises(UsageError, match="no key is the certificate's"):
                    station.list("other")
                while not agent.is_socket():
                    assert process.poll() is None
                with pytest.raises(UsageError, match="holds no key"):
                    station.list("agent")
                adding = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
                subprocess.run(["ssh-add", "-q", server.key], env=adding, check=True)
                assert station.list("agent")["bundles"] == []
        finally:
            process.kill()
            process.wait()


def test_a_host_behind_another_and_each_holds_its_own_key(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "jump") as jump, ssh_server(tmp_path / "ssh") as server:
        hosts = {
            "jump": jump.settings(), "drop": server.settings(through="jump"),
            "strange": jump.settings(host_keys=("SHA256:" + "A" * 43,)), "behind": server.settings(through="strange"),
        }  # fmt: skip
        with carrying(tmp_path / "bravo", **hosts) as station:
            assert _looks(station)
            with pytest.raises(RefusedError) as told:
                station.list("behind")
        assert told.value.code == "host-key"
        assert told.value.thing.startswith("strange shows ")
