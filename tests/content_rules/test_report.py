"""What `scan REF --content` says, and its exit statuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.cli.reports import content
from bundles.errors import FailedError, IncompleteError


def finding(severity: str) -> dict[str, Any]:
    digest = "sha256:" + "a" * 64
    return {"severity": severity, "rule": "secret", "path": "etc/key", "what": "a token", "digest": digest}


UNLOOKED = {"rule": "large-layer", "digest": "sha256:" + "b" * 64, "reason": "it failed"}


@pytest.mark.parametrize(
    ("severities", "unlooked", "raised"),
    [
        ((), (), None),
        (("medium",), (), None),
        (("medium", "high"), (UNLOOKED,), FailedError),
        ((), (UNLOOKED,), IncompleteError),
        (("low",), (UNLOOKED,), IncompleteError),
    ],
)
def test_what_was_found_comes_before_what_was_not_looked_at(
    severities: tuple[str, ...], unlooked: tuple[dict[str, str], ...], raised: type[Exception] | None,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    found = [finding(one) for one in severities]
    document = {"images": 1, "blobs": 2, "found": found, "found_counts": {"secret": len(found)}, "unlooked": unlooked}
    monkeypatch.setattr(content, "run_job", lambda *_: {"content": document})
    if raised is None:
        content.scan_content(Path(), "team/app:1", as_json=False)
    else:
        with pytest.raises(raised) as ended:
            content.scan_content(Path(), "team/app:1", as_json=False)
        says_nothing = str(ended.value).startswith("nothing was found")
        assert says_nothing is not bool(found)
    assert ("nothing found" in capsys.readouterr().out) is not bool(found or unlooked)
