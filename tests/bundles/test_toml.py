"""TOML that people write: one reader, which says what is wrong and gives up on nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.collection_file import read_collection
from appliance.lock_file import read_lock
from appliance.settings.approvals import load_policy
from appliance.settings.faults import faults
from appliance.settings.image_policy import read_rules
from appliance.settings.station import load_config
from appliance.upstreams import registries_conf
from bundles import limits
from bundles.errors import LockgateError, MalformedError, UsageError
from bundles.io import toml
from tui.actions import keymap

DEEP = {
    "lists": b"a = " + b"[" * 20_000 + b"]" * 20_000,
    "tables": b"a = " + b"{a = " * 5_000 + b"1" + b"}" * 5_000,
    "cut off": b"a = " + b"[" * 30_000,
    "dots": b"a" + b".a" * 500 + b" = 1",
    "headers": b"[" + b"a." * 300 + b"a]\nb = 1",
    "endless dots": b"a" + b".a" * 32_000 + b" = 1",
    "endless quoted dots": b"'#'" + b'."\\".#"' * 8_000 + b" = 1",
    "a few": b"a = " + b"[" * 17 + b"]" * 17,
}
ODD = {"not UTF-8": b"a = '\xff'", "not TOML": b"a = = 1", "a long number": b"a = " + b"1" * 5_000}


@pytest.mark.parametrize("raw", [*DEEP.values(), *ODD.values()], ids=[*DEEP, *ODD])
def test_what_cannot_be_read_is_malformed_and_says_why(raw: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        toml.loads(raw)
    assert caught.value.what
    assert "\n" not in caught.value.what


def test_dots_within_texts_and_comments_are_no_keys() -> None:
    text = "." * 1_000
    assert toml.loads(f"a = '{text}' # {text}\nb = [\"x.y.z\", '{text}']".encode()) == {"a": text, "b": ["x.y.z", text]}


def test_what_is_nested_as_deep_as_people_write_is_read() -> None:
    most = limits.TOML_DEPTH - 1
    assert toml.loads(b"a = " + b"[" * most + b"]" * most)
    assert toml.loads(b"[[registry]]\n[[registry.mirror]]\nlocation = 'x'") == {
        "registry": [{"mirror": [{"location": "x"}]}]
    }


READERS: dict[str, Callable[[Path], Any]] = {
    "policy.toml": read_rules,
    "approvals.toml": load_policy,
    "config.toml": load_config,
    "collection.toml": read_collection,
    "collection.lock": read_lock,
    "registries.conf": lambda file: list(registries_conf._rules_of(file)),
    "console.toml": lambda file: keymap.load(file.parent),
}


@pytest.mark.parametrize("raw", [DEEP["lists"], DEEP["tables"], DEEP["dots"], ODD["not UTF-8"]],
                         ids=["lists", "tables", "dots", "not UTF-8"])  # fmt: skip
@pytest.mark.parametrize("name", READERS)
def test_every_file_that_people_write_is_named_when_it_cannot_be_read(tmp_path: Path, name: str, raw: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(raw)
    with pytest.raises(LockgateError) as caught:
        READERS[name](file)
    assert isinstance(caught.value, UsageError)
    assert name in caught.value.diagnostics()


def test_the_check_of_the_settings_says_that_they_are_nested_too_deep() -> None:
    (fault,) = faults(DEEP["lists"])
    assert "nested too deep" in fault.what
