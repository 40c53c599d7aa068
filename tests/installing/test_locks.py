"""What is installed: an appliance gets what it needs and nothing else, from a lock, a wheel and a folder of wheels."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """A lock's packages: the version, and the hashes of its files."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    return {
        line.partition("==")[0]: (line.partition("==")[2].split()[0], frozenset(re.findall(r"--hash=(\S+)", line)))
        for line in lines
    }


OWN, DEV = pinned("requirements.lock"), pinned("requirements-dev.lock")


def needed(names: list[str]) -> set[str]:
    """Everything that these requirements bring along here, by what is installed."""
    found: set[tuple[str, str]] = set()
    todo = [(name, "") for name in names]
    while todo:
        text, extra = todo.pop()
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in found:
                found.add((name, wanted))
                todo += [(inner, wanted) for inner in distribution(name).requires or []]
    return {name for name, _ in found}


def test_an_appliances_lock_is_what_the_program_needs_and_no_more() -> None:
    assert {canonicalize_name(name) for name in OWN} == needed(PROJECT["dependencies"])


def test_no_tool_of_development_is_in_an_appliances_lock() -> None:
    tools = {canonicalize_name(Requirement(text).name) for text in PROJECT["optional-dependencies"]["dev"]}
    assert not tools & {canonicalize_name(name) for name in OWN}
    assert tools <= {canonicalize_name(name) for name in DEV}


def test_the_two_locks_pin_the_same_files() -> None:
    assert all(OWN[name] == DEV[name] for name in OWN)
    assert all(hashes for _, hashes in (*OWN.values(), *DEV.values()))


def test_no_lock_names_where_packages_come_from() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "Makefile", "pyproject.toml"):
        lines = [line for line in (ROOT / name).read_text().splitlines() if "://" in line or "index-url" in line]
        assert [line for line in lines if "no-emit-index-url" not in line] == []


def test_a_wheel_holds_the_program_its_data_and_its_two_commands(tmp_path: Path) -> None:
    hatch = Path(sys.executable).parent / "hatchling"
    done = subprocess.run(
        [hatch, "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entries = archive.read(f"lockgate-{PROJECT['version']}.dist-info/entry_points.txt").decode()
    for name in (
        "tui/shell/lockgate.tcss",
        "bundles/unicode/confusables.txt",
        "appliance/cli/main.py",
        "bundles/verifier/key.py",
    ):
        assert name in names
    assert {name.partition("/")[0] for name in names} == {
        "appliance", "bundles", "tui", "lockgate.pth", f"lockgate-{PROJECT['version']}.dist-info",
    }  # fmt: skip
    assert {"lockgate", "lockgate-verify"} == set(re.findall(r"^(\S+) = ", entries, re.MULTILINE))


def test_make_with_a_folder_of_wheels_asks_no_index() -> None:
    """What `make manual WHEELS=…` would do; that it does was tried without a network."""
    done = subprocess.run(
        ["make", "-n", "-B", "manual", "WHEELS=some/wheels"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    installs = [line for line in done.stdout.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert all(f"--no-index --find-links {ROOT}/some/wheels" in line for line in installs)
    assert "requirements.lock" in installs[0]
    assert "requirements-dev.lock" not in done.stdout


def test_the_changes_begin_with_what_is_unreleased_and_this_version_has_its_day() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(PROJECT['version'])} \(\d{{4}}-\d\d-\d\d\)", headings[1])
