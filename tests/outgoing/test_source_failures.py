"""What one source of a `collect` does ends that source alone: what nobody foresaw, a lack of memory, and evidence
without end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from appliance.jobs.kinds import PartlyDoneError
from appliance.limits import collecting as limits
from appliance.outgoing.collect import job as collect
from appliance.outgoing.collect.kept import KeptBytes
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.sources import Root
from bundles.errors import FailedError, MalformedError, NotFoundError, RefusedError
from bundles.limits import KIB
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.outgoing.outside import Context, Outside
from tests.outgoing.small_registry import Handler, SmallRegistry, serving


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallRegistry]:
    monkeypatch.setattr(limits, "REMOTE_BACK_OFF", 0.001)
    with serving(SmallRegistry()) as running:
        for tag in ("1", "2", "3"):
            running.image("team/app", tag, tag.encode())
        yield running


def run(outside: Outside, *entries: dict[str, Any]) -> tuple[dict[str, Any], Context]:
    context = outside.context("collect", {"sources": list(entries)})
    return outside.run(context, collect.run), context


def fails(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What is at the tag 2 of a registry raises an error that nobody foresaw."""
    roots = RemoteSource.roots

    async def raising(self: RemoteSource) -> AsyncIterator[Root]:
        if self.targets()[0].tag == "2":
            raise error
        async for root in roots(self):
            yield root

    monkeypatch.setattr(RemoteSource, "roots", raising)


@pytest.mark.parametrize(
    "error",
    [UnicodeError("label empty or too long\x1b[2J"), ValueError("Invalid IPv6 URL"), KeyError("x"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_what_nobody_foresaw_is_the_failure_of_its_source_alone(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch, error: Exception,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    fails(monkeypatch, error)
    entries = [registry.entry("team/app", tag) for tag in ("1", "2", "3")]
    context = outside.context("collect", {"sources": entries})
    with pytest.raises(PartlyDoneError) as caught:
        outside.run(context, collect.run)
    assert (caught.value.exit_status, caught.value.result["failed"]) == (4, [1])
    assert caught.value.result["references"] == ["team/app:1", "team/app:3"]
    assert all(outside.shows(f"team/app:{tag}") for tag in ("1", "3"))
    assert [event["outcome"] for event in outside.events("collect")].count("done") == 2
    assert all(line.isprintable() for line in context.lines)
    logged = [line.split()[2].rstrip(":") for line in context.lines if line.startswith("[!!] error ")]
    traced = capfd.readouterr().err
    if isinstance(error, MemoryError):
        assert logged == []
        assert any("memory" in line for line in context.lines)
    else:
        assert len(logged) == 1
        assert f"error {logged[0]}\n" in traced
        assert any(f"`error {logged[0]}`" in line for line in context.lines if "not collected" in line)


def test_of_an_only_source_it_is_the_jobs_error(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails(monkeypatch, ValueError("no such thing"))
    with pytest.raises(FailedError) as caught:
        run(outside, registry.entry("team/app", "2"))
    assert caught.value.exit_status == 1


def test_a_lack_of_memory_behind_another_error_is_one(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = RefusedError("the manifest is malformed")
    refused.__context__ = MemoryError()
    fails(monkeypatch, refused)
    with pytest.raises(FailedError, match="memory"):
        run(outside, registry.entry("team/app", "2"))


def test_kept_manifests_stay_below_their_bound() -> None:
    kept = KeptBytes(10)
    for number in range(5):
        kept.keep(number, b"four")
    kept.keep(4, b"fifth")
    assert [kept.get(number) for number in range(5)] == [None, None, None, b"four", b"fifth"]
    assert (kept.take(4), kept.take(4)) == (b"fifth", None)
    kept.keep(5, bytes(11))
    assert [kept.get(number) for number in range(6)] == [None] * 6


def attached(registry: SmallRegistry, size: int, *, kept: bool = True, most: int = 1_000_000) -> list[str]:
    """Each manifest has three attached to it by cosign's tags, of `size` bytes, which no HEAD tells of. They are there
    by their digests too where `kept` says so, and are at most so many."""
    blob, told = registry.blob(b"{}"), []

    def answers(handler: Handler) -> bool:
        reference = handler.path.rpartition("/")[2]
        if handler.command == "HEAD" and reference.startswith("sha256-"):
            handler.answer(405)
            return True
        if reference.endswith((".sig", ".att", ".sbom")) and len(told) < most:
            document = {
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "a/b", "config": blob, "layers": [blob],
                "annotations": {"of": reference},
            }  # fmt: skip
            raw = json.dumps(document).encode()
            raw += b" " * (size - len(raw))
            told.append(reference)
            if kept:
                registry.manifests[f"team/app/{Digest.of(raw)}"] = (OCI_MANIFEST, raw)
            handler.answer(200, raw, {"Content-Type": OCI_MANIFEST})
            return True
        return False

    registry.fault = answers
    return told


@pytest.mark.parametrize("bound", ["COLLECT_EVIDENCE", "COLLECT_EVIDENCE_SIZE"])
def test_attached_manifests_that_lead_to_new_ones_without_end_are_cut(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(limits, bound, {"COLLECT_EVIDENCE": 20, "COLLECT_EVIDENCE_SIZE": 20 * KIB}[bound])
    told = attached(registry, KIB)
    with pytest.raises((MalformedError, RefusedError)):
        run(outside, registry.entry("team/app", "1"))
    assert len(told) <= 20 + 3 * 32
    assert outside.shows("team/app:1") is None


def test_evidence_at_the_bound_is_taken_also_where_none_of_it_is_kept_in_memory(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COLLECT_MEMORY", 3 * KIB)
    monkeypatch.setattr(limits, "COLLECT_EVIDENCE", 12)
    monkeypatch.setattr(limits, "COLLECT_EVIDENCE_SIZE", 12 * KIB)
    told = attached(registry, KIB, most=12)
    run(outside, registry.entry("team/app", "1"))
    assert len(told) == 12
    assert all(outside.shows(f"team/app:{tag}") is not None for tag in told)


def test_what_was_thrown_away_and_is_not_there_by_its_digest_fails_its_source(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COLLECT_MEMORY", KIB)
    attached(registry, KIB, kept=False, most=3)
    with pytest.raises(NotFoundError):
        run(outside, registry.entry("team/app", "1"))


def test_sources_share_one_bound_of_what_is_kept(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[KeptBytes] = []

    class Counted(KeptBytes):
        def __init__(self, most: int) -> None:
            super().__init__(most)
            made.append(self)

    monkeypatch.setattr(collect, "KeptBytes", Counted)
    monkeypatch.setattr("appliance.outgoing.collect.remote.KeptBytes", Counted)
    run(outside, *(registry.entry("team/app", tag) for tag in ("1", "2", "3")))
    assert len(made) == 1


def referred(registry: SmallRegistry, *, are_there: bool, size: int = 0) -> list[Digest]:
    """An index at the tag `all` of four manifests, each of which a fallback index says three others refer to."""
    children = [registry.image("team/app", "", bytes([number])) for number in range(4)]
    registry.index("team/app", "all", *children)
    for child in children:
        referrers = []
        for number in range(3):
            plain = registry.image("team/app", "", b"of", bytes([number]), subject=child)
            document = json.loads(registry.manifests[f"team/app/{plain}"][1])
            document["annotations"] = {"pad": "x" * size}
            referrers.append(registry.manifest("team/app", "", OCI_MANIFEST, document))
        registry.index("team/app", f"sha256-{child.hex}", *referrers)
        if not are_there:
            for referrer in referrers:
                del registry.manifests[f"team/app/{referrer}"]
    return children


def test_lists_of_referrers_count_together_also_where_nothing_of_them_is_there(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    referred(registry, are_there=False)
    monkeypatch.setattr(limits, "COLLECT_EVIDENCE", 11)
    with pytest.raises(MalformedError):
        run(outside, registry.entry("team/app", "all"))
    monkeypatch.setattr(limits, "COLLECT_EVIDENCE", 12)
    run(outside, registry.entry("team/app", "all"))


def test_the_bytes_of_what_short_lists_name_count(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = referred(registry, are_there=True, size=10 * KIB)
    monkeypatch.setattr(limits, "COLLECT_EVIDENCE_SIZE", 100 * KIB)
    with pytest.raises(RefusedError):
        run(outside, registry.entry("team/app", "all"))
    assert outside.shows("team/app:all") is None
    monkeypatch.setattr(limits, "COLLECT_EVIDENCE_SIZE", 150 * KIB)
    run(outside, registry.entry("team/app", "all"))
    assert all(len(outside.referrers("team/app", child)) == 3 for child in children)
