"""What a build carries, from what people write: references, repositories, patterns, lists, and what has changed."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance import clock
from appliance.artifact_choice import Wish, choose, save_chosen
from appliance.limits import collecting as limits
from appliance.outgoing import build
from appliance.outgoing.last_sent import carried_tags
from appliance.reference_lists import names_in
from appliance.store.writes.deltas import VoidBundle
from appliance.store.writes.write import under_event
from bundles.errors import FailedError, MalformedError, NotFoundError, UsageError
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

NAMES = ["app:1", "team/app:1", "team/app:2", "team/app:v1.0", "team/db/core:1", "other/app:1"]


@pytest.fixture
def full(outside: Outside, tmp_path: Path) -> Outside:
    for name in NAMES:
        put(outside, tmp_path, name, name.encode())
    return outside


def put(outside: Outside, root: Path, name: str, content: bytes) -> str:
    layout = Layout(root / f"layout-{len(list(root.iterdir()))}")
    layout.tag("x", layout.artifact({"a": content}))
    return outside.collect_layout(layout.folder, as_=name)[0]


def chosen(outside: Outside, *texts: str) -> list[str]:
    return [one.reference for one in choose(texts, outside.station.metadata)]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["team/app"], ["team/app:1", "team/app:2", "team/app:v1.0"]),
        (["team/**"], ["team/app:1", "team/app:2", "team/app:v1.0", "team/db/core:1"]),
        (["team/*"], ["team/app:1", "team/app:2", "team/app:v1.0"]),
        (["*/app:1"], ["other/app:1", "team/app:1"]),
        (["**/app:v*"], ["team/app:v1.0"]),
        (["team/app:*.*", "team/app:2"], ["team/app:v1.0", "team/app:2"]),
        (["*"], ["app:1"]),
        (["team/app:1", "team/app", "team/app:1"], ["team/app:1", "team/app:2", "team/app:v1.0"]),
    ],
    ids=" ".join,
)
def test_a_text_names_what_its_pattern_covers_each_once(full: Outside, texts: list[str], found: list[str]) -> None:
    assert chosen(full, *texts) == found


def test_everything_is_two_stars(full: Outside) -> None:
    assert sorted(chosen(full, "**")) == sorted(chosen(full, "**:*")) == sorted(NAMES)


@pytest.mark.parametrize(
    "text", ["nothing/**", "team", "team/app:9*", "team/app:9", "te*am2", "team/app@sha256:" + "0" * 64]
)
def test_a_text_that_names_nothing_is_told(full: Outside, text: str) -> None:
    with pytest.raises(NotFoundError) as told:
        chosen(full, "app:1", text)
    assert told.value.thing == text


@pytest.mark.parametrize(
    "text",
    ["", ":", "Team/app", "team/", "/team", "team//app", "a b", "team/app:", "te**am", "../**", "app:a b*", "**@x"],
)
def test_what_is_neither_a_name_nor_a_pattern_is_malformed(text: str) -> None:
    with pytest.raises((UsageError, MalformedError)):
        Wish.parse(text)


def test_a_pattern_stands_for_what_the_caller_may_pull(full: Outside) -> None:
    found = choose(["**"], full.station.metadata, lambda name: name.startswith("team/app"))
    assert {one.reference.partition(":")[0] for one in found} == {"team/app"}
    with pytest.raises(NotFoundError, match="nothing has a name like this"):
        choose(["other/*"], full.station.metadata, lambda name: name.startswith("team/"))


def test_more_tags_than_a_bundle_takes_are_refused(full: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHOSEN", 3)
    with pytest.raises(UsageError, match="more than 3 tags"):
        chosen(full, "**")


def changed(outside: Outside, *texts: str) -> dict[str, str | None]:
    """What `--changed` leaves, with where each tag stood."""
    carried = carried_tags(outside.station.reader, outside.station.paths, "alpha.bravo")
    return {one.reference: one.before for one in choose(texts or ["**"], outside.station.metadata, carried=carried)}


def test_changed_is_what_the_destination_was_not_sent_last(full: Outside, medium: Path, tmp_path: Path) -> None:
    assert changed(full) == dict.fromkeys(sorted(NAMES))
    full.build(medium, "team/app:1", "team/app:2")
    before = str(full.shows("team/app:2"))
    put(full, tmp_path, "team/app:2", b"new")
    assert changed(full, "team/app") == {"team/app:2": before, "team/app:v1.0": None}
    full.build(medium, "team/app:2", since="last")
    assert changed(full, "team/app") == {"team/app:v1.0": None}, "what an earlier bundle carried is not new again"
    assert changed(full, "team/app:1", "team/app:2") == {}
    put(full, tmp_path, "team/app:2", b"team/app:2")
    assert list(changed(full, "team/app:2")) == ["team/app:2"], "a tag that went back has changed, too"


def test_what_a_void_bundle_carried_is_still_to_come(full: Outside, medium: Path) -> None:
    full.build(medium, "app:1")
    full.build(medium, "team/app:1")
    with under_event():
        full.writer.submit(VoidBundle(id="alpha.bravo-000002", at=clock.now(), why="lost"))
    assert "app:1" not in changed(full)
    assert "team/app:1" in changed(full)


def test_what_the_inside_rejected_is_still_to_come(full: Outside, medium: Path) -> None:
    digest = full.build(medium, "app:1")["digest"]
    with full.writer_connection() as db:
        db.execute(
            "INSERT INTO custody_taken (site, bundle, digest, number, receipt, head, keyid, owner, document, created,"
            " taken) VALUES ('bravo', 'alpha.bravo-000001', ?, 1, 'r', '', '', '', ?, 'x', 'x')",
            (digest, '{"state": "rejected"}'),
        )
    assert "app:1" in changed(full)


def test_bundles_of_before_their_tags_were_recorded_are_read_from_their_manifests(full: Outside, medium: Path) -> None:
    full.build(medium, "app:1")
    with full.writer_connection() as db:
        db.execute("DELETE FROM tags_out")
    assert "app:1" not in changed(full)


def test_a_build_carries_what_was_chosen_when_it_was_asked_for(full: Outside, medium: Path, tmp_path: Path) -> None:
    context = full.building(medium, "team/*")
    with pytest.raises(FailedError, match="start the build again"):
        full.run(context, build.run)
    context = full.building(medium, "team/*")
    save_chosen(context.folder, choose(["team/*"], full.station.metadata))
    put(full, tmp_path, "team/late:1", b"late")
    result = full.run(context, build.run)
    tags = full.station.reader.execute("SELECT tag FROM tags_out WHERE repository = 'team/app' ORDER BY tag")
    assert [tag for (tag,) in tags] == ["1", "2", "v1.0"]
    assert result["id"] == "alpha.bravo-000001"


def test_a_build_of_what_has_changed_takes_no_number_where_nothing_has(full: Outside, medium: Path) -> None:
    full.build(medium, "app:1")
    context = full.building(medium, "app", changed=True)
    save_chosen(context.folder, [])
    result = full.run(context, build.run)
    assert (result["id"], result["path"], "since alpha.bravo-000001" in result["nothing"]) == ("", "", True)
    assert full.bundles() == {"alpha.bravo-000001": "written"}


def test_a_list_is_lines_or_a_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, collection = tmp_path / "list.txt", tmp_path / "collection.toml"
    lines.write_text("# for bravo\nteam/app:1\n\n  team/**   # all of it\n")
    assert names_in(str(lines)) == ["team/app:1", "team/**"]
    collection.write_text(
        '[[source]]\nfrom = "registry.example/team/app:1"\n[[source]]\nfrom = "docker://r.example:5000/b:2"\n'
        '[[source]]\nfrom = "file:somewhere/App (x86).iso"\nas = "files/app:2"\n[[source]]\nfrom = "oci:tools:9"\n'
        '[[source]]\nfrom = "file:gone/firmware.bin"\n'
    )
    assert names_in(str(collection)) == ["team/app:1", "b:2", "files/app:2", "tools:9", "files/firmware-bin:latest"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=BytesIO(b"app:1\n")))
    assert names_in("-") == ["app:1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", ""), ("a.txt", "# nothing\n"), ("a.txt", "app:1 app:2\n"), ("a.txt", "\udcff"), ("a.toml", "app:1"),
        ("a.toml", "[[source]]\nas = 1\n"), ("a.toml", '[[source]]\nfrom = "oci:whole"\n'), ("a.toml", "x = 1"),
        ("a.toml", "source = 1"), ("a.toml", '[[source]]\nfrom = "weird"\n'), ("gone", None),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError) as told:
        names_in(str(tmp_path / name))
    assert name in told.value.diagnostics()
