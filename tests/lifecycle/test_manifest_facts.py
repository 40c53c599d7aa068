"""What the database says of a manifest is held against its bytes: by the check, by a scrub, and before it is shown."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

import pytest

from appliance.release_check.changed_facts import FACTS, alarms, changed_facts
from appliance.store.rows import manifest_sum
from bundles.oci.digest import Digest
from tests.conformance.shapes import Content, descriptor, image
from tests.lifecycle.conftest import Kept

APP = "team/app"
SPDX = "application/spdx+json"


def about(subject: Content, **more: Any) -> Content:
    """Evidence about an image."""
    return image(subject=descriptor(subject.manifest, subject.media_type), artifactType=SPDX, **more)


def forge(kept: Kept, digest: Digest, **fields: object) -> None:
    """Write into a manifest's row, with the checksum that fits."""
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as db, db:
        for name, value in fields.items():
            db.execute(f"UPDATE manifests SET {name} = ? WHERE digest = ?", (value, str(digest)))
        row = db.execute(
            "SELECT digest, media_type, artifact_type, subject, size, annotations FROM manifests WHERE digest = ?",
            (str(digest),),
        ).fetchone()
        db.execute("UPDATE manifests SET checksum = ? WHERE digest = ?", (manifest_sum(*row), str(digest)))


def forget(kept: Kept, digest: Digest) -> None:
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as db, db:
        db.execute("DELETE FROM manifests WHERE digest = ?", (str(digest),))


def referrers(kept: Kept, digest: Digest, query: str = "") -> list[dict[str, Any]]:
    answers = [worker.ask("GET", f"/v2/{APP}/referrers/{digest}{query}") for worker in kept.workers]
    assert answers[0].json == answers[1].json
    return list(answers[0].json["manifests"])


def found(kept: Kept) -> list[tuple[str, str]]:
    return [(one["digest"], one["found"]) for one in changed_facts(kept.inside.station, set())]


def test_referrers_lists_nothing_whose_bytes_name_another_subject(kept: Kept) -> None:
    subject, stranger = image(), image()
    subject.push(kept.server, APP, "1")
    forged = stranger.push(kept.server, APP, "2")
    forge(kept, forged, subject=str(subject.digest), artifact_type=SPDX)
    assert referrers(kept, subject.digest) == []
    assert found(kept) == [(str(forged), "artifact_type, subject")]


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("artifact_type", "application/vnd.in-toto+json", "artifactType"),
        ("media_type", "application/vnd.docker.distribution.manifest.v2+json", "mediaType"),
        ("size", 7, "size"),
        ("annotations", '{"org.opencontainers.image.created": "2030-01-01T00:00:00Z"}', "annotations"),
    ],
)
def test_referrers_says_what_the_bytes_say(kept: Kept, field: str, value: object, key: str) -> None:
    subject = image()
    subject.push(kept.server, APP, "1")
    evidence = about(subject, annotations={"real": "yes"}).push(kept.server, APP)
    (right,) = referrers(kept, subject.digest)
    forge(kept, evidence, **{field: value})
    assert referrers(kept, subject.digest) == [right]
    assert key in right
    assert found(kept) == [(str(evidence), field)]
    if field == "artifact_type":
        assert referrers(kept, subject.digest, f"?artifactType={value}") == []
    kept.scrub()
    assert found(kept) == []
    assert referrers(kept, subject.digest) == [right]


def test_evidence_that_a_row_hides_is_found(kept: Kept) -> None:
    subject = image()
    subject.push(kept.server, APP, "1")
    evidence = about(subject).push(kept.server, APP)
    forge(kept, evidence, subject=None)
    assert found(kept) == [(str(evidence), "subject")]
    kept.scrub()
    assert [one["digest"] for one in referrers(kept, subject.digest)] == [str(evidence)]


def test_a_manifest_without_its_row_is_found_and_a_scrub_shows_it_again(kept: Kept) -> None:
    content = image()
    digest = content.push(kept.server, APP, "1")
    forget(kept, digest)
    assert kept.server.ask("GET", f"/v2/{APP}/manifests/{digest}").status == 503
    assert found(kept) == [(str(digest), "missing")]
    (line,) = alarms(changed_facts(kept.inside.station, set()))
    assert f"{APP}@{digest}" in line
    assert kept.scrub()["described"] == [{"digest": str(digest), "fields": ["row"]}]
    assert found(kept) == []
    for worker in kept.workers:
        assert worker.ask("GET", f"/v2/{APP}/manifests/{digest}").body == content.manifest


def test_a_row_that_was_right_is_not_read_again_until_it_changes(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = image().push(kept.server, APP, "1")
    right: set[int] = set()
    assert changed_facts(kept.inside.station, right) == []
    with monkeypatch.context() as patched:
        patched.setattr("appliance.release_check.changed_facts.read_bytes", lambda *_: pytest.fail("read again"))
        assert changed_facts(kept.inside.station, right) == []
    forge(kept, digest, annotations=json.dumps({"made": "up"}))
    assert [one["kind"] for one in changed_facts(kept.inside.station, right)] == [FACTS]
