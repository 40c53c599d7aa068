"""The clients of `make soak`: what each does, and what it was told."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from bundles.limits import KIB, MIB
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.access.site import basic
from tests.conformance.shapes import LAYER, descriptor

ACCOUNTS = 20
TOKEN_SECONDS = 120
BASE = "soak/base"
SHARED = [os.urandom(4 * KIB), os.urandom(MIB)]


class RefusedError(Exception):
    """An answer that an act did not expect."""


@dataclass
class Tally:
    """What happened: by act, and in the present minute."""

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    taken: dict[str, list[float]] = field(default_factory=dict)

    def minute(self) -> str:
        """The latencies since the last call."""
        text = []
        for act, seconds in sorted(self.taken.items()):
            ordered = sorted(seconds)
            middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
            text.append(f"{act} {len(ordered)} ({middle * 1000:.0f}/{late * 1000:.0f})")
        self.taken = {}
        return "  ".join(text)


class Client:
    """One client of the registry; it remembers what it was told."""

    def __init__(
        self, number: int, base: str, session: aiohttp.ClientSession, secrets: dict[str, str], tally: Tally
    ) -> None:
        self.repository = f"soak/client-{number}"
        self.pushed: dict[str, str] = {}
        """Digest by tag: acknowledged, and no delete asked for."""
        self.deleted: set[str] = set()
        account = f"robot-{number % ACCOUNTS}"
        self._basic = basic(account, secrets[account])
        self._base, self._session, self._tally = base, session, tally
        self._token, self._until = "", 0.0
        self._dice = random.Random(number)
        self._next = 0

    async def act(self) -> None:
        """One act, by chance."""
        acts = (("pull", 50, self.pull), ("push", 20, self.push), ("range", 15, self.range), ("list", 10, self.list),
                ("delete", 5, self.delete))  # fmt: skip
        name, _, act = self._dice.choices(acts, [weight for _, weight, _ in acts])[0]
        await self.counted(name, act)

    async def counted(self, name: str, act: object) -> None:
        """Do it, and count it."""
        begun = time.monotonic()
        try:
            await act()  # type: ignore[operator]
        except (RefusedError, aiohttp.ClientError, OSError, TimeoutError) as error:
            self._tally.failed[name] += 1
            self._tally.why[f"{name}: {type(error).__name__} {str(error)[:120]}"] += 1
            self._token = ""
        else:
            self._tally.done[name] += 1
            self._tally.taken.setdefault(name, []).append(time.monotonic() - begun)

    async def pull(self) -> None:
        if self.pushed and self._dice.random() < 0.5:
            tag = self._dice.choice(list(self.pushed))
            await self.pull_whole(self.repository, tag, self.pushed[tag])
        else:
            await self.pull_whole(BASE, "v1", "")

    async def pull_whole(self, repository: str, tag: str, expected: str) -> None:
        """The manifest and each blob, hashed. Raises RefusedError where anything is not as its digest says."""
        _, body, headers = await self.ask("GET", f"{repository}/manifests/{tag}", Accept=OCI_MANIFEST)
        digest = str(Digest.of(body))
        if digest != (expected or headers["Docker-Content-Digest"]):
            raise RefusedError(f"{repository}:{tag} is {digest}")
        document = json.loads(body)
        for blob in (document["config"], *document["layers"]):
            _, content, _ = await self.ask("GET", f"{repository}/blobs/{blob['digest']}")
            if str(Digest.of(content)) != blob["digest"]:
                raise RefusedError(f"{repository}: wrong bytes for {blob['digest']}")

    async def push(self, repository: str = "", tag: str = "", layers: tuple[bytes, ...] = ()) -> None:
        self._next += 1
        repository, tag = repository or self.repository, tag or f"v{self._next}"
        config = json.dumps({"number": self._next, "of": self.repository}).encode()
        layers = layers or (os.urandom(self._dice.randrange(1, 128) * KIB),)
        for blob in (config, *layers):
            _, _, headers = await self.ask("POST", f"{repository}/blobs/uploads/", expect=202)
            where = headers["Location"].removeprefix(self._base).removeprefix("/v2/")
            where += ("&" if "?" in where else "?") + f"digest={Digest.of(blob)}"
            await self.ask("PUT", where, blob, expect=201, Content_Type="application/octet-stream")
        manifest = json.dumps(
            {
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [descriptor(one, LAYER) for one in layers],
                "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
            }
        ).encode()  # fmt: skip
        await self.ask("PUT", f"{repository}/manifests/{tag}", manifest, expect=201, Content_Type=OCI_MANIFEST)
        if repository == self.repository:
            self.pushed[tag] = str(Digest.of(manifest))

    async def range(self) -> None:
        layer, first = SHARED[1], self._dice.randrange(MIB - 1000)
        where = f"{BASE}/blobs/{Digest.of(layer)}"
        _, body, _ = await self.ask("GET", where, expect=206, Range=f"bytes={first}-{first + 999}")
        if body != layer[first : first + 1000]:
            raise RefusedError(f"wrong bytes at {first}")

    async def list(self) -> None:
        where = self.repository if self.pushed else BASE
        _, body, _ = await self.ask("GET", f"{where}/tags/list")
        listed = set(json.loads(body)["tags"] or ())
        missing = (set(self.pushed) if self.pushed else {"v1"}) - listed
        if missing:
            raise RefusedError(f"{where}: not listed: {sorted(missing)[:3]}")

    async def delete(self) -> None:
        if len(self.pushed) < 3:
            return
        tag = self._dice.choice(list(self.pushed))
        del self.pushed[tag]  # from here on either is right
        await self.ask("DELETE", f"{self.repository}/manifests/{tag}", expect=202)
        self.deleted.add(tag)

    async def log_in(self) -> None:
        """A token for everything below soak/, as clients ask for one."""
        scopes = [("scope", f"repository:{where}:pull,push,delete") for where in (self.repository, BASE)]
        query = [("service", "lockgate/bench"), *scopes]
        async with self._session.get(f"{self._base}/token", params=query, headers=self._basic) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise RefusedError(f"GET /token {answer.status} {body[:80]!r}")
        self._token, self._until = json.loads(body)["token"], time.monotonic() + TOKEN_SECONDS

    async def ask(
        self, method: str, path: str, body: bytes | None = None, *, expect: int = 200, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Raises RefusedError where the status is another."""
        if time.monotonic() > self._until or not self._token:
            await self.log_in()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = f"Bearer {self._token}"
        async with self._session.request(method, f"{self._base}/v2/{path}", data=body, headers=sent) as answer:
            content = await answer.read()
            if answer.status != expect:
                raise RefusedError(f"{method} {answer.status} {content[:80]!r}")
            return answer.status, content, dict(answer.headers)
