"""What the rules said of a pushed image is kept, sealed, for the gates; a look at intake is not made twice."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.advisories.seals import index_key
from appliance.content_records import recalled, row_of, standing_of
from appliance.content_rules.registry import rule_set
from appliance.gates.evaluate import evaluate
from appliance.gates.facts import Line
from appliance.gates.looking import Looking
from appliance.gates.wanted import rules_of
from appliance.scanning import scan_job
from appliance.settings.content_rules import ContentRuleSettings
from appliance.settings.gates import Gate
from appliance.store.reads.content_looks import kept_looks
from appliance.store.writes.content_looks import ContentLookRow, KeepContentLooks
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from tests.content_rules.looking import KEY_PEM, entry, look, tar
from tests.outgoing.conftest import layout as layout  # noqa: PLC0414  a fixture
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414  a fixture
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
from tests.scanning.exports import image_of

GATE = Gate(repositories=["**"], rules=["private-key", "large-layer"])


def line(outside: Outside, image: str, settings: tuple[ContentRuleSettings, ...] = ()) -> dict[str, Line]:
    with outside.station.blobs.open_blob(Digest.parse(image)) as file:
        manifest = parse_manifest(file.read())
    looking = Looking(outside.station.reader, index_key(outside.station.paths))
    content = looking.content(Digest.parse(image), manifest)
    wanted = rules_of(settings).wanted
    found = evaluate(1, GATE, "tools", content, looking.knowledge, [], "2030-01-01T00:00:00Z", wanted)
    return {one.rule: one for one in found}


def test_gates_ask_what_the_rules_said(outside: Outside, layout: Layout) -> None:
    described = image_of(layout, {"root/.ssh/id": KEY_PEM.decode(), "etc/motd": "x"})
    layout.tag("1", described)
    outside.collect_layout(layout.folder, "1")
    image = str(described["digest"])
    assert "nobody looked into 3 of 3 parts" in line(outside, image)["content:private-key"].why
    params: dict[str, Any] = {"references": ["tools:1"], "content": True}
    said = outside.run(outside.context("scan", params), scan_job.run)["content"]
    assert (said["images"], said["blobs"], said["unlooked"]) == (1, 2, [])
    assert [(one["rule"], one["path"]) for one in said["found"]] == [("private-key", "root/.ssh/id")]
    assert said["found_counts"] == {"private-key": 1}
    found = line(outside, image)
    assert "root/.ssh/id" in found["content:private-key"].why
    assert (found["content:private-key"].met, found["content:large-layer"].met) == (False, True)
    # By other settings nobody has looked: neither blocked nor free by what was said before.
    other = line(outside, image, (ContentRuleSettings(id="large-layer", settings={"mib": 5}),))
    assert (other["content:large-layer"].met, "nobody looked" in other["content:large-layer"].why) == (False, True)
    assert "root/.ssh/id" in other["content:private-key"].why

    reader = outside.station.reader
    held = [row[0] for row in reader.execute("SELECT digest FROM content_looks").fetchall()]
    rows = [ContentLookRow(**row._asdict()) for row in kept_looks(reader, held)]
    bad = next(row for row in rows if "root/.ssh/id" in row.found)
    clean = next(row for row in rows if row.digest not in (bad.digest, image))
    for forged in (
        msgspec.structs.replace(bad, found=clean.found), msgspec.structs.replace(clean, digest=bad.digest),
        msgspec.structs.replace(bad, at="2029-01-01T00:00:00Z"),
    ):  # fmt: skip
        outside.writer.submit(KeepContentLooks(rows=(forged,)))
        assert standing_of(reader, index_key(outside.station.paths), [bad.digest]) == [{}]
        assert not line(outside, image)["content:private-key"].met


def test_what_the_same_rules_said_is_recalled(outside: Outside) -> None:
    rules, key = rule_set(), b"k" * 32
    good, _ = look(tar(entry("a", KEY_PEM), entry(".wh.b"), entry("c", bytes(70_000))))
    unread, _ = look(b"\x1f\x8b" + bytes(40))
    digests = [str(Digest.of(name)) for name in (b"good", b"unread")]
    rows = [
        row_of(key, name, "2026-01-01T00:00:00Z", rules, one) for name, one in zip(digests, (good, unread), strict=True)
    ]
    outside.writer.submit(KeepContentLooks(rows=tuple(rows)))
    reader = outside.station.reader
    found = recalled(reader, key, rules, digests)
    assert list(found) == digests[:1]
    assert found[digests[0]].outline == good.outline
    assert found[digests[0]].rules["private-key"].found.listed == good.rules["private-key"].found.listed
    assert not recalled(reader, b"o" * 32, rules, digests)
    assert not recalled(reader, key, rule_set([("setuid", {"allow": ["bin/su"]})]), digests)
