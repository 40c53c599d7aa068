"""A real station with accounts, for the console's tests: its own processes, TLS, argon2id, SQLite."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.widgets import Input

from appliance.cli.shared.first_steps import FirstSteps
from appliance.clock import now
from tests import forked
from tests.console.conftest import Driven, Seconds
from tests.console.doubles.station import demo_pair
from tui.screens.people.log_in import LogIn
from tui.shell.console import LockgateConsole
from tui.station.control_socket import ControlStation
from tui.station.keyring import FolderKeyring
from tui.terminal.look import Look

PASSWORD = "a password of some length"
PEOPLE = {"bob": "courier", "olga": "security-officer", "jana": "collector"}


class RealStation:
    """Site `bravo` inside, or `alpha` outside; `ada` is administrator, PEOPLE have a role each, all with PASSWORD."""

    def __init__(self, folder: Path, side: str = "inside") -> None:
        self.home = folder
        self.side = side
        self.root = folder / ("bravo" if side == "inside" else "alpha")
        self.process: forked.Forked | None = None
        self.port = 0

    def call(self, *words: object, **secrets: str) -> str:
        """A command's stdout. `code="X"` is handed over as --code-fd."""
        command = list(words)
        handed = []
        for name, secret in secrets.items():
            reading, writing = os.pipe()
            os.write(writing, secret.encode() + b"\n")
            os.close(writing)
            command += [f"--{name}-fd", reading]
            handed.append(reading)
        environment = os.environ | {"LOCKGATE_DIR": str(self.root), "XDG_RUNTIME_DIR": str(self.home)}
        done = forked.run(command, pass_fds=handed, env=environment)
        for descriptor in handed:
            os.close(descriptor)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def make(self) -> str:
        """`lockgate init`; returns the one-time code."""
        words = ("init", self.root, "--site", self.root.name, "--side", self.side, "--json")
        return str(json.loads(self.call(*words))["code"])

    def start(self) -> None:
        """Until the sockets answer."""
        self.process = forked.start(["serve", "-C", self.root, "--listen", "127.0.0.1:0"])
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "serving" in line
        self.port = int(line.rpartition(":")[2])

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    def people(self) -> None:
        """Everybody, each with a role."""
        self.call("user", "login", "ada", password=PASSWORD)
        for name, role in PEOPLE.items():
            self.call("user", "create", name, password=PASSWORD)
            self.call("role", "grant", name, role)

    def knocks(self, name: str, secret: str) -> int:
        """The status of /v2/ over TLS with a name and a secret."""
        trusting = ssl.create_default_context(cafile=str(self.root / "tls/ca.pem"))
        connection = http.client.HTTPSConnection("localhost", self.port, context=trusting, timeout=30)
        basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
        connection.request("GET", "/v2/", headers={"Authorization": f"Basic {basic}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def events(self, act: str) -> list[dict[str, Any]]:
        """The audit log's events of an act."""
        lines = [line for path in sorted((self.root / "audit").rglob("*.jsonl")) for line in path.open()]
        return [event for line in lines if (event := json.loads(line)).get("act") == act or act in line]


_DEADLINE = 60.0


class Console(Driven):
    """Waits longer than on the demo: the station is real, and hashes passwords."""

    async def until(self, condition: Any, what: str = "") -> None:
        end = time.monotonic() + _DEADLINE
        while not condition():
            assert time.monotonic() < end, f"it did not come: {what}\n{self.screen()}"
            await asyncio.sleep(0.02)
        await self.pilot.pause()

    async def rest(self) -> None:
        await self.pilot.pause()

    async def type(self, **fields: str) -> None:
        """Fill the log-in's fields, and send them."""
        for name, text in fields.items():
            self.app.screen.query_one(f"#{name}", Input).value = text
        list(self.app.screen.query(Input))[-1].focus()
        await self.pilot.pause()
        await self.pilot.press("enter")

    async def log_in(self, name: str, password: str = PASSWORD) -> None:
        await self.until(lambda: isinstance(self.app.screen, LogIn), "the log-in")
        await self.type(account=name, password=password)
        await self.until(lambda: f"│ {name} │" in self.screen().partition("\n")[0], f"{name} is in")


@asynccontextmanager
async def console_of(station: RealStation) -> AsyncIterator[Console]:
    """`lockgate console -C DIR`, on this test's terminal."""
    seconds = Seconds()
    app = LockgateConsole(
        ControlStation(station.root), FolderKeyring(station.root), now=now, look=Look(colour=False), seconds=seconds,
        first=FirstSteps(station.root),
    )  # fmt: skip
    async with app.run_test(size=(100, 30)) as pilot:
        inside, outside = demo_pair(seconds)
        yield Console(app, pilot, inside, outside, seconds)
