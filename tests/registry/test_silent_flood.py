"""2,200 connections that say nothing, against a whole station with 1,024 descriptors: others are served meanwhile."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.limits import registry as limits

HONEST = "127.0.0.200"
FLOOD = 2_200
DESCRIPTORS = 1_024


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A station's, started with the usual limit of descriptors."""
    root = tmp_path / "alpha"
    lockgate = [sys.executable, "-m", "appliance.cli.main"]
    init = [*lockgate, "init", str(root), "--site", "alpha", "--side", "outside", "--open"]
    subprocess.run(init, check=True, capture_output=True)
    command = [*lockgate, "serve", "-C", str(root), "--listen", "127.0.0.1:0"]
    limited = ["/bin/sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *command]
    process = subprocess.Popen(limited, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as the flood takes, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FLOOD + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this process may have {hard} descriptors at most")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def served(port: int) -> bool:
    """Whether an honest client from another address gets its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(HONEST, 0)) as client:
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return client.recv(12) == b"HTTP/1.1 200"


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.long
@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize("addresses", [1, 40])
def test_a_client_is_served_beside_2200_silent_connections_and_those_are_closed(port: int, addresses: int) -> None:
    silent = []
    try:
        for number in range(FLOOD):
            source = (f"127.0.0.{2 + number % addresses}", 0)
            silent.append(socket.create_connection(("127.0.0.1", port), timeout=30, source_address=source))
        last = time.monotonic()
        assert all(served(port) for _ in range(5))
        while not all(_is_closed(one) for one in silent):
            assert time.monotonic() - last < 6 * limits.FIRST_REQUEST
            time.sleep(0.5)
        assert served(port)
    finally:
        for one in silent:
            one.close()
