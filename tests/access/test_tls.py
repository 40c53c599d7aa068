"""TLS of a worker: who shows a certificate gets in and nobody else where it is asked for; a head has its time."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.access.certificates import make_ca, make_server
from appliance.access.tls import server_context
from appliance.limits import registry as limits
from appliance.paths import StationPaths
from appliance.settings.access import TlsSettings
from appliance.settings.faults import faults
from appliance.settings.station import Config
from bundles.errors import FailedError
from tests.access.papers import Issuer
from tests.access.site import Site
from tests.registry_server import Server

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@dataclass
class Front:
    """A site with a CA and a server's certificate, and the issuer of its clients'."""

    site: Site
    clients: Issuer

    @property
    def paths(self) -> StationPaths:
        return self.site.paths

    def config(self, **tls: Any) -> Config:
        return Config(site="bravo", side="inside", tls=TlsSettings(**tls))

    def serve(self, **tls: Any) -> Server:
        return self.site.worker(tls=server_context(self.config(**tls), self.paths))

    def ask(self, server: Server, certificate: Path | None = None, version: ssl.TLSVersion | None = None) -> int:
        """The status of a request for the base; an error of TLS is raised."""
        context = ssl.create_default_context(cafile=str(self.paths.tls / "ca.pem"))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if certificate is not None:
            context.load_cert_chain(certificate)
        connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/v2/")
            return connection.getresponse().status


@pytest.fixture
def front(site: Site, tmp_path: Path) -> Iterator[Front]:
    make_ca(site.paths, "bravo")
    make_server(site.paths, ["localhost"])
    return Front(site, Issuer(tmp_path, "clients"))


REFUSED = (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_where_a_clients_certificate_is_required_nobody_without_a_good_one_is_heard(
    front: Front, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    server = front.serve(clients="required", client_ca=str(front.clients.ca))
    strangers = Issuer(tmp_path, "strangers")
    assert front.ask(server, front.clients.client("ci"), version) == 401, "a certificate is no account"
    for paper in (None, strangers.client("ci"), front.clients.client("over", days=-1)):
        with pytest.raises(REFUSED):
            front.ask(server, paper, version)
    assert not front.site.audit.events[1:], "what TLS refuses reaches no handler"


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_where_it_is_optional_none_will_do_and_a_wrong_one_will_not(
    front: Front, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    server = front.serve(clients="optional", client_ca=str(front.clients.ca))
    assert front.ask(server, None, version) == 401
    assert front.ask(server, front.clients.client("ci"), version) == 401
    with pytest.raises(REFUSED):
        front.ask(server, Issuer(tmp_path, "strangers").client("ci"), version)


def test_a_server_certificate_of_the_site_is_no_clients(front: Front) -> None:
    """Its use is to be a server: shown as a client's it is refused, whoever signed it."""
    server = front.serve(clients="required", client_ca=str(front.paths.tls / "ca.pem"))
    both = front.paths.tls / "both.pem"
    both.write_bytes((front.paths.tls / "server.pem").read_bytes() + (front.paths.tls / "server.key").read_bytes())
    with pytest.raises(REFUSED):
        front.ask(server, both)


def test_a_site_may_ask_for_1_3_alone(front: Front) -> None:
    server = front.serve(minimum="1.3")
    assert front.ask(server, None, ssl.TLSVersion.TLSv1_3) == 401
    with pytest.raises(REFUSED):
        front.ask(server, None, ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA256"])
def test_1_2_has_no_cipher_without_forward_secrecy_or_authentication(front: Front, cipher: str) -> None:
    server = front.serve()
    context = ssl.create_default_context(cafile=str(front.paths.tls / "ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with socket.create_connection(("localhost", server.port), timeout=60) as plain, pytest.raises(REFUSED):
        context.wrap_socket(plain, server_hostname="localhost")


def test_what_is_missing_is_named(front: Front, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="the clients' CA cannot be read"):
        server_context(front.config(clients="required", client_ca="nowhere.pem"), front.paths)
    (fault,) = faults(b'site = "bravo"\nside = "inside"\n[tls]\nclients = "required"\n')
    assert (fault.key, fault.what) == ("tls.clients", "clients and client_ca go together")
    (front.paths.tls / "server.key").write_text("no key")
    with pytest.raises(FailedError, match=r"TLS cannot start.*server\.key"):
        server_context(front.config(), front.paths)


@pytest.mark.parametrize("sent", [b"", b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n"], ids=["nothing", "a head's begin"])
def test_a_head_that_does_not_come_to_its_end_is_waited_for_so_long(
    front: Front, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the handshake, a header now and then gains no time."""
    monkeypatch.setattr(limits, "KEEPALIVE", 1.0)
    server = front.serve()
    context = ssl.create_default_context(cafile=str(front.paths.tls / "ca.pem"))
    with socket.create_connection(("localhost", server.port), timeout=60) as plain:
        connection = context.wrap_socket(plain, server_hostname="localhost")
        connection.sendall(sent)
        connection.settimeout(0.2)
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline, "the connection is still open"
            try:
                received = connection.recv(1024)
            except TimeoutError:
                with contextlib.suppress(*REFUSED):
                    connection.sendall(b"X-More: 1\r\n" if sent else b"")
                continue
            except REFUSED:
                break
            assert received == b""
            break


def test_a_head_has_so_many_headers(front: Front) -> None:
    server = front.serve()
    context = ssl.create_default_context(cafile=str(front.paths.tls / "ca.pem"))
    connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=60)
    headers = {f"X-{number}": "y" for number in range(limits.REQUEST_HEADERS + 8)}
    with contextlib.closing(connection):
        connection.request("GET", "/v2/", headers=headers)
        assert connection.getresponse().status in (400, 431)
