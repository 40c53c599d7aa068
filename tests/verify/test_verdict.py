"""The verdict is a pure function of bytes and trust, and its rules hold in their order."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bundles import limits
from bundles.decide import bundle
from bundles.decide.bundle import consistent, decide, require_all_signers
from bundles.errors import RefusedError
from bundles.signing.trust import Revocation, TrustFolder
from tests.vectors.known import KEYS, NOW, signature_name
from tests.verify.conftest import Judged


def refusal(judged: Judged, now: str = NOW) -> str:
    with pytest.raises(RefusedError) as caught:
        decide(judged.files, judged.trust, now)
    return caught.value.diagnostics()


def pinned(trust: TrustFolder, name: str, **changes: object) -> TrustFolder:
    """The trust folder with something else said of one key."""
    keyid = KEYS[name].public.keyid
    records = [replace(r, **changes) if r.keyid == keyid else r for r in trust.records]  # type: ignore[arg-type]
    return TrustFolder(trust.site, tuple(records))


def resigned(judged: Judged, manifest: bytes, *keys: str) -> Judged:
    """Other manifest bytes under the same SHA256SUMS otherwise, signed."""
    old, new = (hashlib.sha256(data).hexdigest().encode() for data in (judged.files.manifest, manifest))
    root = judged.files.sums.replace(old, new)
    return judged.having(
        manifest=manifest, sums=root, signatures={signature_name(key): KEYS[key].sign(root) for key in keys}
    )


def test_a_good_bundle_is_opened_with_its_digest_and_its_signers(two: Judged) -> None:
    opened = decide(two.files, two.trust, NOW)
    assert opened.manifest.id == "alpha.bravo-000002"
    assert opened.digest.hex == hashlib.sha256(two.files.sums).hexdigest()
    assert {signer.owner for signer in opened.signers} == {"engineer", "reviewer"}
    assert opened.missing_signers == ()


def test_the_verdict_reads_no_file_no_clock_and_no_network() -> None:
    tree = ast.parse(Path(bundle.__file__).read_text())
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported.isdisjoint({"os", "pathlib", "io", "time", "socket", "random", "bundles.io.files"})
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in {"open", "Path"}]


@pytest.mark.parametrize("name", ["engineer", "reviewer"])
def test_a_missing_co_signature_is_named_and_only_the_caller_who_asks_is_refused(two: Judged, name: str) -> None:
    left = {file: data for file, data in two.files.signatures.items() if file != signature_name(name)}
    opened = decide(two.having(signatures=left).files, two.trust, NOW)
    assert opened.missing_signers == (KEYS[name].public.keyid,)
    with pytest.raises(RefusedError, match=KEYS[name].public.keyid):
        require_all_signers(opened)


def test_one_bad_signature_spoils_a_bundle_with_a_good_one(two: Judged) -> None:
    bad = {**two.files.signatures, signature_name("reviewer"): KEYS["reviewer"].sign(b"something else")}
    assert "the signature does not hold" in refusal(two.having(signatures=bad))


def test_a_signature_counts_under_its_own_keys_name_alone(two: Judged) -> None:
    engineer, reviewer = (two.files.signatures[signature_name(name)] for name in ("engineer", "reviewer"))
    swapped = {signature_name("engineer"): reviewer, signature_name("reviewer"): engineer}
    assert "the signature does not hold" in refusal(two.having(signatures=swapped))


def test_one_signature_under_two_names_does_not_count_twice(two: Judged) -> None:
    engineer = two.files.signatures[signature_name("engineer")]
    doubled = {signature_name("engineer"): engineer, signature_name("third"): engineer}
    assert "the signature does not hold" in refusal(two.having(signatures=doubled))


@pytest.mark.parametrize("name", ["SHA256SUMS.sig", "SHA256SUMS.0123456789ABCDEF.sig", "SHA256SUMS.0123.sig", "x"])
def test_a_signature_file_of_another_name_is_nobodys(one: Judged, name: str) -> None:
    assert f"the signer is unknown: {name}" in refusal(one.having(signatures={name: b""}))


def test_attempts_are_capped_before_any_signature_is_tried(one: Judged) -> None:
    many = {f"SHA256SUMS.{number:016x}.sig": b"" for number in range(limits.SIGNATURES + 1)}
    assert "too many signature files" in refusal(one.having(signatures=many))


@pytest.mark.parametrize("change", ["revoked", "purpose", "not_before", "not_after"])
def test_the_manifest_is_never_parsed_for_a_key_that_does_not_count(one: Judged, change: str) -> None:
    changes: dict[str, dict[str, object]] = {
        "revoked": {"revoked": Revocation(at=NOW, why="lost laptop")},
        "purpose": {"purposes": ("release",)},
        "not_before": {"not_before": "2026-06-02T12:00:01Z"},
        "not_after": {"not_after": "2026-06-02T11:59:59Z"},
    }
    hostile = resigned(one, b"[" * 1000, "engineer")
    assert "nested too deep" in refusal(hostile)
    distrusted = replace(hostile, trust=pinned(one.trust, "engineer", **changes[change]))
    assert "a signature that does not count" in refusal(distrusted)


def test_the_manifest_is_never_parsed_before_its_digest_is_the_signed_one(one: Judged) -> None:
    assert "not the ones SHA256SUMS names: manifest.json" in refusal(one.having(manifest=b"[" * 1000))
    assert "not the ones SHA256SUMS names: README.txt" in refusal(one.having(readme=b"trust me"))


def test_every_signer_is_bound_to_the_source_site(two: Judged) -> None:
    moved = replace(two, trust=pinned(two.trust, "reviewer", sites=("delta",)))
    assert "reviewer may sign for delta, not for alpha" in refusal(moved)


def test_a_bundle_for_another_site_is_refused_with_both_names(one: Judged) -> None:
    elsewhere = replace(one, trust=TrustFolder("charlie", one.trust.records))
    assert "alpha.bravo-000001 is for bravo, this is charlie" in refusal(elsewhere)


def test_a_bundle_counts_until_the_second_it_names(one: Judged) -> None:
    decide(one.files, one.trust, "2026-12-01T00:00:00Z")
    assert "has expired" in refusal(one, "2026-12-01T00:00:01Z")


def test_clocks_may_drift_by_a_day(one: Judged) -> None:
    decide(one.files, one.trust, "2026-05-31T12:00:00Z")
    assert "from the future" in refusal(one, "2026-05-31T11:59:59Z")


def test_nobody_is_trusted_by_an_empty_folder(one: Judged) -> None:
    assert "the signer is unknown" in refusal(replace(one, trust=TrustFolder("bravo", ())))


def test_the_algorithm_is_the_pinned_keys(one: Judged) -> None:
    by_another_curve = {signature_name("third"): KEYS["engineer"].sign(one.files.sums)}
    assert "the signature does not hold" in refusal(one.having(signatures=by_another_curve))


def test_small_files_can_agree_with_one_another_without_any_trust(one: Judged) -> None:
    assert consistent(one.having(signatures={}).files).id == "alpha.bravo-000001"
    with pytest.raises(RefusedError, match=r"manifest\.json"):
        consistent(one.having(manifest=one.files.manifest + b"\n").files)
