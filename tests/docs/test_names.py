"""What the documents name exists: files, commands and their options, routes of the control API, tables, pages."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import click
import pytest

from appliance.cli.main import lockgate
from appliance.control import openapi
from appliance.readiness import HEALTHZ, READYZ
from appliance.store.database import open_writer
from bundles.verifier.main import COMMANDS, parsers
from tests.docs.blocks import ROOT

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
_FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
_PATH = re.compile(r"(?<![\w./-])((?:appliance|bundles|tui|tests|docs|packaging|\.ci)(?:/[\w.@-]+)+/?)")
_MODULE = re.compile(r"(?<![\w./-])((?:appliance|bundles|tui)(?:\.\w+)+)")
_ROUTE = re.compile(r"(?<![\w/.])(/v1/(?:[\w./-]|\{[^}]*\})+|/readyz|/healthz)")
GONE = {
    "docs/adr": "a decision names what there was when it was made",
}
"""Pages whose names are those of another time."""
NOT_CALLED = ("lockgate audit event mac", "usermod ", "kubectl ")
"""Code in which `lockgate` is not the program: a text that goes into a key, an account, a secret."""
PLACEHOLDERS = {"tests/NAME"}


def spans(text: str) -> Iterator[str]:
    """Code of a page: its spans, with a table's escapes undone, and each line of its blocks."""
    yield from (span.replace("\\|", "|") for span in _SPAN.findall(_FENCED.sub("", text)))
    for block in _FENCED.findall(text):
        joined = re.sub(r"\\\n\s*", " ", block)
        yield from (re.sub(r"\s# .*", "", line) for line in joined.splitlines()[1:-1])


@cache
def leaves() -> dict[tuple[str, ...], set[str]]:
    """Every command of `lockgate` and `lockgate-verify`, groups too: its options."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: click.Command, path: tuple[str, ...]) -> None:
        context = click.Context(command)
        options = {name for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)}
        found[path] = {name for name in options if name.startswith("-")} | {"-h", "--help"}
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                each = command.get_command(context, name)
                assert each is not None
                walk(each, (*path, name))

    walk(lockgate, ("lockgate",))
    for path, parser in parsers().items():
        found[path] = {name for action in parser._actions for name in action.option_strings}
    return found


def groups() -> set[tuple[str, ...]]:
    return {path[:-1] for path in leaves()} - {()}


def named_commands(code: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each command that a piece of code calls, and the options it gives."""
    if code.startswith(NOT_CALLED):
        return
    for called in re.split(r"[|&;(]+(?=\s|lockgate)|\$\(", code):
        match = re.search(r"(?:^|[\s/])(lockgate(?:-verify)?)(?![\w./:-])(.*)", called)
        if match is None:
            continue
        path: tuple[str, ...] = (match[1],)
        words = match[2].split()
        while (
            words
            and path in groups()
            and re.fullmatch(r"[a-z][a-z-]*", words[0])
            and (match[1] == "lockgate" or words[0] in COMMANDS or path != ("lockgate-verify",))
        ):
            path = (*path, words.pop(0))
        options = re.findall(r"(?<![\w-])(--[a-z][a-z-]*|-C|-f)\b", re.sub(r'"[^"]*"', "", " ".join(words)))
        yield path, options


@pytest.mark.parametrize("name", NAMES)
def test_each_command_and_option_that_a_page_calls_exists(name: str) -> None:
    wrong = []
    for code in spans((ROOT / name).read_text()):
        for path, options in named_commands(code):
            if path not in leaves():
                wrong.append(f"no command {' '.join(path)}: {code}")
            elif unknown := [option for option in options if option not in leaves()[path]]:
                wrong.append(f"no option {unknown}: {code}")
    assert wrong == []


def described() -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The commands of docs/reference/command-line.md, and the options that stand in their spans."""
    for path, _, span in rows_of_commands():
        yield path, re.findall(r"(?<![\w-])(--[a-z][a-z-]*)\b", span)


def rows_of_commands() -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Each command of the reference, with its row and its span: a row's further spans are of the first one's group."""
    for row in (ROOT / "docs/reference/command-line.md").read_text().splitlines():
        first = re.match(r"\| (`.*?`) \| ", row)
        if first is None:
            continue
        group: tuple[str, ...] = ()
        for span in _SPAN.findall(first[1]):
            words = span.replace("\\|", "|").split()
            path = (*group, words[0]) if group and (*group, words[0]) in leaves() else ("lockgate", words[0])
            for word in words[1:]:
                if path not in groups() or not re.fullmatch(r"[a-z][a-z-]*", word):
                    break
                path = (*path, word)
            group = path[:-1]
            yield path, row, span


def test_the_reference_has_every_command_and_none_that_does_not_exist() -> None:
    rows = list(described())
    wrong = [" ".join(path) for path, options in rows if path not in leaves() or set(options) - leaves()[path]]
    assert wrong == []
    missing = {path for path in leaves() if path not in groups() and path[0] == "lockgate"} - {path for path, _ in rows}
    assert sorted(" ".join(path) for path in missing) == []


OF_ALL = {"--help", "--json", "--user", "--passphrase-fd", "--password-fd", "--detach", "--after", "--limit", "--file"}
"""Options that the reference explains once, for every command; `--file` is the long form of `-f`."""


def test_the_reference_has_every_option_of_every_command() -> None:
    named: dict[tuple[str, ...], set[str]] = {}
    for path, row, _ in rows_of_commands():
        named.setdefault(path, set()).update(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)\b", row))
    missing = [
        f"{' '.join(path)} {option}"
        for path, options in leaves().items()
        if path not in groups() and path[0] == "lockgate"
        for option in sorted(options - named.get(path, set()) - OF_ALL)
        if option.startswith("--")
    ]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_each_file_and_module_that_a_page_names_exists(name: str) -> None:
    text, wrong = (ROOT / name).read_text(), []
    for target, _ in _LINK.findall(text):
        if "://" not in target and not ((ROOT / name).parent / target).exists():
            wrong.append(target)
    if not any(name.startswith(past) for past in GONE):
        for path in _PATH.findall(" ".join(spans(text))):
            here = ROOT / path.rstrip("./")
            if path not in PLACEHOLDERS and not (here.exists() or here.with_name(f"{here.name}.py").exists()):
                wrong.append(path)
        for module in _MODULE.findall(" ".join(spans(text))):
            if not is_named(module):
                wrong.append(module)
    assert wrong == []


def is_named(dotted: str) -> bool:
    """Whether a module, or something in one, has this name."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False


@cache
def routes() -> list[re.Pattern[str]]:
    """What matches each route of the control API."""
    found = {openapi.PATH, READYZ, HEALTHZ}
    for module in (ROOT / "appliance/control/routes").glob("*.py"):
        found |= set(re.findall(r'\b(?:get|post|put|patch|delete)\(\s*f?"(/v1/[^"]*)"', module.read_text()))
    plain = {re.sub(r"\{\{(\w+):\{\w+\}\}\}", r"{\1}", path).replace("{{", "{").replace("}}", "}") for path in found}
    return [re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path)) for path in sorted(plain)]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("docs/adr")])
def test_each_route_that_a_page_names_exists(name: str) -> None:
    known = routes()
    named = {route.rstrip(".") for route in _ROUTE.findall((ROOT / name).read_text())}
    wrong = [route for route in named if not any(each.fullmatch(route) for each in known)]
    assert wrong == []


def test_each_table_that_the_seams_list_exists(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "metadata.sqlite")) as database:
        there = {str(row[0]) for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    text = (ROOT / "docs/internals/seams.md").read_text()
    rows = text.partition("### Tables")[2].partition("\nAn intake entry")[0]
    listed = {name.strip() for row in re.findall(r"^\| ([a-z_, ]+) \|", rows, re.MULTILINE) for name in row.split(",")}
    listed |= {name.strip() for found in re.findall(r"\bTables?: ([a-z_, ]+)", text) for name in found.split(",")}
    assert sorted(listed - there - {"table"}) == []


def test_the_tour_for_contributors_names_every_room_of_the_station() -> None:
    rooms = {path.parent.name for path in (ROOT / "appliance").glob("*/__init__.py")}
    told = set(re.findall(r"`appliance/([a-z_]+)/", (ROOT / "CONTRIBUTING.md").read_text()))
    assert rooms - told == set()


def test_the_readme_names_every_how_to() -> None:
    text = (ROOT / "README.md").read_text()
    names = [page.name for page in sorted((ROOT / "docs/howto").glob("*.md"))]
    assert [name for name in names if f"(docs/howto/{name})" not in text] == []


def test_each_word_stands_once_in_the_glossary_and_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs/reference/glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(set(words), key=lambda word: (word.lower().replace("-", ""), word))


def test_the_verifiers_file_has_one_name() -> None:
    made = re.search(r'f"lockgate-verify-\{tag\}\.pyz"', (ROOT / "packaging/verifier").read_text())
    assert made is not None
    for page in PAGES:
        for name in re.findall(r"[\w-]*lockgate-verify[\w.*-]*\.pyz", page.read_text()):
            assert name == "lockgate-verify-PLATFORM.pyz", page


def test_each_inspector_that_an_example_requires_exists() -> None:
    from appliance.intake.inspectors import INSPECTORS

    known = {one.name for one in INSPECTORS}
    for page in PAGES:
        for listed in re.findall(r"required_inspectors = \[([^\]]*)\]", page.read_text()):
            assert set(re.findall(r'"([^"]+)"', listed)) <= known, page
