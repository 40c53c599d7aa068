"""Content rules in gates where gates are held: what they found, and what nobody looked into, is neither pulled, nor
released, nor promoted."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.advisories.seals import index_key
from appliance.audit.acts import Act
from appliance.content_records import row_of
from appliance.content_rules.registry import rule_set
from appliance.image_signatures.applied import sign
from appliance.limits import image_signatures as limits
from appliance.paths import StationPaths
from appliance.settings.content_rules import ContentRuleSettings
from appliance.settings.gates import Gate, Stage
from appliance.settings.image_policy import PolicyRules
from appliance.store.writes.content_looks import KeepContentLooks
from bundles.errors import RefusedError
from tests.content_rules.looking import KEY_PEM, entry, look, tar
from tests.image_signatures.pulling import Held, blobs_of
from tests.image_signatures.signer import Image
from tests.intake.inside import name_of
from tests.malware.test_intake import image as bundle_of
from tests.malware.test_intake import opened
from tests.promotion.desk import desk

CLEAN, SECRET = tar(entry("etc/motd", b"x")), tar(entry("root/.ssh/id", KEY_PEM))
SETUID = tar(entry("bin/su", b"x", mode=0o4755))
RULES: dict[str, Any] = {"rules": ["all"], "max_rule_severity": "low"}


def looked(submit: Callable[[Any], Any], paths: StationPaths, found: bytes, *digests: object, **settings: Any) -> None:
    """As a look does that found in each of these what is in `found`."""
    rules = rule_set([("setuid", settings)])
    seen, _ = look(found, rules)
    rows = [row_of(index_key(paths), str(one), "2026-01-01T00:00:00Z", rules, seen) for one in digests]
    submit(KeepContentLooks(rows=tuple(rows)))


def test_a_pull_is_held_until_every_part_was_looked_into_and_nothing_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PULL_OBJECTION_KEPT", 0.0)
    with Held(tmp_path) as held:
        image = Image()
        digest = held.push(image, "1")
        parts = [str(digest), *blobs_of(image.subject.raw)]
        held.apply(gate=[Gate(repositories=["team/**"], at=["pull"], **RULES)])

        def given() -> set[int]:
            paths = ["manifests/1", f"manifests/{digest}", *(f"blobs/{blob}" for blob in parts[1:])]
            return {status for path in paths for status in held.statuses(path)}

        assert given() == {403}
        assert "content:" in str(held.pull("manifests/1").body)
        looked(held.submit, held.paths, CLEAN, *parts[:-1])
        assert given() == {403}
        looked(held.submit, held.paths, CLEAN, *parts)
        assert given() == {200}
        for part in parts:  # in whichever of them
            looked(held.submit, held.paths, SECRET, part)
            assert given() == {403}
            looked(held.submit, held.paths, CLEAN, part)
        looked(held.submit, held.paths, SETUID, parts[-1])
        assert given() == {403}
        held.apply(gate=[Gate(repositories=["team/**"], at=["pull"], rules=["all", "setuid=low"],
                              max_rule_severity="low")])  # fmt: skip
        assert given() == {200}
        held.apply(
            gate=[Gate(repositories=["team/**"], at=["pull"], **RULES)],
            content_rule=[ContentRuleSettings(id="setuid", settings={"allow": ["bin/su"]})],
        )
        assert given() == {403}  # nobody looked by these settings
        looked(held.submit, held.paths, SETUID, *parts, allow=("bin/su",))
        assert given() == {200}


def test_a_promotion_is_refused_until_it_was_looked_into_and_nothing_was_found(tmp_path: Path) -> None:
    with desk(tmp_path / "bravo") as at:
        at.new()
        at.apply(
            PolicyRules(
                gate=[Gate(repositories=["live/**"], at=["promotion"], **RULES)],
                stage=[Stage(name="dev", entry="any"), Stage(name="live", sources=["dev"])],
            )
        )
        content = at.image("1")
        parts = [str(content.digest), *blobs_of(content.manifest)]
        for found in (None, SECRET, SETUID):
            if found is not None:
                looked(at.submit, at.paths, CLEAN, *parts)
                looked(at.submit, at.paths, found, parts[-1])
            status, refused = at.promote("dev:1", "live")
            assert (status, refused["code"], at.links("live")) == (403, "policy-gate", set())
            assert at.events(Act.PROMOTE, "refused")
        looked(at.submit, at.paths, CLEAN, *parts)
        assert at.promote("dev:1", "live")[0] == 201


def test_a_release_shows_nothing_in_which_the_rules_found_something(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "carried", gzip.compress(SECRET))
    with opened(tmp_path / "station", bundle) as station:
        anna, boris = station.officer("Anna"), station.officer("Boris")
        station.bring(bundle.folder)
        for one in (anna, boris):
            station.decide(name_of(), one)

        def apply(**asked: Any) -> None:
            for key in (anna, boris):
                sign(station.root, PolicyRules(gate=[Gate(repositories=["**"], at=["release"], **asked)]), key)

        apply(**RULES)
        with pytest.raises(RefusedError) as refused:
            station.release(name_of())
        assert (refused.value.code, station.visible()["links"]) == ("policy-gate", [])
        assert "private-key" in str(refused.value)
        apply(rules=["all", "private-key=low"], max_rule_severity="low")
        station.release(name_of())
        assert station.visible()["links"]
