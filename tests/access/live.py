"""A whole station without --open, for tests: the real program, over TLS, with a log-in kept in a folder."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import forked

PASSWORD = "a password of some length"
NOBODY = 65_534
PATHS = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])}
"""What this Python imports from, for another one that may read it."""


@dataclass
class Live:
    """A running station and its folder; `lockgate` as somebody whose log-in is kept in `home`."""

    root: Path
    home: Path
    port: int = 0
    process: forked.Forked | None = None

    def call(
        self,
        *words: object,
        expect: int = 0,
        user: int | None = None,
        groups: Sequence[int] | None = None,
        **secrets: str,
    ) -> str:
        """A command's stdout, or its stderr where it is to fail; as `user`, who is in `groups` alone.

        `code="X"` is handed over as --code-fd.
        """
        command = [str(word) for word in words]
        handed = []
        for name, secret in secrets.items():
            reading, writing = os.pipe()
            os.write(writing, secret.encode() + b"\n")
            os.close(writing)
            command += [f"--{name}-fd", str(reading)]
            handed.append(reading)
        environment = os.environ | {"LOCKGATE_DIR": str(self.root), "XDG_RUNTIME_DIR": str(self.home)} | PATHS
        if user is None:
            done = forked.run(command, pass_fds=handed, env=environment, cwd="/")
        else:
            done = subprocess.run(
                [python_of_others(), "-m", "appliance.cli.main", *command], capture_output=True, text=True,
                pass_fds=handed, env=environment, check=False, user=user, group=user, extra_groups=groups, cwd="/",
            )  # fmt: skip
        for descriptor in handed:
            os.close(descriptor)
        assert done.returncode == expect, (words, done.stdout, done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def start(self) -> None:
        environment = os.environ | {"XDG_RUNTIME_DIR": str(self.home)}
        self.process = forked.start(["serve", "-C", self.root, "--listen", "127.0.0.1:0"], env=environment)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.root / "tls/ca.pem"))

    def make(self) -> None:
        """`init`, and `ada` as the first administrator. Clients may push to team/** and secret/**."""
        made = json.loads(self.call("init", self.root, "--site", "bravo", "--side", "inside", "--json"))
        self.configure(push='["team/**", "secret/**"]')
        self.call("user", "claim", "ada", code=made["code"], password=PASSWORD)

    def configure(self, **settings: str) -> None:
        """Replace settings of config.toml by name; values as TOML writes them."""
        config = self.root / "config.toml"
        lines = config.read_text().splitlines()
        config.write_text("\n".join(_set(line, settings) for line in lines) + "\n")


@functools.cache
def python_of_others() -> str:
    """A Python that other system accounts can run with this one's libraries; skips the test where there is none."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [python, "-c", "import appliance.control.client, aiohttp, msgspec, cryptography"]
        with contextlib.suppress(OSError):
            done = subprocess.run(
                command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env=os.environ | PATHS, check=False,
                capture_output=True,
            )  # fmt: skip
            if done.returncode == 0:
                return python
    pytest.skip("another account can run no Python with the libraries of this one")


def _set(line: str, settings: dict[str, str]) -> str:
    name = line.partition(" = ")[0]
    return f"{name} = {settings[name]}" if name in settings else line
