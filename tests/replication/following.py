"""A station that follows a primary, in a folder; and what is pushed there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec

from appliance.jobs.kinds import PartlyDoneError, Result
from appliance.replication import job, replica_state
from appliance.settings.replicas import ReplicaSettings
from tests.outgoing.outside import Context, Outside
from tests.registry_server import Client

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
NAME = "north"


class Follower:
    """An outside station whose config.toml names one primary."""

    def __init__(self, outside: Outside, url: str, name: str = NAME, **settings: Any) -> None:
        settings = {"repositories": ("**",)} | settings
        self.outside, self.name = outside, name
        self.outside.station = replace(
            outside.station,
            config=msgspec.structs.replace(
                outside.station.config, replicas={name: ReplicaSettings(url=url, **settings)}
            ),
        )

    def context(self, **params: Any) -> Context:
        return self.outside.context("replica", {"name": self.name, "once": True, **params})

    def sync(self, **params: Any) -> Result:
        """One round that finds everything equal at its end."""
        return job.run(self.context(**params))

    def run(self, context: Context) -> Result:
        return job.run(context)

    def part(self, **params: Any) -> Result:
        """One round that ends with exit 4: its result."""
        try:
            job.run(self.context(**params))
        except PartlyDoneError as error:
            return error.result
        raise AssertionError("nothing was left behind")

    def at(self, repository: str, tag: str) -> str | None:
        """Where a tag stands here."""
        return self.outside.station.metadata.tag_target(repository, tag)

    def stands(self) -> replica_state.ReplicaState:
        return replica_state.read(self.outside.station.paths.replica(self.name))


def push(server: Client, repository: str, tag: str, content: bytes, subject: str = "", size: int = 0) -> str:
    """An artifact with one layer; with a `subject`, one that refers to it, without a tag where that is "". Its
    digest."""
    config, layer = server.push_blob(repository, b"{}"), server.push_blob(repository, content)
    manifest = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": "application/vnd.example",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(config), "size": 2},
        "layers": [{"mediaType": "application/octet-stream", "digest": str(layer), "size": len(content)}],
    }
    if subject:
        manifest["subject"] = {"mediaType": IMAGE, "digest": subject, "size": size}
    return str(server.push_manifest(repository, manifest, tag))


def size_of(server: Client, repository: str, reference: str) -> int:
    return len(server.ask("GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": IMAGE}).body)


def push_index(server: Client, repository: str, tag: str, *children: str) -> str:
    listed = [{"mediaType": IMAGE, "digest": one, "size": size_of(server, repository, one)} for one in children]
    return str(
        server.push_manifest(
            repository, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode(), tag
        )
    )
