"""Layers that are not to be distributed: what is held goes along and is served; what is not held is named."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.artifact_choice import Chosen
from appliance.control.routes.plans import _document
from appliance.outgoing import build
from appliance.outgoing.collect import job as collect
from appliance.release_check.unexplained import unexplained
from appliance.store.reads.intake import report_text
from bundles.format.manifest_codec import decode
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.unpack import unpack
from bundles.unpack_forms import DIR
from tests.intake.inside import Inside, name_of
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

FOREIGN = (
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
)


def archive(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.mode = 0o4755
        tar.addfile(member)
    return stream.getvalue()


HELD, ABSENT = archive("held"), archive("absent")


class Sites:
    """An artifact with a foreign layer that the layout holds and one that it does not, in two repositories."""

    def __init__(self, root: Path, outside: Outside, inside: Inside) -> None:
        self.root, self.outside, self.inside = root, outside, inside
        inside.trust(outside.key.public)
        self.layout = Layout(root / "layout")
        held, absent = (self.layout.blob(data, kind) for data, kind in zip((HELD, ABSENT), FOREIGN, strict=True))
        (self.layout.folder / "blobs" / Digest.of(ABSENT).path).unlink()
        self.layout.tag("team/win:1", self.layout.manifest([held, absent]))
        self.layout.tag("team/other:1", self.layout.artifact({"plain": b"plain"}))
        self.name = f"team/win@{self.layout.digest('team/win:1')}: {Digest.of(ABSENT)}"

    def collect(self) -> dict[str, Any]:
        sources = [{"kind": "layout", "path": str(self.layout.folder), "tag": None, "as": None}]
        return self.outside.run(self.outside.context("collect", {"sources": sources}), collect.run)

    def build(self, *references: str, **changes: Any) -> dict[str, Any]:
        medium = self.root / f"medium-{len(list(self.root.glob('medium-*')))}"
        medium.mkdir()
        self.told: list[Any] = []
        context = self.outside.building(medium, *references, **changes)
        context.on_sign = self.told.append
        result = self.outside.run(context, build.run)
        self.lines = context.lines
        return result

    def release(self, folder: str) -> None:
        name = str(self.inside.bring(Path(folder))["id"])
        for owner in ("Anna", "Boris"):
            self.inside.decide(name, self.inside.officer(owner))
        self.inside.release(name)

    def shows(self, data: bytes, repository: str = "team/win") -> bool:
        return bool(self.inside.station.metadata.linked_sizes(repository, [Digest.of(data)])[0] is not None)


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    with Outside(tmp_path / "alpha") as outside, Inside(tmp_path / "bravo", open_=False) as inside:
        yield Sites(tmp_path, outside, inside)


def test_a_foreign_layer_that_is_carried_is_looked_through_and_served(sites: Sites) -> None:
    assert sites.collect()["left_out"] == [sites.name]
    result = sites.build("team/win:1", "team/other:1")
    sites.release(result["path"])
    assert sites.shows(HELD)
    assert not sites.shows(ABSENT)
    assert unexplained(sites.inside.station) == []
    sections = json.loads(report_text(sites.inside.station.reader, result["digest"]) or "")["sections"]
    layers, artifacts = (next(one for one in sections if one["inspector"] == n) for n in ("layers", "artifacts"))
    assert [one["layer"] for one in layers["details"]["setuid"]] == [str(Digest.of(HELD))]
    assert [one["layer"] for one in layers["details"]["unread"]] == [str(Digest.of(ABSENT))]
    assert artifacts["details"]["foreign_layers_not_carried"] == [sites.name]
    assert artifacts["outcome"] == "note"
    sites.inside.withdraw(name_of())
    assert not sites.shows(HELD)


def test_what_is_not_held_is_named_before_the_signature_and_after(sites: Sites) -> None:
    sites.collect()
    wanted = build.BuildOrder.read(sites.outside.order(sites.root, "team/win:1"), "alpha").wanted
    chosen = [Chosen(text) for text in wanted.references]
    plan = _document(sites.outside.station, wanted, [], [], None, chosen)
    assert [f"{one['artifact']}: {one['layer']}" for one in plan.not_carried] == [sites.name]
    result = sites.build("team/win:1")
    assert result["not_carried"] == sites.told[0]["not_carried"] == [sites.name]
    assert [line for line in sites.lines if "not carried" in line and sites.name.partition(":")[0] in line]
    folder = Path(result["path"])
    assert decode((folder / "manifest.json").read_bytes()).not_carried() == [sites.name]
    assert sites.name in (folder / "README.txt").read_text()


def test_a_bundle_that_lacks_nothing_says_nothing_of_it(sites: Sites) -> None:
    sites.collect()
    result = sites.build("team/other:1")
    assert result["not_carried"] == []
    folder = Path(result["path"])
    assert "lockgate.not_carried" not in decode((folder / "manifest.json").read_bytes()).extensions
    assert "IT LACKS" not in (folder / "README.txt").read_text()


def test_a_link_to_a_foreign_layer_that_did_not_come_is_explained_by_nothing(sites: Sites) -> None:
    sites.collect()
    sites.release(sites.build("team/win:1", "team/other:1")["path"])
    digest = Digest.of(ABSENT)
    sites.inside.station.blobs.put(ABSENT, digest)
    with sqlite3.connect(sites.inside.station.paths.database) as intruder:
        intruder.execute(
            "INSERT INTO blobs (digest, size, crc32, created) VALUES (?, ?, 0, '')", (str(digest), len(ABSENT))
        )
        intruder.execute(
            "INSERT INTO links (repository_id, digest, kind, created) SELECT id, ?, 'blob', ? FROM repositories"
            " WHERE name = 'team/win'",
            (str(digest), clock.now()),
        )
    intruder.close()
    assert [(one["repository"], one["digest"]) for one in unexplained(sites.inside.station)] == [
        ("team/win", str(digest))
    ]


def test_it_is_part_of_the_next_delta_and_of_what_is_unpacked(sites: Sites) -> None:
    sites.collect()
    first = sites.build("team/win:1")
    trust = sites.inside.station.trust()
    unpack([Path(first["path"])], trust, clock.now(), sites.root / "out", no_progress, DIR)
    assert (sites.root / "out/team/win@1" / Digest.of(HELD).hex).read_bytes() == HELD
    second = sites.build("team/win:1", since="last")
    required = [one.digest for one in decode((Path(second["path"]) / "manifest.json").read_bytes()).requires]
    assert str(Digest.of(HELD)) in required
