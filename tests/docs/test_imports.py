"""No module and no room imports another in a circle (docs/adr/0038-rooms.md). A room is a folder of modules; where a
folder has folders below it, each of its own modules is a room."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.walks import walks

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bundles", "appliance", "tui")

Graph = Mapping[str, set[str]]


@cache
def modules() -> dict[str, Path]:
    """Every module of the program by its dotted name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported(name: str) -> Iterator[str]:
    """The modules that a module imports: at its top, in its functions, and for its types alone."""
    known = modules()
    for node in ast.walk(ast.parse(known[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            wholes = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (whole if whole in known else node.module for whole in wholes)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@cache
def graph() -> Graph:
    return {name: {other for other in imported(name) if other in modules() and other != name} for name in modules()}


def room(name: str) -> str:
    path = modules()[name]
    if path.name == "__init__.py" or any((folder / "__init__.py").exists() for folder in path.parent.iterdir()):
        return name
    return path.parent.relative_to(ROOT).as_posix()


def by_room(files: Graph) -> Graph:
    rooms: dict[str, set[str]] = {}
    for name, others in files.items():
        rooms.setdefault(room(name), set()).update(room(other) for other in others if room(other) != room(name))
    return rooms


def circle(edges: Graph) -> list[str]:
    """The names of one circle; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_another_in_a_circle() -> None:
    assert circle(graph()) == []


def test_no_room_imports_another_in_a_circle() -> None:
    assert circle(by_room(graph())) == []


@pytest.mark.parametrize("edges", [{"a": {"b"}, "b": {"a"}}, {"a": {"b"}, "b": {"c"}, "c": {"a"}}])
def test_a_circle_is_found(edges: Graph) -> None:
    assert set(circle(edges)) == set(edges)


def test_imports_for_types_and_in_functions_count() -> None:
    files = graph()
    assert "appliance.cosigning" in files["tui.station.keyring"]
    assert len(files) > 600


def test_the_walks_of_a_build_and_an_import_are_counted(tmp_path: Path) -> None:
    rooms = {name: {Path(room).relative_to(ROOT).as_posix() for room in walk.rooms} for name, walk in walks(tmp_path)}
    assert {"appliance/outgoing/build.py", "bundles/volumes/write.py"} <= rooms["build"]
    assert {"appliance/intake/import_job.py", "bundles/decide/bundle.py"} <= rooms["import"]
