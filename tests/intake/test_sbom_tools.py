"""Which programs made the SBOMs that came: the report repeats what they say, and believes nothing of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.sbom_tools import tools_in
from appliance.store.reads.intake import find_entry, report_text
from tests.intake.inside import Inside, name_of
from tests.intake.test_differences import app


@pytest.mark.parametrize(
    ("document", "tools"),
    [
        ({"metadata": {"tools": {"components": [{"name": "syft", "version": "1.38.0"}]}}}, ["syft 1.38.0"]),
        ({"metadata": {"tools": [{"vendor": "x", "name": "trivy", "version": "0.5"}]}}, ["trivy 0.5"]),
        ({"creationInfo": {"creators": ["Organization: x", "Tool: syft-1.38.0"]}}, ["syft-1.38.0"]),
        ({"metadata": {"tools": {"components": [{"name": "a\x1b[2J\u202e", "version": 7}]}}}, ["a\\x1b[2J\\u202e"]),
        ({"metadata": {"tools": [{"name": "n" * 5_000}] * 5_000}}, []),
        ({"metadata": {"tools": [{"name": "n"}] * 100}}, ["n"] * 16),
        ({"metadata": {"tools": "syft"}}, []),
        ({"metadata": 7}, []),
        ([], []),
        ({}, []),
    ],
)
def test_the_programs_are_named_as_the_document_has_them(document: Any, tools: list[str]) -> None:
    assert tools_in(json.dumps(document).encode()) == tools


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 200_000, b'{"metadata":' * 50_000])
def test_what_is_no_document_names_none(raw: bytes) -> None:
    assert tools_in(raw) == []


def test_the_report_names_them_with_their_versions(inside: Inside, tmp_path: Path) -> None:
    metadata = {"tools": {"components": [{"name": "syft", "version": "1.38.0"}]}}
    made = app(tmp_path / "1", {"User": "app"}, b"one", [("zlib", "1.2")], metadata=metadata)
    inside.trust(made.key.public)
    inside.bring(made.folder)
    report = json.loads(report_text(inside.station.reader, find_entry(inside.station.reader, name_of()).digest) or "")
    (section,) = [section for section in report["sections"] if section["inspector"] == "evidence"]
    assert section["details"]["sbom_tools"] == ["syft 1.38.0"]
    assert "1 SBOM, by syft 1.38.0, 0 signatures" in section["summary"]
