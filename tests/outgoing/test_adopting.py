"""The folder of docker's registry or zot: tags come with their digests and what is attached, and one that is damaged
ends no other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.store.adopt import sources_of
from appliance.jobs.kinds import PartlyDoneError
from appliance.outgoing.collect import job
from bundles.errors import LockgateError, NotFoundError, UsageError
from bundles.oci.attached_tags import cosign_tags
from bundles.oci.digest import Digest
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout


class Store:
    """The folder of docker's registry, made by hand."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self._layout = folder, layout
        self.top = folder / "docker/registry/v2"

    def tag(self, repository: str, tag: str, described: dict[str, Any]) -> None:
        """A tag, with all blobs of the layout."""
        self.revision(repository, described)
        link = self.top / "repositories" / repository / "_manifests/tags" / tag / "current/link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(described["digest"])

    def revision(self, repository: str, described: dict[str, Any]) -> None:
        for blob in (self._layout.folder / "blobs/sha256").iterdir():
            place = self.blob(f"sha256:{blob.name}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(blob.read_bytes())
        algorithm, _, hexdigits = described["digest"].partition(":")
        link = self.top / "repositories" / repository / "_manifests/revisions" / algorithm / hexdigits / "link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(described["digest"])

    def blob(self, digest: str) -> Path:
        algorithm, _, hexdigits = digest.partition(":")
        return self.top / "blobs" / algorithm / hexdigits[:2] / hexdigits / "data"


@pytest.fixture
def store(layout: Layout, tmp_path: Path) -> Store:
    return Store(tmp_path / "registry", layout)


def adopt(outside: Outside, folder: Path, *patterns: str, as_: str | None = None, plan: str = "") -> dict[str, Any]:
    params = {"sources": sources_of(folder, patterns, as_)} | ({"plan": plan} if plan else {})
    return dict(outside.run(outside.context("collect", params), job.run))


def index_of(layout: Layout, *names: str) -> dict[str, Any]:
    return layout.index([layout.image({name: name.encode()}, name) for name in names])


def referrer(layout: Layout, subject: dict[str, Any]) -> dict[str, Any]:
    """An artifact that refers to another."""
    made = layout.artifact({"sbom": b"{}"})
    fields = json.loads((layout.folder / "blobs" / made["digest"].replace(":", "/")).read_text())
    fields["subject"] = {key: subject[key] for key in ("mediaType", "digest", "size")}
    return layout.blob(json.dumps(fields).encode(), fields["mediaType"])


def test_tags_indexes_signatures_and_referrers_of_dockers_registry_come(
    outside: Outside, layout: Layout, store: Store
) -> None:
    index, image = index_of(layout, "amd64", "arm64"), layout.image({"c": b"c"}, "amd64")
    signature, sbom = layout.artifact({"sig": b"signature"}), referrer(layout, image)
    sig_tag = next(tag for tag in cosign_tags(Digest.parse(image["digest"])) if tag.endswith(".sig"))
    store.tag("team/app", "1", index)
    store.tag("team/app", "2", image)
    store.tag("team/app", sig_tag, signature)
    store.revision("team/app", sbom)
    store.tag("team/app/inner", "1", image)
    result = adopt(outside, store.folder)
    assert sorted(result["references"]) == ["team/app/inner:1", "team/app:1", "team/app:2"]
    assert result["selected"][0] | {"from": ""} == {
        "source": 0, "from": "", "repositories": 2, "tags": 4, "chosen": 3, "left_out": {"attached": 1},
    }  # fmt: skip
    assert str(outside.shows("team/app:1")) == index["digest"]
    assert str(outside.shows(f"team/app:{sig_tag}")) == signature["digest"]
    assert [str(one) for one in outside.referrers("team/app", Digest.parse(image["digest"]))] == [sbom["digest"]]
    assert outside.referrers("team/app/inner", Digest.parse(image["digest"])) == []


def test_a_zot_folder_is_a_layout_for_each_repository(outside: Outside, tmp_path: Path) -> None:
    for repository in ("team/app", "base"):
        layout = Layout(tmp_path / "zot" / repository)
        layout.tag("1", index_of(layout, "amd64", "arm64"))
    (tmp_path / "zot/_trivy").mkdir()
    assert sorted(adopt(outside, tmp_path / "zot")["references"]) == ["base:1", "team/app:1"]
    assert str(outside.shows("team/app:1")) == layout.digest("1") == str(outside.shows("base:1"))


def test_what_is_one_layout_is_taken_as_one(outside: Outside, layout: Layout) -> None:
    layout.tag("team/app:1", layout.image({"a": b"a"}, "amd64"))
    assert adopt(outside, layout.folder)["references"] == ["team/app:1"]
    with pytest.raises(UsageError):
        adopt(outside, layout.folder, "team/**")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("team/**",), ["team/app:1", "team/app:2", "team/web:1"]),
        (("team/app", "base"), ["base:1", "team/app:1", "team/app:2"]),
        (("**:1",), ["base:1", "team/app:1", "team/web:1"]),
        (("team/*:2*",), ["team/app:2"]),
    ],
)
def test_patterns_narrow_it_and_a_prefix_stands_before(
    outside: Outside, layout: Layout, store: Store, patterns: tuple[str, ...], expected: list[str]
) -> None:
    image = layout.image({"a": b"a"}, "amd64")
    for name in ("team/app:1", "team/app:2", "team/web:1", "base:1"):
        store.tag(*name.split(":"), image)
    assert sorted(adopt(outside, store.folder, *patterns, as_="old")["references"]) == [
        f"old/{one}" for one in expected
    ]


def test_a_plan_says_the_bytes_and_takes_nothing(outside: Outside, layout: Layout, store: Store) -> None:
    store.tag("team/app", "1", layout.image({"a": b"a"}, "amd64"))
    (planned,) = adopt(outside, store.folder, plan="bytes")["planned"]
    assert (planned["reference"], planned["held"]) == ("team/app:1", 0)
    assert planned["fetch"] > 0
    assert outside.shows("team/app:1") is None


def _no_digest(store: Store, image: dict[str, Any]) -> None:
    (store.top / "repositories/team/bad/_manifests/tags/1/current/link").write_text("../../../../etc/passwd")


def _no_link(store: Store, image: dict[str, Any]) -> None:
    (store.top / "repositories/team/bad/_manifests/tags/1/current/link").unlink()


def _no_manifest(store: Store, image: dict[str, Any]) -> None:
    store.blob(image["digest"]).unlink()


def _other_manifest(store: Store, image: dict[str, Any]) -> None:
    store.blob(image["digest"]).write_bytes(store.blob(image["digest"]).read_bytes() + b" ")


def _layer(store: Store, image: dict[str, Any]) -> Path:
    return store.blob(json.loads(store.blob(image["digest"]).read_text())["layers"][0]["digest"])


def _cut_layer(store: Store, image: dict[str, Any]) -> None:
    os.truncate(_layer(store, image), 3)


def _linked_layer(store: Store, image: dict[str, Any]) -> None:
    layer = _layer(store, image)
    layer.rename(store.folder / "elsewhere")
    layer.symlink_to(store.folder / "elsewhere")


@pytest.mark.parametrize(
    "spoil", [_no_digest, _no_link, _no_manifest, _other_manifest, _cut_layer, _linked_layer],
    ids=lambda spoil: spoil.__name__,
)  # fmt: skip
def test_a_damaged_tag_is_named_and_the_others_are_taken(
    outside: Outside, layout: Layout, store: Store, spoil: Callable[[Store, dict[str, Any]], None]
) -> None:
    good, bad = (layout.image({name: name.encode() * 40}, "amd64") for name in ("good", "bad"))
    store.tag("team/bad", "1", bad)
    store.tag("team/bad", "2", good)
    store.tag("team/good", "1", good)
    spoil(store, bad)
    with pytest.raises(PartlyDoneError) as partly:
        adopt(outside, store.folder)
    assert partly.value.exit_status == 4
    assert partly.value.thing.endswith("team/bad:1")
    assert sorted(partly.value.result["references"]) == ["team/bad:2", "team/good:1"]
    assert outside.shows("team/bad:1") is None


def test_what_is_no_registrys_folder_or_covers_nothing_is_refused(
    outside: Outside, layout: Layout, store: Store, tmp_path: Path
) -> None:
    store.tag("team/app", "1", layout.image({"a": b"a"}, "amd64"))
    with pytest.raises(NotFoundError):
        adopt(outside, store.folder, "nosuch/**")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError):
        adopt(outside, tmp_path / "empty")
    for folder, patterns in ((tmp_path / "nosuch", ()), (store.folder, ("team/**/",)), (store.folder, ("a:b:c",))):
        with pytest.raises(LockgateError) as refused:
            adopt(outside, folder, *patterns)
        assert refused.value.exit_status == 2
