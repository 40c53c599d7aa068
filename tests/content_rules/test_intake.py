"""A bundle with a private key and a token: its report says where, stops it where a rule says so, and quotes nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bundles.documents.signed import Report, decode
from bundles.errors import RefusedError
from tests.content_rules.looking import KEY_PEM, entry, tar
from tests.intake.inside import name_of
from tests.malware.test_intake import image, opened

TOKEN = b"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"
REFUSED = '[[rule]]\napprovals = 2\nrefuse = ["content_findings", "content_unlooked"]\n'


def test_what_the_rules_find_is_in_the_report_and_stops_the_bundle(tmp_path: Path) -> None:
    layer = tar(entry("root/.ssh/id", KEY_PEM), entry("app/.env", b"T=" + TOKEN), entry("bin/su", b"x", mode=0o4755))
    bundle = image(tmp_path / "carried", gzip.compress(layer))
    with opened(tmp_path / "station", bundle) as station:
        anna = station.officer("Anna")
        station.bring(bundle.folder)
        raw = station.station.reader.execute("SELECT report FROM intake_documents").fetchone()[0]
        (found,) = (one for one in decode(raw.encode(), Report).sections if one.inspector == "content")
        assert found.outcome == "fail"
        assert [(one["rule"], one["path"], one["severity"]) for one in found.details["content_findings"]] == [
            ("private-key", "root/.ssh/id", "critical"), ("secret", "app/.env", "critical"),
        ]  # fmt: skip
        assert all(one["image"].startswith("team/app@sha256:") for one in found.details["content_findings"])
        assert len(found.details["content_findings"][1]["fingerprint"]) == 12
        assert (found.details["content_unlooked"], found.details["content_notes"]) == ([], [])
        assert TOKEN[4:20].decode() not in raw
        station.station.paths.approvals.write_text(REFUSED)
        with pytest.raises(RefusedError, match="refuses what is content_findings: 2 found"):
            station.decide(name_of(), anna)
        held = [*(tmp_path / "station").rglob("*")]
        for file in held:
            if file.is_file() and "blobs" not in file.parts and not file.is_symlink():
                assert TOKEN[4:20] not in file.read_bytes(), file
