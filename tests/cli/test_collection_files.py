"""collection.toml and collection.lock are read strictly: a fault names the file, the line and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.collection_file import Listed, read_collection
from appliance.lock_file import Artifact, Locked, changes, lock_of, read_lock, require_same_sources, write_lock
from appliance.selecting.selection import Selection
from bundles.errors import RefusedError, UsageError

A, B = (f"sha256:{letter * 64}" for letter in "ab")


def collection(folder: Path, text: str) -> Path:
    path = folder / "collection.toml"
    path.write_text(text)
    return path


def test_sources_are_listed_with_their_lines(tmp_path: Path) -> None:
    text = (
        '# mine\n[[source]]\nfrom = "oci:x"\n\n[[ source ]]\nas = "a:1"\nfrom = "file:y"\nredirects = ["c.example"]\n'
    )
    one, two = read_collection(collection(tmp_path, text))
    assert (one.number, one.line, one.came, one.name, one.redirects) == (1, 2, "oci:x", None, None)
    assert (two.number, two.line, two.came, two.name, two.redirects) == (2, 5, "file:y", "a:1", ("c.example",))


GOOD = '[[source]]\nfrom = "oci:x"\n'


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (GOOD + '[[source]]\nfrom = "oci:y"\nplatform = "x"\n', 5, "platform"),
        (GOOD + '[[source]]\nform = "oci:y"\n', 4, "did you mean from?"),
        (GOOD + "[[source]]\nas = 'a:1'\n", 3, "`from` is missing"),
        (GOOD + "[[source]]\nfrom = 7\n", 4, "`from` is a text"),
        (GOOD + "[[source]]\nfrom = 'oci:y'\nredirects = 'x'\n", 5, "a list of hosts"),
        (GOOD + "[[source]]\nfrom = 'oci:y'\nredirects = ['https://x']\n", 5, "not a host"),
        ("[[image]]\nfrom = 'x'\n" + GOOD, 1, "it has no 'image'"),
        ("version = 1\n" + GOOD, 1, "it has no 'version'"),
        (GOOD + "[[source]]\nfrom = 'https://f.example/x'\nas = 'f:1'\n", 4, "has `sha256`"),
        (GOOD + f"[[source]]\nfrom = 'https://f.example/x'\nsha256 = '{'0' * 64}'\n", 4, "`as`, its name"),
        (GOOD + "[[source]]\nfrom = 'http://f.example/x'\nas = 'f:1'\nsha256 = 'ABC'\n", 6, "64 hex digits"),
        (GOOD + f"sha256 = '{'0' * 64}'\n", 3, "of a file by URL"),
        (GOOD + "[source.more]\nx = 1\n", 3, "'more'"),
        (GOOD + "[[source]]\nfrom = 'h.example/a:*'\nnewest = '3'\n", 5, "newest: it is how many"),
        (GOOD + "[[source]]\nexclude = 'x'\nfrom = 'h.example/a:*'\n", 4, "exclude: it is a list"),
        (GOOD + "[[source]]\nfrom = 'h.example/a:*'\n\nrange = 'new'\n", 6, "not a range"),
        (GOOD + "[[source]]\nfrom = 'h.example/a:1'\nvariant = 'x'\n", 5, "`variant` chooses among tags"),
        (GOOD + "newest = 3\n", 3, "`newest` chooses among tags"),
        (GOOD + "[[source]]\nfrom = 'h.example/a:1'\nplatforms = ['arm64']\n", 5, "not a platform"),
        (GOOD + "[[source]]\nfrom = 'file:x'\nplatforms = ['linux/arm64']\n", 5, "a file has no platforms"),
    ],
)
def test_a_fault_names_the_line_and_the_key(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = collection(tmp_path, text)
    with pytest.raises(UsageError) as wrong:
        read_collection(path)
    assert what in wrong.value.diagnostics()
    assert wrong.value.thing == f"{path}, line {line}"


@pytest.mark.parametrize(
    "text", ["source = 1", "source = []", "", "[[source]\n", "[source]\nfrom = 'x'\n", "a = " + "[" * 5000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_what_is_no_collection_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="not a collection") as wrong:
        read_collection(collection(tmp_path, text))
    assert str(tmp_path / "collection.toml") in wrong.value.thing


LOCKED = (
    Locked("ghcr.io/team/app:1", None, (Artifact("team/app:1", A),)),
    Locked('oci:a "b" \\ c\td \x7f \x01 \u00e9\U0001f600', "x:1", (Artifact("x:1", B), Artifact("y:2", A))),
)


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "collection.toml"
    lock = lock_of(file)
    assert lock == tmp_path / "collection.lock"
    chosen = Selection.of({"exclude": ["a*", "b"], "range": ">=1 <2", "variant": "x*", "newest": 3})
    many = Locked("h.example/app:*", "mirror/app", LOCKED[1].artifacts, chosen, ("linux/amd64",))
    for locked in (LOCKED, LOCKED[:1], (many,)):
        write_lock(lock, file, locked)
        assert read_lock(lock) == locked


def listed(*locked: Locked) -> list[Listed]:
    return [Listed(number, number, one.came, one.name) for number, one in enumerate(locked, 1)]


def test_a_lock_of_another_collection_is_refused_by_the_source_that_differs(tmp_path: Path) -> None:
    require_same_sources(tmp_path / "l", LOCKED, tmp_path / "c", listed(*LOCKED))
    other = Locked("ghcr.io/team/app:2", None, LOCKED[0].artifacts)
    for sources, number in (((LOCKED[0],), 2), ((*LOCKED, other), 3), ((other, LOCKED[1]), 1), (LOCKED[::-1], 1)):
        with pytest.raises(RefusedError, match="another collection") as refused:
            require_same_sources(tmp_path / "l", LOCKED, tmp_path / "c", listed(*sources))
        assert refused.value.thing.startswith(f"source {number} is ")
        assert "--update" in refused.value.remedy


def test_changes_are_told_by_reference() -> None:
    after = (Locked("x", None, (Artifact("team/app:1", B), Artifact("new:1", A))),)
    assert [(one.reference, one.before, one.after) for one in changes(LOCKED, after)] == [
        ("team/app:1", A, B), ("new:1", None, A), ("x:1", B, None), ("y:2", A, None),
    ]  # fmt: skip
    assert changes(LOCKED, LOCKED) == []


SOURCE = f'version = 1\n[[source]]\nfrom = "x"\n[[source.artifact]]\nreference = "a:1"\ndigest = "{A}"\n'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("version = [", "lock cannot be read"),
        (SOURCE.replace("version = 1", "version = 2"), "version 1"),
        ("version = 1\nsource = []\n", "no list of tables"),
        (SOURCE + "[extra]\n", "version 1"),
        (SOURCE.replace('"x"', "7"), "source 1 is malformed"),
        (SOURCE.replace("from", "form"), "source 1 is malformed"),
        (SOURCE.replace(A, "sha256:abc"), "an artifact of source 1"),
        (SOURCE.replace('"a:1"', '"A B"'), "an artifact of source 1"),
        (SOURCE.replace('"a:1"', "1"), "an artifact of source 1"),
        ('version = 1\n[[source]]\nfrom = "x"\n', "source 1 has no artifact"),
    ],
)
def test_a_malformed_lock_is_named(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "collection.lock").write_text(text)
    with pytest.raises(UsageError) as wrong:
        read_lock(tmp_path / "collection.lock")
    assert what in wrong.value.diagnostics()
    assert str(tmp_path / "collection.lock") in wrong.value.thing
