"""A Debian root file system and a two-platform index with referrers cross the gap, moved by skopeo on both sides."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.tour.stage import Station
from tests.peer_tools import require

IMAGE = "debian/bookworm:slim"
INDEX = "debian/two:1"


def run(*command: str | Path) -> str:
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, timeout=300).stdout


def skopeo_copy(source: str, target: str, *options: str) -> None:
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    run("skopeo", "--insecure-policy", "copy", "--quiet", *plain, *options, source, target)


def raw(station: Station, reference: str) -> dict[str, Any]:
    host = station.base.removeprefix("http://")
    document: dict[str, Any] = json.loads(
        run("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{host}/{reference}")
    )
    return document


def digest(station: Station, reference: str) -> str:
    host = station.base.removeprefix("http://")
    return run("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{host}/{reference}")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian root file system packed by umoci, and an index of two platforms over it."""
    require("skopeo", "umoci", "mmdebstrap")
    root = tmp_path_factory.mktemp("debian")
    run("mmdebstrap", "--quiet", "--variant=essential", "bookworm", root / "rootfs.tar")
    layout = root / "layout"
    run("umoci", "init", "--layout", layout)
    for tag, architecture in (("amd64", "amd64"), ("arm64", "arm64")):
        run("umoci", "new", "--image", f"{layout}:{tag}")
        run("umoci", "config", "--image", f"{layout}:{tag}", "--architecture", architecture)
    run("umoci", "raw", "add-layer", "--image", f"{layout}:amd64", root / "rootfs.tar")
    add_index(layout)
    return layout


def add_index(layout: Path) -> None:
    """Name an index over the two images `two` in the layout, as an index builder would."""
    index = json.loads((layout / "index.json").read_text())
    named = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry for entry in index["manifests"]}
    children = [
        {key: named[arch][key] for key in ("mediaType", "digest", "size")}
        | {"platform": {"os": "linux", "architecture": arch}}
        for arch in ("amd64", "arm64")
    ]
    media_type = "application/vnd.oci.image.index.v1+json"
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": children}).encode()
    name = run_sha256(layout, body)
    index["manifests"].append(
        {
            "mediaType": media_type,
            "digest": f"sha256:{name}",
            "size": len(body),
            "annotations": {"org.opencontainers.image.ref.name": "two"},
        }
    )
    (layout / "index.json").write_text(json.dumps(index))


def run_sha256(layout: Path, body: bytes) -> str:
    """Put a blob into the layout under the name that sha256sum gives it."""
    name = subprocess.run(["sha256sum"], input=body, check=True, capture_output=True).stdout.split()[0].decode()
    (layout / "blobs/sha256" / name).write_bytes(body)
    return name


@pytest.fixture(scope="module")
def crossed(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Station, Station, Path]]:
    """Both stations after the main job: pushed by skopeo outside, carried, released inside."""
    root = tmp_path_factory.mktemp("gap")
    with Station(root / "alpha", "alpha", "outside") as alpha, Station(root / "bravo", "bravo", "inside") as bravo:
        host = alpha.base.removeprefix("http://")
        skopeo_copy(f"oci:{layout}:amd64", f"docker://{host}/{IMAGE}")
        skopeo_copy(f"oci:{layout}:two", f"docker://{host}/{INDEX}", "--all")
        alpha.run("key", "create", "engineer", "--no-passphrase")
        public = root / "pub.pem"
        public.write_text(alpha.run("key", "export", "engineer").stdout)
        bravo.run("key", "trust", public, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
        bravo.run("key", "create", "officer", "--no-passphrase")
        officer = root / "officer.pem"
        officer.write_text(bravo.run("key", "export", "officer").stdout)
        bravo.run("key", "trust", officer, "--purpose", "release", "--owner", "Officer")
        medium = root / "medium"
        medium.mkdir()
        built = alpha.run(
            "bundle",
            "build",
            "--to",
            "bravo",
            "--out",
            medium,
            "--volume",
            "40MB",
            "--sign-with",
            "engineer",
            IMAGE,
            INDEX,
        )
        bundle = Path(built.last_line)
        assert bravo.run("intake", "import", medium).last_line == bundle.name
        bravo.run("intake", "approve", bundle.name, "--key", "officer")
        bravo.run("intake", "release", bundle.name)
        yield alpha, bravo, bundle


def test_no_volume_is_larger_than_asked_for(crossed: tuple[Station, Station, Path]) -> None:
    sizes = [volume.stat().st_size for volume in (crossed[2] / "volumes").iterdir()]
    assert max(sizes) <= 40_000_000
    assert len(sizes) > 1


def test_content_rules_find_what_the_root_file_system_has(crossed: tuple[Station, Station, Path]) -> None:
    _, bravo, _ = crossed
    found = json.loads(bravo.run("scan", IMAGE, "--content", "--json").stdout)
    assert (found["images"], found["unlooked"]) == (1, [])
    paths = {one["path"] for one in found["found"] if one["rule"] == "setuid"}
    assert {"usr/bin/su", "usr/bin/newgrp"} <= paths
    assert not {"private-key", "secret", "not-inspectable", "encrypted"} & found["found_counts"].keys()


@pytest.mark.parametrize("reference", [IMAGE, INDEX])
def test_the_inside_serves_the_digest_of_the_outside(crossed: tuple[Station, Station, Path], reference: str) -> None:
    alpha, bravo, _ = crossed
    assert digest(bravo, reference) == digest(alpha, reference)


def test_the_image_that_comes_back_is_the_image_that_went_out(
    crossed: tuple[Station, Station, Path], layout: Path, tmp_path: Path
) -> None:
    host = crossed[1].base.removeprefix("http://")
    skopeo_copy(f"docker://{host}/{IMAGE}", f"oci:{tmp_path / 'back'}:slim")
    back = json.loads((tmp_path / "back/index.json").read_text())["manifests"][0]["digest"]
    out = json.loads((layout / "index.json").read_text())["manifests"]
    assert back in {entry["digest"] for entry in out}
    run("umoci", "unpack", "--image", f"{tmp_path / 'back'}:slim", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/etc/debian_version").exists()


def test_every_platform_of_the_index_comes_back(crossed: tuple[Station, Station, Path], tmp_path: Path) -> None:
    host = crossed[1].base.removeprefix("http://")
    skopeo_copy(f"docker://{host}/{INDEX}", f"oci:{tmp_path / 'back'}:two", "--all")
    assert [child["platform"]["architecture"] for child in raw(crossed[1], INDEX)["manifests"]] == ["amd64", "arm64"]


def test_the_sboms_came_along_as_referrers_and_list_debian_packages(crossed: tuple[Station, Station, Path]) -> None:
    from urllib.request import urlopen

    bravo = crossed[1]
    subject = digest(bravo, IMAGE).strip()
    with urlopen(f"{bravo.base}/v2/debian/bookworm/referrers/{subject}") as answer:
        referrers = json.load(answer)["manifests"]
    sbom = next(entry for entry in referrers if entry["artifactType"] == "application/vnd.cyclonedx+json")
    manifest = raw(bravo, f"debian/bookworm@{sbom['digest']}")
    with urlopen(f"{bravo.base}/v2/debian/bookworm/blobs/{manifest['layers'][0]['digest']}") as answer:
        components = {component["name"] for component in json.load(answer)["components"]}
    assert {"dpkg", "libc6", "bash"} <= components


def test_skopeo_reads_the_unpacked_bundle(crossed: tuple[Station, Station, Path], tmp_path: Path) -> None:
    _, bravo, bundle = crossed
    bravo.run("bundle", "unpack", bundle, "--to", tmp_path / "unpacked")
    inspected = run("skopeo", "inspect", f"oci:{tmp_path / 'unpacked'}:{IMAGE}")
    assert json.loads(inspected)["Digest"] == digest(bravo, IMAGE).strip()
