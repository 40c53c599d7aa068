"""A collection with a lock takes exactly what the lock says, and the lock is carried with it."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from appliance.reference_lists import names_in
from appliance.tour.pull import pull
from bundles.errors import UsageError
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from bundles.oci.reference import Reference
from tests.outgoing.small_registry import SmallRegistry, serving
from tests.stage import Station


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with Station(tmp_path_factory.mktemp("locked") / "alpha", "alpha", "outside") as station:
        yield station


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with serving(SmallRegistry()) as registry:
        yield registry


def stands(station: Station, reference: str) -> str:
    return str(pull(station.base, Reference.parse(reference)).digest)


def test_a_lock_is_made_kept_to_and_bumped(alpha: Station, registry: SmallRegistry, tmp_path: Path) -> None:
    first = registry.image("team/app", "1", b"the first layer")
    (tmp_path / "note.txt").write_text("as it was")
    file, lock = tmp_path / "mine.toml", tmp_path / "mine.lock"
    file.write_text(
        f'[[source]]\nfrom = "{registry.host}/team/app:1"\nas = "locked/app:1"\n'
        '[[source]]\nfrom = "file:note.txt"\nas = "locked/note:1"\n'
    )
    plain = alpha.run("collect", "-f", file, "--json").json
    assert plain["references"] == ["locked/app:1", "locked/note:1"]
    assert not lock.exists()  # without --update nothing is written

    made = alpha.run("collect", "-f", file, "--update", "--json").json
    assert made["references"] == ["locked/app:1", "locked/note:1", "collections/mine:lock"]
    assert made["changed"][0] == {"reference": "locked/app:1", "before": None, "after": str(first)}
    alpha.run("file", "get", "collections/mine:lock", "--to", tmp_path, "--name", "carried.lock")
    assert (tmp_path / "carried.lock").read_bytes() == lock.read_bytes()

    second = registry.image("team/app", "1", b"the second layer")
    again = alpha.run("collect", "-f", file)
    assert again.stdout.splitlines()[-3:] == ["locked/app:1", "locked/note:1", "collections/mine:lock"]
    assert stands(alpha, "locked/app:1") == str(first)

    bumped = alpha.run("collect", "-f", file, "--update").stdout.splitlines()
    assert bumped[0] == f"locked/app:1: {first} -> {second}"
    assert stands(alpha, "locked/app:1") == str(second)
    assert alpha.run("collect", "-f", file, "--update").stdout.splitlines()[0] == "the lock is as it was"

    (tmp_path / "note.txt").write_text("changed")
    refused = alpha.run("collect", "-f", file, expect=4)
    assert "something else than the lock says" in refused.stderr
    assert "locked/note:1" in refused.stderr

    file.write_text(file.read_text().replace("app:1", "app:2"))
    other = alpha.run("collect", "-f", file, expect=3).stderr.splitlines()[-1]
    assert "the lock is of another collection" in other
    assert f"{registry.host}/team/app:2" in other
    assert "no lock of itself" in alpha.run("collect", "-f", file, "--lock", file, expect=2).stderr


def test_a_dry_run_says_what_would_come_and_takes_nothing(
    alpha: Station, registry: SmallRegistry, tmp_path: Path
) -> None:
    shared, own = b"shared" * 1000, b"own" * 500
    images = [registry.image("team/dry", tag, shared, own + tag.encode()) for tag in ("1", "2")]
    index = registry.index("team/dry", "all", *images)
    file = tmp_path / "dry.toml"
    file.write_text(f'[[source]]\nfrom = "{registry.host}/team/dry:all"\n')
    told = alpha.run("collect", "-f", file, "--update", "--dry-run", "--json").json
    (planned,) = told["planned"]
    assert (planned["reference"], planned["digest"]) == ("team/dry:all", str(index))
    assert planned["fetch"] >= len(shared) + 2 * (len(own) + 1)
    assert told["changed"] == [{"reference": "team/dry:all", "before": None, "after": str(index)}]
    assert not (tmp_path / "dry.lock").exists()
    assert "team/dry" not in json.dumps(alpha.run("repo", "list", "--json").json)

    whole = planned["fetch"] + planned["held"]
    alpha.run("collect", "-f", file)
    (after,) = alpha.run("collect", "-f", file, "--dry-run", "--json").json["planned"]
    assert (after["fetch"], after["held"]) == (0, whole)
    both = alpha.run("collect", f"{registry.host}/team/dry:1", f"{registry.host}/team/dry:2", "--dry-run").last_line
    assert both.startswith("2 artifacts: 0 bytes to fetch, ")
    assert stands(alpha, "team/dry:all") == str(index)


@contextmanager
def files_of(folder: Path) -> Iterator[str]:
    """The files of a folder over HTTP on loopback; the URL of the folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_file_at_a_url_is_taken_by_its_checksum_and_by_no_other(alpha: Station, tmp_path: Path) -> None:
    content = b"firmware of some length" * 100_000
    (tmp_path / "served").mkdir()
    (tmp_path / "served/firm ware.bin").write_bytes(content)
    right = hashlib.sha256(content).hexdigest()
    file = tmp_path / "urls.toml"

    def write(url: str, sha256: str, name: str) -> None:
        file.write_text(f'[[source]]\nfrom = "{url}"\nsha256 = "{sha256}"\nas = "{name}"\n')

    with files_of(tmp_path / "served") as base:
        url = f"{base}/firm%20ware.bin"
        write(url, right, "urls/firmware:1")
        made = alpha.run("collect", "-f", file, "--update", "--json").json
        assert made["references"] == ["urls/firmware:1", "collections/urls:lock"]
        alpha.run("file", "get", "urls/firmware:1", "--to", tmp_path)
        assert (tmp_path / "firm ware.bin").read_bytes() == content
        local = tmp_path / "served/firm ware.bin"
        local.chmod(0o644)
        alpha.run("collect", f"file:{local}", "--as", "urls/local:1")
        assert stands(alpha, "urls/firmware:1") == stands(alpha, "urls/local:1")

        (tmp_path / "urls.lock").unlink()
        for wrong, sha256, status, what in (
            (url, "0" * 64, 3, "not its digest's"),
            (f"{base}/missing.bin", right, 1, "the server has no such thing"),
            (url.replace("http:", "https:"), right, 3, "this host speaks HTTP"),
            ("http://files.example/x", right, 3, "not fetched by plain HTTP"),
        ):
            write(wrong, sha256, "urls/wrong:1")
            ended = alpha.run("collect", "-f", file, expect=status)
            assert what in ended.stderr.splitlines()[-1]
        for kept in (f"{base}/firm%20ware.bin?signature=s3cret", url.replace("//", "//ada:s3cret@")):
            write(kept, right, "urls/wrong:1")
            ended = alpha.run("collect", "-f", file, "--update", expect=2)
            assert "line 2" in ended.stderr
            assert "s3cret" not in ended.stderr
            assert not (tmp_path / "urls.lock").exists()
        assert "s3cret" not in json.dumps(alpha.run("job", "list", "--json").json)
    assert "urls/wrong" not in json.dumps(alpha.run("repo", "list", "--json").json)


def test_many_tags_are_chosen_locked_kept_to_and_built(alpha: Station, registry: SmallRegistry, tmp_path: Path) -> None:
    for tag in ("1.9.0", "1.10.0", "1.10.0-alpine", "2.0.0"):
        registry.image("team/tool", tag, tag.encode())
    file = tmp_path / "tools.toml"
    source = f'[[source]]\nfrom = "{registry.host}/team/tool:*"\nas = "tools/tool"\nrange = "<2"\nnewest = 2\n'
    file.write_text(source)
    with pytest.raises(UsageError) as unlocked:
        names_in(str(file))
    assert "--update" in unlocked.value.remedy
    looked = alpha.run("collect", "-f", file, "--update", "--dry-run").stdout.splitlines()
    assert [line.partition(":")[0] for line in looked[:2]] == ["tools/tool", "tools/tool"]
    assert "2 of 4 tags" in looked[2]
    assert "newest 1 of 2" in looked[3]
    assert not (tmp_path / "tools.lock").exists()
    made = alpha.run("collect", "-f", file, "--update", "--json").json
    assert made["references"] == ["tools/tool:1.10.0", "tools/tool:1.9.0", "collections/tools:lock"]

    registry.image("team/tool", "1.11.0", b"new")
    registry.asked.clear()
    kept = alpha.run("collect", "-f", file).stdout.splitlines()
    assert kept == made["references"]
    assert registry.counted("tags/list") == 0
    bumped = alpha.run("collect", "-f", file, "--update").stdout.splitlines()
    assert [(line.partition(": ")[0], line.rpartition(" ")[2]) for line in bumped[:2]] == [
        ("tools/tool:1.11.0", stands(alpha, "tools/tool:1.11.0")), ("tools/tool:1.9.0", "gone"),
    ]  # fmt: skip
    assert names_in(str(file)) == ["tools/tool:1.11.0", "tools/tool:1.10.0"]

    file.write_text(source.replace("newest = 2", "newest = 3"))
    assert "newest 3" in alpha.run("collect", "-f", file, expect=3).stderr
    file.write_text(source.replace('"<2"', '"<2, >1"'))
    wrong = alpha.run("collect", "-f", file, expect=2).stderr
    assert f"{file}, line 4" in wrong


def test_repositories_of_a_pattern_are_locked_by_their_names_there(
    alpha: Station, registry: SmallRegistry, tmp_path: Path
) -> None:
    for repository in ("shelf/a", "shelf/b/c"):
        registry.image(repository, "1.0.0", repository.encode())
    file = tmp_path / "shelf.toml"
    file.write_text(f'[[source]]\nfrom = "{registry.host}/shelf/**:*"\nas = "copy"\n')
    names = ["copy/shelf/a:1.0.0", "copy/shelf/b/c:1.0.0", "collections/shelf:lock"]
    assert alpha.run("collect", "-f", file, "--update", "--json").json["references"] == names
    registry.asked.clear()
    assert alpha.run("collect", "-f", file).stdout.splitlines() == names
    assert registry.counted("_catalog") == registry.counted("tags/list") == 0


def test_options_choose_among_the_tags_of_a_source_alone(alpha: Station, registry: SmallRegistry) -> None:
    for tag in ("1.0.0", "1.1.0", "1.1.0-slim"):
        registry.image("team/lib", tag, tag.encode())
    pattern = f"docker://{registry.host}/team/lib:*"
    taken = alpha.run("collect", pattern, "--range", "^1", "--newest", "1", "--as", "libs/lib")
    assert taken.last_line == "libs/lib:1.1.0"
    assert alpha.run("collect", pattern, "--exclude", "*-slim", "--json").json["references"] == [
        "team/lib:1.0.0", "team/lib:1.1.0",
    ]  # fmt: skip
    none = alpha.run("collect", pattern, "--variant", "alpine", expect=1)
    assert "of another variant" in none.stderr


def test_a_platform_that_was_left_out_is_named_to_who_asks_for_it(
    alpha: Station, registry: SmallRegistry, tmp_path: Path
) -> None:
    images = {one: registry.image("team/multi", "", one.encode()) for one in ("amd64", "arm64")}
    listed = [
        {"mediaType": OCI_MANIFEST, "digest": str(digest), "size": len(registry.manifests[f"team/multi/{digest}"][1]),
         "platform": {"os": "linux", "architecture": architecture}}
        for architecture, digest in images.items()
    ]  # fmt: skip
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
    index = registry.manifest("team/multi", "1", OCI_INDEX, document)
    file = tmp_path / "multi.toml"
    file.write_text(f'[[source]]\nfrom = "{registry.host}/team/multi:1"\nplatforms = ["linux/amd64"]\n')
    alpha.run("collect", "-f", file, "--update")
    shown = alpha.run("repo", "show", "team/multi:1", "--json").json
    assert (shown["digest"], [one["state"] for one in shown["platforms"]]) == (str(index), ["here", "left-out"])
    assert "left out when it was collected" in alpha.run("repo", "show", "team/multi:1").stdout
    with pytest.raises(HTTPError) as gone:
        urlopen(f"http://{alpha.base.removeprefix('http://')}/v2/team/multi/manifests/{images['arm64']}")
    assert gone.value.code == 404
    error = json.loads(gone.value.read())["errors"][0]
    assert error["code"] == "MANIFEST_UNKNOWN"
    assert "linux/arm64 was left out" in error["message"]
    file.write_text(file.read_text().replace("amd64", "arm64"))
    assert "another collection" in alpha.run("collect", "-f", file, expect=3).stderr
    alpha.run("collect", f"{registry.host}/team/multi:1", "--platform", "linux/amd64,linux/arm64")
    assert [one["state"] for one in alpha.run("repo", "show", "team/multi:1", "--json").json["platforms"]] == [
        "here", "here",
    ]  # fmt: skip
