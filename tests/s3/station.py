"""A station whose blobs are in a bucket, for tests."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.store.s3.bucket import Bucket
from appliance.store.s3.place import S3Place
from bundles.oci.digest import Digest
from tests import forked
from tests.registry_server import Client
from tests.s3_server import KEY, SECRET, make_bucket


def in_bucket(place: S3Place, key: Path, mode: int = 0o600) -> list[str]:
    """The words of `init` for a bucket; the access key is written to `key`."""
    key.write_text(f"{KEY}\n{SECRET}\n")
    key.chmod(mode)
    return ["--blobs", place.url, "--blobs-endpoint", place.endpoint, "--blobs-secret", str(key)]


@dataclass
class Station:
    """A folder and its bucket. `start` serves on a port of loopback."""

    root: Path
    place: S3Place
    process: forked.Forked | None = None
    port: int = 0

    @property
    def client(self) -> Client:
        return Client(self.port)

    @property
    def owner(self) -> Bucket:
        """The bucket as its owner reaches it."""
        return make_bucket(self.place)

    def call(self, *words: object, expect: int = 0) -> str:
        """What a command on the folder prints; its stderr where it is to fail."""
        done = forked.run([*map(str, words), "-C", str(self.root)])
        assert done.returncode == expect, (words, done.stdout, done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def json(self, *words: object) -> Any:
        return json.loads(self.call(*words, "--json"))

    def scrub(self) -> dict[str, str]:
        """What a scrub says is damaged, by digest, and why."""
        done = forked.run(["scrub", "--json", "-C", str(self.root)])
        found = json.loads(done.stdout)["damaged"]
        assert bool(found) == bool(done.returncode), done.stderr
        return {one["digest"]: one["why"] for one in found}

    def make(self, *words: str, expect: int = 0, mode: int = 0o600) -> str:
        """`init` with the bucket; the access key is in a file beside the folder."""
        made = ["init", str(self.root), "--site", "alpha", "--side", "outside", "--open"]
        done = forked.run([*made, *in_bucket(self.place, self.root.with_suffix(".key"), mode), *words])
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

    def push_image(self, layer: bytes, tag: str) -> tuple[Digest, Digest]:
        """An image of one layer in `team/app`; its manifest and its layer."""
        config, blob = self.client.push_blob("team/app", b"{}"), self.client.push_blob("team/app", layer)
        kind = "application/vnd.oci.image"
        document = {
            "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
            "config": {"mediaType": f"{kind}.config.v1+json", "digest": str(config), "size": 2},
            "layers": [{"mediaType": f"{kind}.layer.v1.tar", "digest": str(blob), "size": len(layer)}],
        }  # fmt: skip
        return self.client.push_manifest("team/app", document, tag), blob
