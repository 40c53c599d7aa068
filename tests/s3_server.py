"""A real S3 server for tests: versitygw over a temporary folder, gone with the tests, and a way to it that fails on
request."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.store.blobs import BlobStore
from appliance.store.s3.place import S3Credentials, S3Place, place
from tests.peer_tools import GO_PEERS

if TYPE_CHECKING:
    from appliance.store.s3.blobs import S3Blobs
    from appliance.store.s3.bucket import Bucket
    from appliance.store.s3.graveyard import BucketGraveyard

KEY, SECRET = "test-key", "test-secret-of-the-key"
REGION = "us-east-1"
_READY = 60
"""Seconds within which a server starts on a busy machine."""
_MEMORY = Path("/dev/shm")


class S3Server:
    """A server with its folder, which has a folder for each bucket. `start` and `kill` are what tests do to it."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder, self._program = folder / "buckets", program
        self._log = folder / "log"
        self._meta = folder / "meta"
        for made in (self.folder, self._meta):
            made.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = int(taken.getsockname()[1])
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; it takes connections on return."""
        keys = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET, "HOME": str(self.folder.parent)}
        command = ["setpriv", "--pdeathsig=INT", str(self._program), "--port", f"127.0.0.1:{self.port}"]
        command += ["--region", REGION, "posix", "--sidecar", str(self._meta), str(self.folder)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **keys})
        deadline = time.monotonic() + _READY
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert time.monotonic() < deadline, self._log.read_text()
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """End it without a word, as kill -9 does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(_READY)

    def new_place(self, prefix: str = "stations/alpha", endpoint: str = "") -> S3Place:
        """A bucket of its own."""
        name = f"bucket-{next(self._numbers)}-{secrets.token_hex(4)}"
        (self.folder / name).mkdir()
        return place(f"s3://{name}/{prefix}", endpoint or self.endpoint, REGION)

    def file_of(self, where: S3Place, key: str) -> Path:
        """The file that an object's bytes are in."""
        return self.folder / where.bucket / where.prefix / key


CREDENTIALS = S3Credentials(KEY, SECRET)
STORE_ID = "5" * 32


def make_bucket(where: S3Place) -> Bucket:
    """A bucket as the station sees it, for who owns it, too."""
    from appliance.store.s3.bucket import Bucket

    return Bucket(where, CREDENTIALS)


def make_graveyard(where: S3Place) -> BucketGraveyard:
    """The graveyard in a bucket."""
    from appliance.store.s3.graveyard import BucketGraveyard

    return BucketGraveyard(make_bucket(where))


def make_s3_blobs(where: S3Place, spool: BlobStore, **options: int) -> S3Blobs:
    """The blobs of a station whose bucket this is, written by way of its spool."""
    from appliance.store.s3.blobs import S3Blobs

    made = S3Blobs(make_bucket(where), spool, STORE_ID, **options)
    made.claim()
    return made


@contextlib.contextmanager
def running_server() -> Iterator[S3Server]:
    """A server that runs while the block does; the test is skipped where one is missing. It is built by Go's own tool,
    which a machine without a network cannot do: so its absence fails no run."""
    try:
        import obstore  # noqa: F401
    except ImportError:
        pytest.skip("needs obstore (the extra `scale`, or requirements-dev.lock)")
    program = GO_PEERS / "versitygw"
    if not os.access(program, os.X_OK) or shutil.which("setpriv") is None:
        pytest.skip("needs versitygw (packaging/test-peers --go installs it)")
    folder = Path(tempfile.mkdtemp(prefix="lockgate-s3-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    server = S3Server(program, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
