"""A station with accounts, a policy for images and two workers, for tests of what may be pulled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.audit.port import FileAudit
from appliance.audit.reading import tail
from appliance.image_signatures.applied import sign
from appliance.image_signatures.pulls import StationPulls
from appliance.settings.image_policy import ImageRule, PolicyRules
from appliance.store.reads.registry import Metadata
from appliance.trust_acts import pin
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from bundles.signing.keys import PrivateKey, create_private
from tests.access.site import Site, basic, bearer, token
from tests.image_signatures.signer import Image
from tests.intake.inside import make_station
from tests.registry_server import Answer, Server

SIGNER = create_private()


class Held(Site):
    """`node` may pull everywhere, `dev` may push everywhere, `mover` pulls `team/**` and pushes `free/**`. SIGNER's key
    is pinned for images, of `Build team`. `team` is the repository that is meant where none is named."""

    def __init__(self, root: Path) -> None:
        make_station(root / "bravo", open_=False)
        super().__init__(root / "bravo")
        self.audit = FileAudit(self.paths.audit)  # type: ignore[assignment]
        self._stack.callback(self.audit.close)  # type: ignore[attr-defined]
        self.pin(SIGNER, "image", "Build team")
        self.people = [create_private(), create_private()]
        for key, owner in zip(self.people, ("Anna", "Boris"), strict=True):
            self.pin(key, "release", owner)
        self.person("node", "reader **")
        self.person("dev", "maintainer **")
        self.person("mover", "reader team/**", "writer free/**")
        self.team = "team/app"
        self.rules: tuple[ImageRule, ...] = ()
        self._sent: dict[tuple[str, ...], dict[str, str]] = {}
        self.workers = [self._held(), self._held()]

    def _held(self) -> Server:
        pulls = StationPulls(self.paths, self.blobs, Metadata(self.paths.database))
        self._stack.callback(pulls.close)
        return self.worker(pull_policy=pulls, rate=1e6)

    def pin(self, key: PrivateKey, purpose: str, owner: str, **more: Any) -> None:
        pin(self.paths.root, key.public, purpose=purpose, owner=owner, sites=(), **more)

    def apply(self, *rules: ImageRule, **more: Any) -> None:
        """Put rules into force, and gates, stages and exceptions."""
        for key in self.people:
            done = sign(self.paths.root, PolicyRules(image=list(rules), **more), key)
        assert done.applied
        self.rules = rules

    def headers(self, name: str, actions: str, repository: str) -> dict[str, str]:
        """A token of an account for one repository."""
        key = (name, actions, repository)
        if key not in self._sent:
            self._sent[key] = bearer(token(self.workers[0], name, f"repository:{repository}:{actions}"))
        return self._sent[key]

    def pull(
        self, path: str, *, repository: str = "", method: str = "GET", name: str = "node", worker: int = 0,
        actions: str = "pull", **sent: str,
    ) -> Answer:  # fmt: skip
        """A request of an account that has a token for `actions`; `sent` are headers."""
        repository = repository or self.team
        headers = self.headers(name, actions, repository) | {key.replace("_", "-"): sent[key] for key in sent}
        return self.workers[worker].ask(method, f"/v2/{repository}/{path}", headers=headers)

    def statuses(self, path: str, **more: Any) -> set[int]:
        """The statuses of GET and HEAD from both workers."""
        return {
            self.pull(path, method=method, worker=worker, **more).status
            for method in ("GET", "HEAD")
            for worker in range(2)
        }

    def put_blob(self, raw: bytes, repository: str = "") -> Digest:
        digest = Digest.of(raw)
        answer = self.workers[0].ask(
            "POST", f"/v2/{repository or self.team}/blobs/uploads/?digest={digest}", raw, basic("dev"))  # fmt: skip
        assert answer.status == 201, answer.body
        return digest

    def put(self, raw: bytes, reference: str = "", repository: str = "") -> Digest:
        """A manifest, by its digest or a tag."""
        kind = json.loads(raw)["mediaType"]
        path = f"/v2/{repository or self.team}/manifests/{reference or Digest.of(raw)}"
        answer = self.workers[0].ask("PUT", path, raw, basic("dev") | {"Content-Type": kind})
        assert answer.status == 201, answer.body
        return Digest.of(raw)

    def push(self, image: Image, *tags: str, repository: str = "") -> Digest:
        """An image, and what is attached to it."""
        manifests = {image.subject.digest, *(one.digest for one in image.carriers)}
        for digest, raw in image.store.blobs.items():
            if digest not in manifests:
                self.put_blob(raw, repository)
        for tag in tags or ("",):
            self.put(image.subject.raw, tag, repository)
        self.attach(image, repository=repository)
        return image.subject.digest

    def attach(self, image: Image, *, repository: str = "") -> None:
        """What is attached to an image that is pushed."""
        for one in image.carriers:
            raw = image.store.blobs[one.digest]
            for layer in json.loads(raw)["layers"]:
                self.put_blob(image.store.blobs[Digest.parse(layer["digest"])], repository)
            self.put_blob(b"{}", repository)
            self.put(raw, one.tag, repository)

    def delete(self, path: str, repository: str = "") -> None:
        answer = self.workers[0].ask("DELETE", f"/v2/{repository or self.team}/{path}", headers=basic("dev"))
        assert answer.status == 202, answer.body

    def refusals(self) -> list[dict[str, Any]]:
        """What the audit log says of requests that were refused, oldest first."""
        self.audit.close()  # type: ignore[attr-defined]
        events = [one for one in tail(self.paths.audit, 200) if one["act"] == "registry.refuse"]
        return sorted(events, key=lambda one: int(one["micros"]))


def rule(*repositories: str, **asked: Any) -> ImageRule:
    return ImageRule(repositories=list(repositories or ("team/**",)), **asked)


def signed(text: str = "an image", key: PrivateKey = SIGNER) -> Image:
    image = Image(text=text)
    image.bundle_by(key)
    return image


def index_of(*children: bytes, **more: Any) -> bytes:
    """An index of manifests."""
    listed = [
        {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(raw)), "size": len(raw),
         "platform": {"os": "linux", "architecture": f"a{number}"}}
        for number, raw in enumerate(children)
    ]  # fmt: skip
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed, **more}).encode()


def blobs_of(raw: bytes) -> Sequence[str]:
    """What an image's manifest names."""
    fields: Mapping[str, Any] = json.loads(raw)
    return [fields["config"]["digest"], *(layer["digest"] for layer in fields["layers"])]
