"""`lockgate file get`: a collected file comes back with its name, its permission bits and its bytes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli.store.file import _mode, _name
from bundles.errors import RefusedError, UsageError
from bundles.oci.digest import Digest
from bundles.oci.kinds import FILE_TYPE
from tests.peers.stock import Layout
from tests.stage import Station

MODE = "vnd.lockgate.file.mode"
TITLE = "org.opencontainers.image.title"


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with Station(tmp_path_factory.mktemp("files") / "alpha", "alpha", "outside") as station:
        yield station


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def packed(layout: Layout, data: bytes, **annotations: str) -> str:
    """A file's artifact with annotations of any kind, tagged with its digest; the tag."""
    layer = layout.blob(data, "application/octet-stream") | {"annotations": annotations}
    fields = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": FILE_TYPE,
        "config": layout.blob(b"{}", "application/vnd.oci.empty.v1+json"), "layers": [layer],
    }  # fmt: skip
    described = layout.blob(json.dumps(fields).encode(), fields["mediaType"])  # type: ignore[arg-type]
    tag = described["digest"][7:20]
    layout.tag(f"hostile/file:{tag}", described)
    return f"hostile/file:{tag}"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/x", "a/b", "a\0b", "x" * 256, "é" * 128, "\udce9"])
def test_a_name_that_is_no_single_name_is_refused(name: str) -> None:
    with pytest.raises(RefusedError):
        _name(name, given=False)
    with pytest.raises(UsageError):
        _name(name, given=True)


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x1b[2Jb", "a\u202egpj.sh", "a\u200bb", "a\xadb", "a\x85b", "\ufeffa", "a\r", "a\ufe0f"]
)
def test_a_name_that_cannot_be_shown_as_it_is_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="--name NAME"):
        _name(name, given=False)
    with pytest.raises(UsageError, match="--name NAME"):
        _name(name, given=True)


@pytest.mark.parametrize("name", ["-rf", ".bashrc", "...", "--", "-"])
def test_a_hidden_name_and_one_that_reads_as_an_option_are_a_persons_choice_alone(name: str) -> None:
    with pytest.raises(RefusedError, match="--name NAME"):
        _name(name, given=False)
    assert _name(name, given=True) == name


@pytest.mark.parametrize("name", ["app.bin", "東京 (1).bin", "x" * 255, "CON", "a\\b", "e\u0301.bin", "a b"])
def test_any_other_name_is_itself(name: str) -> None:
    assert _name(name, given=False) == name


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("0755", 0o755),
        ("0000", 0),
        ("04755", 0o755),
        ("07777", 0o777),
        ("", None),
        ("755", None),
        ("0x1", None),
        ("0999", None),
    ],
)
def test_power_is_never_given_back(text: str, mode: int | None) -> None:
    assert _mode(text) == mode


def test_a_file_comes_back_as_it_was(alpha: Station, tmp_path: Path, out: Path) -> None:
    source = tmp_path / "Tool (x86).sh"
    source.write_bytes(os.urandom(3_000_000))
    source.chmod(0o4751)
    reference = alpha.run("collect", f"file:{source}").last_line
    umask = os.umask(0o077)
    try:
        got = alpha.run("file", "get", reference, "--to", out, "--json").json
    finally:
        os.umask(umask)
    found = out / "Tool (x86).sh"
    assert (got["path"], got["mode"], got["digest"]) == (str(found), "0751", str(Digest.of(source.read_bytes())))
    assert found.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(found.stat().st_mode) == 0o751
    assert found.stat().st_uid == os.geteuid()
    assert [path.name for path in out.iterdir()] == [found.name]
    again = alpha.run("file", "get", reference, "--to", out, expect=2)
    assert "exists" in again.stderr
    pinned = f"{reference}@{json.loads(alpha.run('repo', 'show', reference, '--json').stdout)['digest']}"
    assert alpha.run("file", "get", pinned, "--to", out, "--name", "other").last_line == str(out / "other")
    assert "pull" in alpha.run("audit", "show").stdout
    assert "no such folder" in alpha.run("file", "get", reference, "--to", out / "missing", expect=2).stderr
    assert "no such artifact" in alpha.run("file", "get", "no/such:1", "--to", out, expect=1).stderr


def test_nothing_that_is_there_is_replaced_and_hostile_artifacts_are_one_line(
    alpha: Station, tmp_path: Path, out: Path
) -> None:
    layout = Layout(tmp_path / "layout")
    away = packed(layout, b"1", **{TITLE: "../../away", MODE: "0644"})
    taken = packed(layout, b"2", **{TITLE: "taken", MODE: "0644"})
    nameless = packed(layout, b"3")
    power = packed(layout, b"4", **{TITLE: "power", MODE: "06755"})
    unseen = packed(layout, b"5", **{TITLE: "a\u202egpj.sh\nb"})
    hidden = packed(layout, b"6", **{TITLE: ".bashrc"})
    marked = packed(layout, b"7", **{TITLE: "e\u0301\\x.bin"})
    layout.tag("team/image:1", layout.image({"a": b"a"}, "amd64"))
    alpha.run("collect", f"oci:{layout.folder}")
    (out / "taken").symlink_to("elsewhere")
    for reference, status, word in (
        (away, 3, "--name"),
        (taken, 2, "exists"),
        (nameless, 3, "--name"),
        (unseen, 3, "--name"),
        (hidden, 3, "--name"),
        ("team/image:1", 2, "skopeo"),
    ):
        failed = alpha.run("file", "get", reference, "--to", out, expect=status)
        assert word in failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1
    assert [path.name for path in out.iterdir()] == ["taken"]
    assert not (out / "elsewhere").exists()
    alpha.run("file", "get", nameless, "--to", out, "--name", "named")
    assert (out / "named").read_bytes() == b"3"
    alpha.run("file", "get", power, "--to", out)
    assert Path(alpha.run("file", "get", marked, "--to", out).last_line).read_bytes() == b"7", "the line is the path"
    assert alpha.run("file", "get", hidden, "--to", out, "--name", ".bashrc").last_line == str(out / ".bashrc")
    assert stat.S_IMODE((out / "power").stat().st_mode) == 0o755


def test_bytes_that_rotted_are_not_given_a_name(alpha: Station, tmp_path: Path, out: Path) -> None:
    source = tmp_path / "rotten.bin"
    source.write_bytes(b"0" * 100_000)
    reference = alpha.run("collect", f"file:{source}").last_line
    blob = alpha.folder / "store/blobs" / Digest.of(source.read_bytes()).path
    blob = blob if blob.exists() else next(alpha.folder.rglob(Digest.of(source.read_bytes()).hex))
    blob.chmod(0o600)
    for data in (b"1" + b"0" * 99_999, b"0" * 50):
        blob.write_bytes(data)
        failed = alpha.run("file", "get", reference, "--to", out, expect=3 if len(data) > 50 else 1)
        assert len(failed.stderr.strip().splitlines()) == 1
        assert list(out.iterdir()) == []


def test_blocked_content_is_not_given_out(alpha: Station, tmp_path: Path, out: Path) -> None:
    (tmp_path / "bad.bin").write_bytes(b"bad")
    reference = alpha.run("collect", f"file:{tmp_path}/bad.bin").last_line
    alpha.run("block", "add", str(Digest.of(b"bad")), "--why", "malware")
    assert "malware" in alpha.run("file", "get", reference, "--to", out, expect=3).stderr
    assert list(out.iterdir()) == []
