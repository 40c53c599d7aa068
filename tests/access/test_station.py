"""A whole station without --open, over TLS: stock clients with the snippets, reload, the control socket, expiry."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.access.certificates import Expiry
from appliance.access.snippets import CLIENTS
from tests.access.live import PASSWORD, Live
from tests.peer_tools import require
from tests.peers.stock import Layout, run


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    station = Live(folder / "bravo", folder)
    made = json.loads(station.call("init", station.root, "--site", "bravo", "--side", "inside", "--json"))
    assert "no accounts yet" in station.call("serve", expect=2)
    assert "one-time code" in station.call("user", "claim", "ada", expect=3, code="AAAA-AAAA", password=PASSWORD)
    station.configure(push='["team/**"]')
    station.call("user", "claim", "ada", code=made["code"], password=PASSWORD)
    again = station.call("user", "claim", "eve", expect=3, code=made["code"], password=PASSWORD)
    assert "administrator has been made" in again
    station.start()
    station.call("user", "login", "ada", password=PASSWORD)
    station.call("user", "create", "alice", password=PASSWORD)
    station.call("role", "grant", "alice", "maintainer", "--on", "team/**")
    yield station
    station.stop()


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    made.tag("1", made.image({"etc/name": b"x", "opt/payload": os.urandom(200_000)}, "amd64"))
    return made


@pytest.fixture
def certs(live: Live, tmp_path: Path) -> Path:
    """What the snippet puts below /etc for this host, put into a folder instead."""
    document = json.loads(live.call("trust", "snippet", "skopeo", "--host", live.host, "--json"))
    for path, content in document["files"].items():
        assert live.host in path
        (tmp_path / Path(path).name).write_text(content)
    return tmp_path


@pytest.mark.peer
def test_skopeo_logs_in_pushes_mounts_pulls_and_deletes(live: Live, layout: Layout, certs: Path) -> None:
    require("skopeo")
    auth = certs / "auth.json"
    log_in = ["skopeo", "login", "--cert-dir", str(certs), "--authfile", str(auth), "-u", "alice", "--password-stdin"]
    assert subprocess.run([*log_in, live.host], input=PASSWORD, text=True, check=False).returncode == 0
    here = f"docker://{live.host}"
    to = ("--authfile", auth, "--dest-cert-dir", certs)
    run("skopeo", "copy", "--quiet", *to, f"oci:{layout.folder}:1", f"{here}/team/app:1")
    run("skopeo", "copy", "--quiet", *to, "--src-cert-dir", certs, f"{here}/team/app:1", f"{here}/team/copy:1")
    assert '"act":"mount-blob"' in "".join(path.read_text() for path in (live.root / "audit").rglob("*.jsonl"))
    raw = run("skopeo", "inspect", "--raw", "--authfile", auth, "--cert-dir", certs, f"{here}/team/copy:1")
    assert json.loads(raw)["layers"]
    run("skopeo", "delete", "--authfile", auth, "--cert-dir", certs, f"{here}/team/copy:1")
    other = subprocess.run(
        ["skopeo", "copy", *map(str, to), f"oci:{layout.folder}:1", f"{here}/secret/app:1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert other.returncode != 0
    assert "403" in other.stderr


@pytest.mark.peer
def test_oras_pushes_and_pulls(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oras = pytest.importorskip("oras.client")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(live.root / "tls/ca.pem"))
    monkeypatch.setenv("HOME", str(tmp_path))
    client: Any = oras.OrasClient(hostname=live.host, auth_backend="token")
    client.auth.set_basic_auth("alice", PASSWORD)
    sent = tmp_path / "report.bin"
    sent.write_bytes(os.urandom(10_000))
    target = f"{live.host}/team/report:1"
    client.push(target, files=[f"{sent}:application/vnd.example"], disable_path_validation=True)
    (received,) = client.pull(target, outdir=str(tmp_path / "back"))
    assert Path(received).read_bytes() == sent.read_bytes()


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_every_snippet_is_a_script_that_names_the_host_and_holds_the_ca(live: Live, client: str) -> None:
    text = live.call("trust", "snippet", client, "--host", live.host)
    assert live.host in text
    ca = (live.root / "tls/ca.pem").read_text().split()
    assert ca == [word for word in text.split() if word in ca]
    if client != "kubernetes":
        assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_a_client_that_does_not_trust_the_ca_is_kept_from_a_mistake(live: Live) -> None:
    connection = http.client.HTTPSConnection("localhost", live.port, context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/v2/")


def test_versions_of_tls_before_1_2_are_refused(live: Live) -> None:
    for version, good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        context = live.trusting()
        context.minimum_version = context.maximum_version = version
        connection = http.client.HTTPSConnection("localhost", live.port, context=context)
        connection.request("GET", "/v2/")
        assert (connection.getresponse().status == 401) is good
    context = live.trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        http.client.HTTPSConnection("localhost", live.port, context=context).request("GET", "/v2/")


def serial(live: Live) -> int:
    """The serial number of the certificate that a new connection meets."""
    from cryptography import x509

    pem = ssl.get_server_certificate(("localhost", live.port), timeout=10)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.mark.parametrize("how", ["command", "SIGHUP"])
def test_a_renewed_certificate_is_taken_up_and_no_connection_is_dropped(live: Live, how: str) -> None:
    old = serial(live)
    kept = http.client.HTTPSConnection("localhost", live.port, context=live.trusting(), timeout=20)
    kept.request("GET", "/v2/")
    kept.getresponse().read()
    before = kept.sock
    live.call("tls", "renew")
    if how == "command":
        live.call("tls", "reload")
    else:
        assert live.process is not None
        live.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while serial(live) == old:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    kept.request("GET", "/v2/")
    assert kept.getresponse().status == 401
    assert kept.sock is before, "the connection that was open is the same one"


def test_who_is_not_logged_in_gets_nothing_from_the_socket(live: Live, tmp_path: Path) -> None:
    stranger = Live(live.root, tmp_path)
    for words in (("status",), ("user", "list"), ("intake", "list"), ("role", "grant", "alice", "administrator")):
        assert "log in" in stranger.call(*words, expect=3)
    assert "wrong name or password" in stranger.call("user", "login", "ada", expect=3, password="not the password")


def test_an_administrator_sees_no_quarantine_and_becomes_no_officer(live: Live) -> None:
    assert "separation of duties" in live.call("intake", "list", expect=3)
    assert "separation of duties" in live.call("role", "grant", "ada", "security-officer", expect=3)
    assert "no administrator" in live.call("user", "disable", "ada", expect=3)


def test_metrics_and_status_speak_of_certificates(live: Live) -> None:
    shown = json.loads(live.call("tls", "show", "--json"))
    assert [entry["level"] for entry in shown["items"]] == [0, 0]
    status = json.loads(live.call("status", "--json"))
    assert {check["name"]: check["ok"] for check in status["health"]["checks"]}["certificates"] is True


@pytest.mark.parametrize(("days", "level"), [(31, 0), (29, 1), (8, 1), (6, 2), (2, 2), (0.9, 3), (-1, 3)])
def test_a_certificate_speaks_up_thirty_seven_and_one_day_before_its_end(days: float, level: int) -> None:
    end = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert Expiry("server", Path("x"), end, int(days * 86_400)).level == level
