"""A third party's rules: a package with entry points, loaded when the policy names one, run in a process of its own."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.content_rules.registry import BUILT_IN, GROUP, Ruled, installed, rule_set
from appliance.content_rules.watching import BlobLook
from appliance.limits import content_rules as limits
from bundles.errors import UsageError
from tests.content_rules.looking import entry, look, tar
from tests.docs.blocks import ROOT

MODULE = '''
import os, sys, time
import msgspec
from appliance.content_rules.rule import Finding, Rule

class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    words: tuple[str, ...] = ("telnet",)

class Look:
    def __init__(self, path, words):
        self.path, self.words, self.seen = path, words, b""
    def feed(self, data):
        self.seen = self.seen[-64:] + data
        said = [word for word in self.words if word.encode() in self.seen]
        return [Finding(self.path, f"says {word}", secret=word.encode()) for word in said]
    def end(self):
        return ()

class NoTelnet(Rule):
    """Programs that nobody should use."""
    id = "acme-no-telnet"
    message = "a program for telnet"
    remedy = "use ssh"
    severity = "high"
    Settings = Words
    def entry(self, entry):
        print("what a rule prints is no answer")
        return [Finding(entry.path, f"named so, in {os.getpid()}")] if entry.path.endswith("telnet") else ()
    def begin(self, file):
        return Look(file.path, self.settings.words) if file.type == "text" else ()
    def layer(self, outline):
        return [Finding("", f"{outline.files} files")]

class Hangs(NoTelnet):
    id = "acme-hangs"
    def entry(self, entry):
        time.sleep(600)

class Ends(NoTelnet):
    id = "acme-ends"
    def entry(self, entry):
        os._exit(0)

class Babbles(NoTelnet):
    id = "acme-babbles"
    def entry(self, entry):
        return [Finding("x" * 2_000_000, "long")]

class Fails(NoTelnet):
    id = "acme-fails"
    def layer(self, outline):
        raise ValueError("hunter2")

class Wrong:
    id = "acme-wrong"
'''
NAMES = {
    "no-telnet": "NoTelnet", "hangs": "Hangs", "ends": "Ends", "babbles": "Babbles", "fails": "Fails", "wrong": "Wrong",
}  # fmt: skip


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package as pip lays it out."""
    (tmp_path / "acme_rules.py").write_text(MODULE)
    info = tmp_path / "acme_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
    lines = [f"acme-{name} = acme_rules:{kind}\n" for name, kind in NAMES.items()]
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{''.join(lines)}")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed.cache_clear()
    yield tmp_path
    installed.cache_clear()


def seen(name: str, data: bytes, **settings: object) -> BlobLook:
    return look(data, rule_set([(name, settings)]))[0]


DATA = tar(entry("usr/bin/telnet", b"\x7fELF"), entry("etc/motd", b"use telnet\n"), entry("etc/other", b"use ssh\n"))


def test_a_rule_is_loaded_when_it_is_named_and_finds(package: Path) -> None:
    assert "acme-no-telnet" not in rule_set().rules
    found = seen("acme-no-telnet", DATA)
    one = found.rules["acme-no-telnet"]
    assert not one.unlooked
    assert [each["path"] for each in one.found.listed] == ["usr/bin/telnet", "etc/motd", ""]
    assert one.found.listed[0]["what"] != f"named so, in {os.getpid()}"
    assert len(one.found.listed[1]["fingerprint"]) == 12
    assert one.found.listed[2]["what"] == "3 files"
    assert set(found.rules) == {*BUILT_IN, "acme-no-telnet"}
    other = seen("acme-no-telnet", DATA, words=["ssh"]).rules["acme-no-telnet"]
    assert [each["path"] for each in other.found.listed] == ["usr/bin/telnet", "etc/other", ""]


@pytest.mark.parametrize(
    ("name", "why"),
    [("hangs", "the rule takes longer than 4 s"), ("ends", "the rule's process ended"),
     ("babbles", "the rule says too much"), ("fails", "the rule failed inside (ValueError)")],
)  # fmt: skip
def test_a_rule_that_does_not_answer_has_not_looked(name: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FOREIGN_ANSWER", 4.0 if name == "hangs" else 60.0)
    found = seen(f"acme-{name}", DATA)
    assert found.rules[f"acme-{name}"].unlooked == why
    assert not found.rules["secret"].unlooked


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(UsageError, match=r"an entry point that is no content rule|cannot be loaded"):
        rule_set([("acme-wrong", {})])
    with pytest.raises(UsageError, match="settings of the content rule acme-no-telnet"):
        rule_set([("acme-no-telnet", {"word": "x"})])


def test_a_rule_of_this_program_has_no_process() -> None:
    assert all(isinstance(one, Ruled) and one.place is None for one in rule_set().rules.values())


def test_the_example_of_the_page_is_a_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/howto/content-rules.md").read_text().partition("## Rules of your own")[2]
    toml, code = (page.partition(f"```{language}\n")[2].partition("```")[0] for language in ("toml", "python"))
    made = package / "example"
    info = made / "acme_example-1.0.dist-info"
    info.mkdir(parents=True)
    (made / "acme_example.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-example\nVersion: 1.0\n")
    declared = tomllib.loads(toml)["project"]["entry-points"]
    ((name, value),) = declared[GROUP].items()
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value.replace('acme_rules', 'acme_example')}\n")
    (package / "acme_rules-1.0.dist-info/entry_points.txt").write_text("")
    monkeypatch.syspath_prepend(str(made))
    found = seen(name, DATA).rules[name]
    assert ([each["path"] for each in found.found.listed], found.unlooked) == (["usr/bin/telnet"], "")
    assert not seen(name, DATA, allow=["usr/bin/telnet"]).rules[name].found.count
