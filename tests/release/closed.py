"""A running station without --open for tests: accounts, TLS, roles, people with keys of their own; real processes.

People talk to it over its control socket with log-ins of their own; `cli` is the command line as one of them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import clock
from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter
from appliance.store.writes.access import BindKey, CreateAccount, FirstAdministrator, GrantRole
from appliance.store.writes.write import Write
from bundles.errors import LockgateError
from bundles.format.manifest import Artifact
from bundles.signing.keys import PrivateKey, create_private, save_private
from bundles.signing.pinning import trust_key
from tests import forked
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Carried, carry
from tests.passwords import hash_password

PASSWORD = "a password of some length"
HASH = hash_password(PASSWORD)
PEOPLE = {
    "ada": ("administrator", ""),
    "adam": ("administrator", ""),
    "carl": ("courier", ""),
    "anna": ("security-officer", "Anna Berg"),
    "boris": ("security-officer", "Boris Lind"),
    "clara": ("security-officer", "Clara Holm"),
    "vera": ("auditor", ""),
}
"""Accounts by name: a role, and the owner of a release key that stands for the account ("" for none)."""


@dataclass
class Said:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass
class Closed:
    """The station of site bravo in `folder`/bravo."""

    folder: Path
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    process: forked.Forked | None = None
    sessions: dict[str, str] = field(default_factory=dict)
    bundles: int = 0
    spares: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self.root = self.folder / "bravo"
        self.paths = StationPaths(self.root)
        self.command("init", self.root, "--site", "bravo", "--side", "inside", "--name", "localhost")
        writes: list[Write] = [
            FirstAdministrator(name="ada", full_name="", password=HASH, uid=None, at=clock.now()),
        ]
        for name, (role, owner) in PEOPLE.items():
            if name != "ada":
                writes += self.account(name, role)
            if owner:
                self.keys[name] = self.key(owner)
                writes.append(BindKey(account=name, keyid=self.keys[name].public.keyid, at=clock.now()))
        self.write(*writes)
        self.start()

    def account(self, name: str, role: str) -> list[Write]:
        """The writes of an account with PASSWORD."""
        return [
            CreateAccount(name=name, kind="person", full_name="", password=HASH, at=clock.now()),
            GrantRole(account=name, role=role, pattern="**"),
        ]

    def key(self, owner: str) -> PrivateKey:
        """A new key, pinned for releases by whoever has the folder."""
        key = create_private()
        trust_key(self.paths.trust, key.public, purpose="release", owner=owner, sites=[])
        return key

    def spare(self) -> str:
        """The id of a further key that is pinned for releases, to be bound to an account."""
        self.spares += 1
        return self.key(f"Spare {self.spares}").public.keyid

    def write(self, *writes: Write) -> None:
        """Before the station runs."""
        database = open_writer(self.paths.database)
        for write in writes:
            LocalWriter(database).submit(write)
        database.close()

    def start(self) -> None:
        with (self.folder / "serve.log").open("a") as log:
            self.process = forked.start(["serve", "-C", self.root, "--listen", "127.0.0.1:0"], err=log.fileno())
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        assert "https://" in ready
        self.port = int(ready.rpartition(":")[2])
        self.sessions.clear()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)

    def ask(self, who: str, method: str, path: str, body: Mapping[str, Any] | None = None, **query: object) -> Any:
        """A request to the control API as a person. Raises what the station answers."""

        async def run() -> Any:
            async with ControlClient(self.root, timeout=120.0, session=self.sessions.get(who)) as client:
                if who not in self.sessions:
                    await client.log_in(who, PASSWORD)
                    self.sessions[who] = str(client.session)
                return await client.request(method, path, None if body is None else dict(body), **query)

        return asyncio.run(run())

    def change(self, name: str, what: str, **body: Any) -> Any:
        """A change of an account that ada asks for, and adam confirms where it waits."""
        answer = self.ask("ada", "POST", f"/v1/accounts/{name}/{what}", body)
        if "waits" in answer:
            confirmed = self.ask("adam", "POST", f"/v1/account-changes/{answer['waits']['id']}/confirm", {})
            for one in confirmed["then"]:
                self.ask("adam", "POST", f"/v1/account-changes/{one['id']}/confirm", {})
        return answer

    def cli(self, who: str, *words: object, expect: int = 0) -> Said:
        """`lockgate` as a person whose log-in is kept in a folder of their own."""
        home = self.folder / f"home-{who}"
        kept = home / "lockgate"
        if who not in self.sessions:
            self.ask(who, "GET", "/v1/session")
        kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = str(home)
        try:
            from appliance.cli.shared.sessions import keep_session

            keep_session(self.root, self.sessions[who])
            return self.command(*words, "-C", self.root, expect=expect)
        finally:
            os.environ.pop("XDG_RUNTIME_DIR") if before is None else os.environ.update(XDG_RUNTIME_DIR=before)

    def command(self, *words: object, expect: int = 0) -> Said:
        done = forked.run(words)
        assert done.returncode == expect, (words, done.stdout, done.stderr)
        return Said(done.returncode, done.stdout, done.stderr)

    def carried(self, **changes: Any) -> Carried:
        """A bundle of one file from a source of its own, whose key is pinned here."""
        store, number = MemoryStore(), self.bundles + 1
        artifacts = [file_artifact(store, f"content {number}\n".encode(), f"files/n{number}")]
        return self.carried_of(store, artifacts, **changes)

    def carried_of(self, store: MemoryStore, artifacts: list[Artifact], **changes: Any) -> Carried:
        """A bundle of these artifacts, whose key is pinned here; from a source of its own unless `stream` names one."""
        self.bundles += 1
        source = f"site{self.bundles}"
        made = carry(self.folder / source, store, artifacts, **({"stream": f"{source}.bravo"} | changes))
        site = made.signed.manifest.source
        trust_key(self.paths.trust, made.key.public, purpose="bundle", owner=f"Builder {source}", sites=[site])
        return made

    def brought(self, who: str = "carl", **changes: Any) -> str:
        """A new bundle, imported: its id."""
        made = self.carried(**changes)
        assert self.job(who, "import", paths=[str(made.folder)])["state"] == "done"
        return str(made.signed.manifest.id)

    def job(self, who: str, kind: str, **params: Any) -> Any:
        """A job, run to its end. Its paths are handed over as descriptors, as the command line does."""
        if who not in self.sessions:
            self.ask(who, "GET", "/v1/session")

        async def run() -> Any:
            async with ControlClient(self.root, timeout=120.0, session=self.sessions[who]) as client:
                job = await client.submit(kind, params)
                async for name, data in client.watch(job["id"]):
                    last = data if name == "job" else None
                return last or await client.job(job["id"])

        return asyncio.run(run())

    def draft(self, who: str, name: str, key: PrivateKey, decision: str = "approve", why: str = "") -> bytes:
        answer = self.ask(who, "GET", f"/v1/intake/{name}/approval", keyid=key.public.keyid, decision=decision, why=why)
        return base64.b64decode(answer["payload"])

    def hand_in(self, who: str, name: str, keyid: str, payload: bytes, signature: bytes) -> Any:
        fields = {"payload": payload, "signature": signature}
        body = {part: base64.b64encode(data).decode() for part, data in fields.items()} | {"keyid": keyid}
        return self.ask(who, "POST", f"/v1/intake/{name}/approval", body)

    def approve(
        self, who: str, name: str, key: PrivateKey | None = None, decision: str = "approve", why: str = ""
    ) -> str:
        """A person's decision with their own key (or another): the bundle's state then."""
        key = key or self.keys[who]
        payload = self.draft(who, name, key, decision, why)
        return str(self.hand_in(who, name, key.public.keyid, payload, key.sign(payload))["state"])

    def release(self, who: str, name: str) -> list[str]:
        return list(self.ask(who, "POST", f"/v1/intake/{name}/release", {})["released"])

    def refusal(self, who: str, name: str) -> str:
        """The one line with which a release is refused."""
        try:
            shown = self.release(who, name)
        except LockgateError as error:
            return error.diagnostics()
        raise AssertionError(f"released {shown}")

    def key_file(self, who: str) -> Path:
        """A person's private key as a file on their own machine."""
        path = self.folder / f"{who}.pem"
        if not path.exists():
            save_private(path, self.keys[who], None)
        return path


def edit(station: Closed, *statements: str) -> None:
    """Somebody with sqlite3 at the running station's database, who drops the triggers that stand in the way."""
    with contextlib.closing(sqlite3.connect(station.paths.database, timeout=30)) as intruder, intruder:
        triggers = intruder.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for trigger, _ in triggers:
            intruder.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            intruder.execute(statement)
        for _, text in triggers:
            intruder.execute(text)
