"""Real S3 servers for tests, each over a temporary folder and gone with the tests: versitygw, and OpenStack Swift."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
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
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.store.blobs import BlobStore
from appliance.store.s3.place import S3Credentials, S3Place, place
from tests.peer_tools import GO_PEERS, PEERS

if TYPE_CHECKING:
    from appliance.store.s3.blobs import S3Blobs
    from appliance.store.s3.bucket import Bucket
    from appliance.store.s3.graveyard import BucketGraveyard

KEY, SECRET = "test:tester", "test-secret-of-the-key"
REGION = "us-east-1"
VERSITYGW = GO_PEERS / "versitygw"
SWIFT = PEERS / "swift" / "bin" / "python"
_READY = 60
"""Seconds within which a server starts on a busy machine."""
_MEMORY = Path("/dev/shm")


class S3Server(Protocol):
    """A server that runs, and takes `CREDENTIALS`."""

    @property
    def port(self) -> int: ...

    @property
    def endpoint(self) -> str: ...

    def new_place(self, prefix: str = ..., endpoint: str = ...) -> S3Place:
        """A bucket of its own."""
        ...


class _Program:
    """A server's program, in a folder of its own."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.port = folder, port
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _run(self, command: list[str], *, spoken: bool = False, **variables: str) -> subprocess.Popen[bytes]:
        """Start it; what it says goes to its log. `spoken`: it says one line, which is read here."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=INT", *command], stdout=subprocess.PIPE if spoken else log, stderr=log,
                env={**os.environ, **variables},
            )  # fmt: skip
        return self._process

    def kill(self) -> None:
        """End it without a word, as kill -9 does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate(timeout=_READY)

    def new_place(self, prefix: str = "stations/alpha", endpoint: str = "") -> S3Place:
        name = f"bucket-{next(self._numbers)}-{secrets.token_hex(4)}"
        self.make_bucket(name)
        return place(f"s3://{name}/{prefix}", endpoint or self.endpoint, REGION)

    def make_bucket(self, name: str) -> None:
        raise NotImplementedError


class Versitygw(_Program):
    """versitygw over a folder, which has a folder for each bucket."""

    @classmethod
    def start(cls, folder: Path, *options: str) -> Self:
        find(VERSITYGW, "--go")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            made = cls(folder, int(taken.getsockname()[1]))
        for name in ("buckets", "meta"):
            (folder / name).mkdir()
        made.run(*options)
        return made

    def run(self, *options: str) -> None:
        """Start it, with options like `--cert`; it takes connections on return."""
        command = [str(VERSITYGW), "--port", f"127.0.0.1:{self.port}", "--region", REGION, *options, "posix"]
        command += ["--sidecar", str(self.folder / "meta"), str(self.folder / "buckets")]
        process = self._run(command, ROOT_ACCESS_KEY=KEY, ROOT_SECRET_KEY=SECRET, HOME=str(self.folder))
        deadline = time.monotonic() + _READY
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            assert process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def make_bucket(self, name: str) -> None:
        (self.folder / "buckets" / name).mkdir()


class Swift(_Program):
    """OpenStack Swift with its S3 API (tests/swift_program.py), over a folder."""

    @classmethod
    def start(cls, folder: Path) -> Self:
        python = find(SWIFT, "--swift")
        try:
            os.setxattr(folder, "user.lockgate", b"1")
        except OSError:
            pytest.skip("Swift needs a file system with extended attributes")
        made = cls(folder)
        program = Path(__file__).with_name("swift_program.py")
        process = made._run(
            [str(python), str(program), str(folder), REGION, KEY, SECRET], spoken=True, HOME=str(folder)
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip(), (folder / "log").read_text()
        made.port = int(line)
        return made

    def make_bucket(self, name: str) -> None:
        """Swift makes buckets by its S3 API: one request, signed by hand (Amazon's Signature Version 4)."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        empty, names = hashlib.sha256(b"").hexdigest(), "host;x-amz-content-sha256;x-amz-date"
        headers = {"host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": empty, "x-amz-date": now}
        request = "\n".join(["PUT", f"/{name}", "", *(f"{key}:{value}" for key, value in headers.items()), ""])
        request += f"\n{names}\n{empty}"
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{SECRET}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        )
        asked = http.client.HTTPConnection("127.0.0.1", self.port)
        asked.request("PUT", f"/{name}", headers=headers)
        answer = asked.getresponse()
        assert answer.status == 200, answer.read()
        asked.close()


def issue_certificate(folder: Path) -> Path:
    """A folder with `key.pem` and `cert.pem`: an authority's own, and a server's at 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder.mkdir()
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder


def find(program: Path, how: str) -> Path:
    """A server's program; the test is skipped where it is missing. A machine without a network cannot get it, so that
    its absence fails no run."""
    try:
        import obstore  # noqa: F401
    except ImportError:
        pytest.skip("needs obstore (the extra `scale`, or requirements-dev.lock)")
    if not os.access(program, os.X_OK) or shutil.which("setpriv") is None:
        pytest.skip(f"needs {program} (packaging/test-peers {how} installs it)")
    return program


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
def running_server(kind: type[Versitygw] | type[Swift]) -> Iterator[S3Server]:
    """A server of a kind that runs while the block does; the test is skipped where it is missing."""
    memory = _MEMORY if kind is Versitygw and os.access(_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="lockgate-s3-", dir=memory))
    server = None
    try:
        server = kind.start(folder)
        yield server
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
