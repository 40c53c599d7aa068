"""A PostgreSQL server for tests: its own cluster in a temporary folder, on a Unix socket, gone with the tests.

PostgreSQL does not run as root: there the server is started as another user. The databases are made from one that has
the schema already.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.peer_tools import cannot

_TOOLS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_MEMORY = Path("/dev/shm")
_READY = 60
"""Seconds within which a server starts or stops on a busy machine."""
_TEMPLATE = "with_schema"


class PostgresServer:
    """A server with its folder. `start` and `kill` are what tests do to it."""

    def __init__(self, folder: Path, tools: Path, user: list[str]) -> None:
        self.folder, self._tools, self._user = folder, tools, user
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        made = subprocess.run(
            [*user, str(tools / "initdb"), "--no-sync", "--pgdata", str(folder / "data"), "--username=lockgate",
             "--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr

    def start(self, *settings: str) -> None:
        """Start it, with settings like `max_connections=5`; it takes connections on return. A server that was killed
        has processes for a moment yet: it is tried again."""
        every = ("listen_addresses=", f"unix_socket_directories={self.folder}", "shared_buffers=16MB",
                 "max_connections=40", "autovacuum=off", *settings)  # fmt: skip
        command = [*self._user, str(self._tools / "postgres"), "-D", str(self.folder / "data")]
        command += [part for one in every for part in ("-c", one)]
        deadline = time.monotonic() + _READY
        while True:
            if self._process is None or self._process.poll() is not None:
                with (self.folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(command, stdout=log, stderr=log)
            if self._answers():
                return
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.conninfo("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """End it without a word, as kill -9 does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(_READY)

    def freeze(self) -> None:
        """Stop it and each of its processes where they are, as a disk that hangs does: no connection ends."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        server = self._process.pid
        os.kill(server, number)
        for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    def stop(self) -> None:
        """End it in order, whoever is connected."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_READY)

    def conninfo(self, database: str) -> str:
        """Where a database is, as libpq takes it."""
        return f"host={self.folder} user=lockgate dbname={database}"

    def administer(self, statement: str, database: str = "postgres") -> None:
        """Run a statement of an administrator's."""
        import psycopg

        with contextlib.closing(psycopg.connect(self.conninfo(database), autocommit=True)) as admin:
            admin.execute(statement.encode())

    def make_template(self) -> None:
        """Make the database that others are made from."""
        from appliance.store.postgres.engine import PostgresEngine

        self.administer(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
        self.administer("CREATE EXTENSION amcheck", _TEMPLATE)
        PostgresEngine(self.conninfo(_TEMPLATE)).open_writer().close()

    def new_database(self, options: str = f"TEMPLATE {_TEMPLATE}") -> str:
        """The conninfo of a new database; with this program's schema, unless `options` say another template."""
        return self.conninfo(self.empty_database(options))

    def empty_database(self, options: str = "TEMPLATE template0") -> str:
        """The name of a new database, without a schema unless `options` say so; `amcheck` is in it."""
        name = f"test_{next(self._numbers)}"
        self.administer(f"CREATE DATABASE {name} {options}")
        self.administer("CREATE EXTENSION IF NOT EXISTS amcheck", name)
        return name


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server that runs while the block does, with its template; the test is skipped, or fails, where PostgreSQL or
    psycopg is missing (tests.peer_tools)."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        cannot("needs psycopg (the extra `scale`, or requirements-dev.lock)")
    tools = next((folder for folder in _TOOLS if (folder / "initdb").is_file()), None)
    if tools is None:
        cannot("needs postgresql (packaging/test-peers installs what is missing)")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        cannot("needs setpriv (util-linux)")
    user = [setpriv, "--pdeathsig=INT"]  # a test process that is killed takes its server along
    folder = Path(tempfile.mkdtemp(prefix="lockgate-pg-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user += [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    server = None
    try:
        server = PostgresServer(folder, tools, user)
        server.start()
        server.make_template()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
