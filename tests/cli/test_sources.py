"""What `collect` makes of a source as it is typed, before it asks the station."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.store.collect import _entry
from bundles.errors import LockgateError, UsageError
from tests.peers.stock import Layout

DIGEST = f"sha256:{'0' * 64}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an archive, a file and a link to a layout."""
    monkeypatch.chdir(tmp_path)
    for name in ("app.tar", "app.tar.gz", "firmware.bin", "a:b.tar"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "plain").mkdir()
    (tmp_path / "images").symlink_to(Layout(tmp_path / "layout").folder)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("app.tar", "docker-archive:app.tar"),
        ("./app.tar", "oci-archive:./app.tar"),
        ("app.tar.gz", "docker-archive:app.tar.gz"),
        ("{}/app.tar", "file:{}/app.tar"),
        ("{}/missing.tar", "docker-archive:{}/missing.tar"),
        ("firmware.bin", "file:firmware.bin"),
        ("images", "oci:images"),
        ("plain", "oci:DIR"),
        ("alpine", "file:PATH"),
        ("alpine:3", "docker.io/alpine:3"),
        ("docker-daemon:app:1", "skopeo copy docker-daemon:app:1 oci:DIR"),
        ("docker://app:1", "docker.io/app:1"),
        ("oci-archive:missing.tar", "oci-archive:FILE"),
        ("docker-archive:plain", "docker-archive:FILE"),
        ("oci:app.tar", "oci-archive:app.tar"),
        ("file:plain", "file"),
    ],
)
def test_a_source_in_no_form_is_answered_with_those_that_there_are(folder: Path, source: str, remedy: str) -> None:
    with pytest.raises(LockgateError) as refused:
        _entry(source.format(folder), None, Path())
    assert refused.value.exit_status == 2
    assert remedy.format(folder) in refused.value.diagnostics()


@pytest.mark.parametrize(
    ("source", "kind", "name", "tag"),
    [
        ("oci:images", "layout", "images", None),
        ("oci:images:team/app:1", "layout", "images", "team/app:1"),
        (f"oci:images@{DIGEST}", "layout", "images", f"@{DIGEST}"),
        (f"oci:./images:1@{DIGEST}", "layout", "images", f"1@{DIGEST}"),
        ("docker-archive:app.tar", "docker-archive", "app.tar", None),
        ("docker-archive:a:b.tar:app:1", "docker-archive", "a:b.tar", "app:1"),
        ("oci-archive:a:b.tar", "oci-archive", "a:b.tar", None),
        ("dir:plain", "dir", "plain", None),
    ],
)
def test_the_longest_path_that_is_there_is_meant_and_what_stands_behind_it_chooses(
    folder: Path, source: str, kind: str, name: str, tag: str | None
) -> None:
    entry = _entry(source, None, Path())
    assert (entry["kind"], entry["name"], entry["tag"]) == (kind, name, tag)
    assert entry["path"] == str(folder / name)


def test_a_folder_above_is_named_as_it_is_called(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "plain")
    assert _entry("oci:../layout", None, Path())["name"] == "layout"
    monkeypatch.chdir(folder / "layout")
    assert _entry("oci:.", None, Path())["name"] == "layout"


@pytest.mark.parametrize("as_", ["app", "app@" + DIGEST, f"app:1@{DIGEST}"])
def test_a_name_that_is_given_is_a_tag(folder: Path, as_: str) -> None:
    with pytest.raises(LockgateError) as refused:
        _entry("file:firmware.bin", as_, Path())
    assert refused.value.exit_status == UsageError("").exit_status
