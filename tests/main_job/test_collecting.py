"""`collect` takes what people have: a layout, a file, a reference at a registry, and a list of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.tour.pull import pull
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference
from tests.charts.test_charts import CHART, packed
from tests.peers.stock import Layout, docker_registry_in, run
from tests.stage import Station


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with Station(tmp_path_factory.mktemp("collecting") / "alpha", "alpha", "outside") as station:
        yield station


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Two images and an index over both."""
    layout = Layout(tmp_path_factory.mktemp("layout"))
    images = [layout.image({"etc/arch": arch.encode()}, arch) for arch in ("amd64", "arm64")]
    layout.tag("one", images[0])
    layout.tag("both", layout.index(images))
    return layout


def digest(station: Station, reference: str) -> str:
    return str(pull(station.base, Reference.parse(reference)).digest)


def test_an_image_of_a_layout_keeps_its_digest(alpha: Station, layout: Layout) -> None:
    collected = alpha.run("collect", f"oci:{layout.folder}:both", "--as", "team/both:1")
    assert collected.last_line == "team/both:1"
    assert digest(alpha, "team/both:1") == layout.digest("both")


def test_a_whole_layout_brings_all_its_names(alpha: Station, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    layout.tag("team/a:1", layout.image({"a": b"a"}, "amd64"))
    layout.tag("team/b:2", layout.image({"b": b"b"}, "amd64"))
    collected = alpha.run("collect", f"oci:{layout.folder}", "--json").json
    assert sorted(collected["references"]) == ["team/a:1", "team/b:2"]
    assert digest(alpha, "team/b:2") == layout.digest("team/b:2")


def test_a_file_becomes_an_artifact_of_its_bytes(alpha: Station, tmp_path: Path) -> None:
    (tmp_path / "firmware.bin").write_bytes(b"firmware")
    assert alpha.run("collect", f"file:{tmp_path}/firmware.bin", "--as", "files/firmware:2").last_line == (
        "files/firmware:2"
    )
    sizes = pull(alpha.base, Reference.parse("files/firmware:2")).sizes
    assert sizes[Digest.of(b"firmware")] == 8


def test_a_link_gives_its_own_name_and_not_its_targets(alpha: Station, layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "release-7.bin").write_bytes(b"seven")
    (tmp_path / "current.bin").symlink_to("release-7.bin")
    (tmp_path / "images").symlink_to(layout.folder)
    assert alpha.run("collect", f"file:{tmp_path}/current.bin").last_line == "files/current-bin:latest"
    assert "current.bin" in alpha.run("repo", "show", "files/current-bin:latest", "--json").json["raw"]
    assert alpha.run("collect", f"oci:{tmp_path}/images:one").last_line == "images:one"
    assert digest(alpha, "images:one") == layout.digest("one")


def test_a_link_to_a_name_that_is_not_utf8_is_refused_in_one_line(alpha: Station, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/c\xff")).write_bytes(b"x")
    (tmp_path / "good.bin").symlink_to(os.fsdecode(b"c\xff"))
    failed = alpha.run("collect", f"file:{tmp_path}/good.bin", expect=2)
    assert "not UTF-8" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_a_path_without_its_form_is_one_line_that_names_the_forms(alpha: Station, tmp_path: Path) -> None:
    (tmp_path / "app.tar").write_bytes(b"x")
    failed = alpha.run("collect", str(tmp_path / "app.tar"), expect=2)
    assert f"docker-archive:{tmp_path}/app.tar" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_a_tag_and_a_digest_are_taken_everywhere(alpha: Station, layout: Layout) -> None:
    alpha.run("collect", f"oci:{layout.folder}:one", "--as", "pinned/app:1")
    alpha.run("collect", f"oci:{layout.folder}:both", "--as", "pinned/app:2")
    pinned = f"pinned/app:1@{layout.digest('one')}"
    shown = alpha.run("repo", "show", pinned, "--json").json
    assert (shown["digest"], shown["note"]) == (layout.digest("one"), "")
    moved = alpha.run("repo", "show", f"pinned/app:1@{layout.digest('both')}")
    assert f"stands at {layout.digest('one')}" in moved.stdout
    alpha.run("block", "add", pinned, "--why", "recalled")
    alpha.run("block", "remove", layout.digest("one"))


@pytest.mark.peer
def test_what_stock_tools_save_is_collected(alpha: Station, layout: Layout, tmp_path: Path) -> None:
    for kind in ("docker-archive", "oci-archive"):
        run("skopeo", "copy", "--quiet", f"oci:{layout.folder}:one", f"{kind}:{tmp_path}/{kind}.tar:saved/{kind}:1")
        assert alpha.run("collect", f"{kind}:{tmp_path}/{kind}.tar").last_line == f"saved/{kind}:1"
        assert alpha.run("collect", f"{kind}:{tmp_path}/{kind}.tar:saved/{kind}:1", "--as", "x:1").last_line == "x:1"
    assert digest(alpha, "saved/oci-archive:1") == layout.digest("one")
    for form in ("one", "both"):
        run("skopeo", "copy", "--quiet", "--all", f"oci:{layout.folder}:{form}", f"dir:{tmp_path}/{form}.dir")
        alpha.run("collect", f"dir:{tmp_path}/{form}.dir", "--as", f"saved/dir:{form}")
        assert digest(alpha, f"saved/dir:{form}") == layout.digest(form)


@pytest.mark.peer
def test_the_folder_of_a_stopped_registry_is_adopted(alpha: Station, layout: Layout, tmp_path: Path) -> None:
    with docker_registry_in(tmp_path) as host:
        for form in ("one", "both"):
            run("skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false",
                f"oci:{layout.folder}:{form}", f"docker://{host}/there/{form}:1")  # fmt: skip
    planned = alpha.run("repo", "adopt", str(tmp_path), "--as", "old", "--dry-run", "--json").json
    assert [one["reference"] for one in planned["planned"]] == ["old/there/both:1", "old/there/one:1"]
    adopted = alpha.run("repo", "adopt", str(tmp_path), "there/*", "--as", "old", "--json").json
    assert adopted["references"] == ["old/there/both:1", "old/there/one:1"]
    assert digest(alpha, "old/there/both:1") == layout.digest("both")
    assert digest(alpha, "old/there/one:1") == layout.digest("one")
    for words, status in ((("nosuch",), 2), ((str(tmp_path), "UPPER"), 2), ((str(tmp_path), "nosuch/**"), 1)):
        failed = alpha.run("repo", "adopt", *words, expect=status)
        assert len([line for line in failed.stderr.splitlines() if "lockgate:" in line]) == 1


def test_a_charts_images_are_named_and_its_archive_is_given_back(alpha: Station, tmp_path: Path) -> None:
    layout, archive = Layout(tmp_path / "layout"), packed({"Chart.yaml": CHART, "values.yaml": b"image: nginx:1"})
    config = layout.blob(b"{}", "application/vnd.cncf.helm.config.v1+json")
    layer = layout.blob(archive, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    fields = {
        "schemaVersion": 2, "config": config, "layers": [layer],
        "annotations": {"org.opencontainers.image.title": "app", "org.opencontainers.image.version": "1.2.3"},
    }  # fmt: skip
    layout.tag(
        "charts/app:1.2.3", layout.blob(json.dumps(fields).encode(), "application/vnd.oci.image.manifest.v1+json")
    )
    (note,) = alpha.run("collect", f"oci:{layout.folder}", "--json").json["notes"]
    assert "lockgate chart images charts/app:1.2.3" in note
    (tmp_path / "app.tgz").write_bytes(archive)
    for chart in ("charts/app:1.2.3", str(tmp_path / "app.tgz")):
        found = alpha.run("chart", "images", chart, "--json").json
        assert [one["image"] for one in found["images"]] == ["docker.io/library/nginx:1"]
    (tmp_path / "x").write_bytes(b"x")
    alpha.run("collect", f"file:{tmp_path}/x", "--as", "files/x:1")
    assert "files/x:1" in alpha.run("chart", "images", "files/x:1", expect=2).stderr.splitlines()[-1]
    listed = alpha.run("chart", "images", "charts/app:1.2.3", "--toml").stdout
    assert 'from = "docker.io/library/nginx:1"' in listed
    assert alpha.run("file", "get", "charts/app:1.2.3", "--to", str(tmp_path)).last_line == f"{tmp_path}/app-1.2.3.tgz"
    assert (tmp_path / "app-1.2.3.tgz").read_bytes() == archive


def test_a_reference_at_another_registry_comes_with_every_platform(
    alpha: Station, layout: Layout, tmp_path: Path
) -> None:
    with docker_registry_in(tmp_path) as host:
        run("skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false",
            f"oci:{layout.folder}:both", f"docker://{host}/there/both:1")  # fmt: skip
        assert alpha.run("collect", f"{host}/there/both:1").last_line == "there/both:1"
        alpha.run("collect", f"{host}/there/both@{layout.digest('both')}", "--as", "by/digest:1")
        pinned = alpha.run("collect", f"docker://{host}/there/both:1@{layout.digest('both')}", "--json").json
        run("skopeo", "copy", "--quiet", "--dest-tls-verify=false",
            f"oci:{layout.folder}:one", f"docker://{host}/there/both:2")  # fmt: skip
        moved = alpha.run("collect", f"{host}/there/both:2@{layout.digest('both')}")
        gone = alpha.run("collect", f"{host}/there/both:nosuch@{layout.digest('both')}")
        missing = alpha.run("collect", f"{host}/there/both:nosuch", expect=1)
    assert digest(alpha, "there/both:1") == digest(alpha, "by/digest:1") == layout.digest("both")
    assert (pinned["references"], pinned["notes"]) == (["there/both:1"], [])
    assert moved.last_line == "there/both:2"
    assert layout.digest("one") in moved.stdout.splitlines()[-2]
    assert digest(alpha, "there/both:2") == layout.digest("both")
    assert "does not exist" in gone.stdout.splitlines()[-2]
    assert "there/both" in missing.stderr.splitlines()[-1]
    assert "nosuch" in missing.stderr.splitlines()[-1]


@pytest.mark.peer
def test_stock_clients_pull_the_platform_that_is_there_and_hear_why_another_is_not(
    alpha: Station, layout: Layout, tmp_path: Path
) -> None:
    alpha.run("collect", f"oci:{layout.folder}:both", "--platform", "linux/amd64", "--as", "some/both:1")
    there = f"docker://{alpha.base.removeprefix('http://')}/some/both:1"
    copy = ("skopeo", "--override-os", "linux", "copy", "--quiet", "--src-tls-verify=false")
    run(copy[0], "--override-arch", "amd64", *copy[1:], there, f"oci:{tmp_path}/amd64")
    for way in ((copy[0], "--override-arch", "arm64", *copy[1:]), (*copy, "--all")):
        ended = subprocess.run([*way, there, f"oci:{tmp_path}/not"], capture_output=True, text=True, check=False)
        assert ended.returncode != 0
        assert "linux/arm64 was left out when the index was collected" in ended.stderr


@pytest.mark.peer
def test_all_of_dockers_own_registry_is_collected_by_patterns(alpha: Station, layout: Layout, tmp_path: Path) -> None:
    with docker_registry_in(tmp_path) as host:
        for name in ("shelf/one:1.9.0", "shelf/one:1.10.0", "shelf/one:1.10.0-slim", "shelf/deep/two:1.0.0"):
            run("skopeo", "copy", "--quiet", "--dest-tls-verify=false",
                f"oci:{layout.folder}:one", f"docker://{host}/{name}")  # fmt: skip
        looked = alpha.run("collect", f"{host}/shelf/**:*", "--dry-run").stdout.splitlines()
        taken = alpha.run("collect", f"{host}/shelf/**:*", "--range", "^1", "--newest", "1", "--as", "all", "--json")
        none = alpha.run("collect", f"{host}/shelf/**:9.*", expect=1)
    assert "4 of 4 tags of 2 repositories" in looked[0]
    assert taken.json["references"] == ["all/shelf/deep/two:1.0.0", "all/shelf/one:1.10.0"]
    assert digest(alpha, "all/shelf/one:1.10.0") == layout.digest("one")
    assert "4 not covered by the pattern" in none.stderr


def test_a_registry_that_is_not_there_is_one_clear_line(alpha: Station) -> None:
    failed = alpha.run("collect", "127.0.0.1:1/there/both:1", expect=1)
    assert failed.stderr.splitlines()[-1].startswith(
        "lockgate: the registry cannot be reached (Connection refused): 127.0.0.1:1/there/both:1;"
    )
    assert failed.stderr.count("(Connection refused); trying again") == 1


def test_a_collection_lists_sources_from_where_it_lies(alpha: Station, layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("as signed")
    (tmp_path / "collection.toml").write_text(
        f'[[source]]\nfrom = "oci:{layout.folder}:one"\nas = "listed/one:1"\n\n'
        '[[source]]\nfrom = "file:note.txt"\nas = "listed/note:1"\n'
    )
    collected = alpha.run("collect", "-f", tmp_path / "collection.toml", "--json").json
    assert collected["references"] == ["listed/one:1", "listed/note:1"]
    assert digest(alpha, "listed/one:1") == layout.digest("one")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("source = 1", "not a collection"),
        ("[[source]]\nas = 'a:1'", "source 1 is malformed"),
        ("[[source]]\nfrom = 'oci:x'\nplatform = 'y'", "source 1 is malformed"),
        ("[[source]]\nfrom = 5", "source 1 is malformed"),
        ("[[source]\n", "not a collection"),
    ],
)
def test_a_malformed_collection_is_named(alpha: Station, tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "collection.toml").write_text(text)
    failed = alpha.run("collect", "-f", tmp_path / "collection.toml", expect=2)
    assert reason in failed.stderr
    assert str(tmp_path / "collection.toml") in failed.stderr


def test_a_source_that_fails_is_named_and_does_not_end_the_others(
    alpha: Station, layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "first").write_text("1")
    failed = alpha.run("collect", f"oci:{layout.folder}:later", f"file:{tmp_path}/first", expect=4)
    assert "later" in failed.stderr.splitlines()[-1]
    assert failed.last_line == "files/first:latest"
    layout.tag("later", layout.image({"later": b"later"}, "amd64"))
    again = alpha.run("collect", "--retry-failed", "--json").json
    assert [reference.rpartition(":")[2] for reference in again["references"]] == ["later"]
    assert alpha.run("collect", "--retry-failed", expect=2).stdout == ""
    assert "first" in json.dumps(alpha.run("repo", "list", "--json").json)
