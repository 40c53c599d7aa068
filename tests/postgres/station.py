"""A station on PostgreSQL for tests."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import forked
from tests.postgres_server import PostgresServer
from tests.registry_server import Client


@dataclass
class Station:
    """A folder and its database. `start` serves on a port of loopback."""

    root: Path
    server: PostgresServer
    database: str
    process: forked.Forked | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"postgresql://lockgate@/{self.database}?host={self.server.folder}"

    @property
    def client(self) -> Client:
        return Client(self.port)

    def call(self, *words: object, expect: int = 0) -> str:
        """What a command on the folder prints; its stderr where it is to fail."""
        done = forked.run([*map(str, words), "-C", str(self.root)])
        assert done.returncode == expect, (words, done.stdout, done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def json(self, *words: object) -> Any:
        return json.loads(self.call(*words, "--json"))

    def make(self, *words: str, side: str = "outside", site: str = "alpha", expect: int = 0) -> str:
        """`init` with the database."""
        done = forked.run(
            ["init", str(self.root), "--site", site, "--side", side, "--metadata", self.url, *words],
        )
        assert done.returncode == expect, (done.stdout, done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def start(self) -> None:
        self.process = forked.start(["serve", "-C", str(self.root), "--listen", "127.0.0.1:0"])
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    def set_url(self, url: str) -> None:
        """Write another place of the metadata into config.toml."""
        config = self.root / "config.toml"
        before, table, behind = config.read_text().partition("[metadata]\n")
        line = f"url = {json.dumps(url)}"
        config.write_text(before + table + re.sub(r"(?m)^url = .*$", lambda _: line, behind, count=1))
