"""What a trust folder demands beyond one signature: how many people, by which kinds of key."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundles.decide.bundle import RULES, decide, judge
from bundles.errors import RefusedError, UsageError
from bundles.io import strict_json
from bundles.people import is_same
from bundles.ports import no_progress
from bundles.signing import hybrid
from bundles.signing.keys import create_private
from bundles.signing.pinning import set_rule, trust_key
from bundles.signing.policy import FILE, SignerRule, TrustPolicy
from bundles.signing.signature_files import files_of
from bundles.signing.trust import TrustFolder
from bundles.signing.trust_copy import export_trust
from bundles.verify import verify
from tests.bundles.small import LATER, SmallBundle, manifest_of, sign
from tests.signing.soft_token import SoftToken


def rule(signers: int = 1, site: str = "", algorithms: tuple[str, ...] = (), **changes: object) -> SignerRule:
    fields = {"purpose": "bundle", "site": site, "signers": signers, "algorithms": list(algorithms),
              "gaps": False, "silence_days": 0} | changes  # fmt: skip
    return SignerRule(**fields)  # type: ignore[arg-type]


def test_without_a_policy_one_signer_by_any_key_suffices() -> None:
    assert TrustPolicy().rule("bundle", "alpha").signers == 1


def test_a_sources_own_rule_stands_before_the_purposes() -> None:
    policy = TrustPolicy((rule(2), rule(3, "alpha")))
    assert policy.rule("bundle", "alpha").signers == 3
    assert policy.rule("bundle", "delta").signers == 2
    assert policy.rule("receipt", "alpha").signers == 1


@pytest.mark.parametrize("owner", ["Anna", "anna ", " ANNA", "An\u200ana".replace("\u200a", ""), "\uff21nna"])
def test_one_person_stays_one_however_the_name_is_spelt(owner: str) -> None:
    assert is_same(owner, "Anna")


@pytest.mark.parametrize(
    "owner", ["A\u200bda", "Ada\u2060", "\u202eadA", "Ada\u034f", "Ada\ufe0f", "\u0410da", "Ad\u03b1"]
)
def test_an_owner_who_could_pass_for_another_is_not_pinned(folder: Path, owner: str) -> None:
    with pytest.raises(UsageError, match=r"nobody sees|two alphabets"):
        trust_key(folder, create_private().public, purpose="release", owner=owner)


@pytest.mark.parametrize("owner", ["A\u200bda", "\u202eAda", "Ada\u034f\ufe0f"])
def test_what_nobody_sees_makes_no_second_person_of_a_record_written_by_hand(owner: str) -> None:
    assert is_same(owner, "Ada")


@pytest.mark.parametrize(
    "owner", ["Zo\u00eb M\u00fcller", "\u0410\u043d\u043d\u0430", "\u5c71\u7530 Ken", "O'Neil-3 (deputy)"]
)
def test_owners_have_names_of_their_own_language(folder: Path, owner: str) -> None:
    assert trust_key(folder, create_private().public, purpose="release", owner=owner).owner == owner


def test_an_owner_is_spelt_one_way(folder: Path) -> None:
    trust_key(folder, create_private().public, purpose="release", owner="Anna")
    with pytest.raises(UsageError, match=r"spelt otherwise already: 'Anna'"):
        trust_key(folder, create_private().public, purpose="release", owner="anna")


def test_rules_are_kept_and_replaced(folder: Path) -> None:
    set_rule(folder, rule(2))
    set_rule(folder, rule(3, "alpha"))
    set_rule(folder, rule(1))
    assert [(one.site, one.signers) for one in TrustFolder.load(folder).policy.rules] == [("", 1), ("alpha", 3)]


@pytest.mark.parametrize("bad", [
    rule(0), rule(33), rule(site="../x"), rule(algorithms=("md5",)), rule(purpose="fun"), rule(silence_days=-1),
    rule(algorithms=("ed25519", "ecdsa-p256")),
])  # fmt: skip
def test_an_impossible_rule_is_refused(folder: Path, bad: SignerRule) -> None:
    with pytest.raises(UsageError):
        set_rule(folder, bad)
    assert not (folder / FILE).exists()


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"rules":[],"type":"x"}', b'{"rules":[{}],"type":"x"}'])
def test_a_damaged_policy_decides_nothing(folder: Path, raw: bytes) -> None:
    (folder / FILE).write_bytes(raw)
    with pytest.raises(UsageError, match=r"damaged trust file.*policy\.json"):
        TrustFolder.load(folder)


def test_an_exported_folder_says_the_same(folder: Path, tmp_path: Path) -> None:
    trust_key(folder, create_private().public, purpose="release", owner="Anna")
    trust_key(folder, SoftToken("sk-ssh-ed25519@openssh.com").public, purpose="bundle", owner="Bo", sites=["alpha"])
    set_rule(folder, rule(2))
    (folder / "README.txt").write_text("a note")
    export_trust(folder, tmp_path / "copy", LATER)
    assert TrustFolder.load(tmp_path / "copy") == TrustFolder.load(folder)


def test_an_unknown_signer_is_compared_with_the_sender_and_a_copy_of_the_folder_is_told_apart(
    folder: Path, tmp_path: Path
) -> None:
    trust_key(folder, create_private().public, purpose="release", owner="Anna")
    export_trust(folder, tmp_path / "copy", LATER)
    own, copy = TrustFolder.load(folder), TrustFolder.load(tmp_path / "copy")
    assert (own.copied, copy.copied) == ("", LATER)
    assert own.unknown_signer("x", "bundle").remedy.startswith("compare its fingerprint with the sender")
    assert copy.unknown_signer("x", "bundle").remedy.startswith(
        f"this trust folder is a copy of {LATER}: have a new one made"
    )
    assert "compare its fingerprint" in copy.unknown_signer("x", "bundle").remedy
    (tmp_path / "copy" / "README.txt").write_text("A copy of the trust folder of bravo, made at \x1b[2J.\n")
    assert TrustFolder.load(tmp_path / "copy").copied == ""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("bundle"))


class Signers:
    """A bundle re-signed by keys of every kind, and who owns them."""

    def __init__(self, bundle: SmallBundle, folder: Path) -> None:
        self.folder = folder
        self.hybrid, self.token = create_private(hybrid.ALGORITHM), SoftToken("sk-ecdsa-sha2-nistp256@openssh.com")
        self.keys = [bundle.key, self.hybrid, self.token]
        manifest = manifest_of(bundle.content, bundle.laid_out, [key.public.keyid for key in self.keys])
        self.signed = sign(manifest, [])
        self.bundle = bundle
        self.files: dict[str, bytes] = {}
        for key in self.keys:
            self.files |= files_of("SHA256SUMS", key.public.keyid, key.sign(self.signed.sums))

    def lay_out(self) -> Path:
        medium = self.bundle.folder
        (medium / "manifest.json").write_bytes(self.signed.manifest_bytes)
        (medium / "README.txt").write_bytes(self.signed.readme)
        (medium / "SHA256SUMS").write_bytes(self.signed.sums)
        for path in medium.glob("SHA256SUMS.*"):
            path.unlink()
        for name, data in self.files.items():
            (medium / name).write_bytes(data)
        return medium

    def pin(self, *owners: str) -> TrustFolder:
        for key, owner in zip(self.keys, owners, strict=True):
            trust_key(self.folder, key.public, purpose="bundle", owner=owner, sites=["alpha"])
        return TrustFolder.load(self.folder)


@pytest.fixture
def signers(tmp_path: Path, folder: Path) -> Signers:
    return Signers(SmallBundle(tmp_path / "bundle"), folder)


def test_a_bundle_signed_by_every_kind_of_key_verifies_and_each_rule_says_so(signers: Signers) -> None:
    trust = signers.pin("Anna", "Bo", "Cy")
    opened = verify([signers.lay_out()], trust, LATER, no_progress)
    assert {signer.owner for signer in opened.opened.signers} == {"Anna", "Bo", "Cy"}
    assert [(found.rule, found.outcome) for found in judge(opened.files, trust, LATER)] == [(r, "ok") for r in RULES]


@pytest.mark.parametrize("kind", ["sig", "mldsa"])
def test_a_hybrid_signature_without_one_half_is_refused_by_the_files_name(signers: Signers, kind: str) -> None:
    trust = signers.pin("Anna", "Bo", "Cy")
    del signers.files[name := f"SHA256SUMS.{signers.hybrid.public.keyid}.{kind}"]
    with pytest.raises(RefusedError, match=f"lacks a file: {name}"):
        verify([signers.lay_out()], trust, LATER, no_progress)


def test_a_signature_file_of_another_kind_than_the_keys_is_refused(signers: Signers) -> None:
    trust = signers.pin("Anna", "Bo", "Cy")
    signers.files[name := f"SHA256SUMS.{signers.keys[0].public.keyid}.mldsa"] = b"x" * 4627
    with pytest.raises(RefusedError, match=f"not of the key's kind: {name}"):
        verify([signers.lay_out()], trust, LATER, no_progress)


@pytest.mark.parametrize("owner", ["Аnnа", "AIan", "ΑΝΝΑ", "Ann\u0430".upper()])
def test_an_owner_who_looks_like_one_that_is_pinned_is_not_pinned(folder: Path, owner: str) -> None:
    pinned = "Alan" if owner == "AIan" else "Anna"
    trust_key(folder, create_private().public, purpose="release", owner=pinned)
    with pytest.raises(UsageError, match=r"spelt otherwise|two alphabets"):
        trust_key(folder, create_private().public, purpose="release", owner=owner)
    assert [record.owner for record in TrustFolder.load(folder).records] == [pinned]


def test_owners_that_were_pinned_before_they_looked_alike_still_load_and_count_as_one(folder: Path) -> None:
    for owner in ("Alan", "Somebody"):
        trust_key(folder, create_private().public, purpose="bundle", owner=owner, sites=["alpha"])
    for path in folder.glob("*.json"):
        path.write_text(path.read_text().replace('"Somebody"', '"AIan"'))
    records = TrustFolder.load(folder).records
    assert {record.owner for record in records} == {"Alan", "AIan"}
    assert TrustPolicy((rule(2),)).objection(records, "bundle", "alpha") is not None
    assert TrustPolicy((rule(1),)).objection(records, "bundle", "alpha") is None
    trust_key(folder, create_private().public, purpose="bundle", owner="Rolf", sites=["alpha"])
    assert TrustPolicy((rule(2),)).objection(TrustFolder.load(folder).records, "bundle", "alpha") is None


def test_two_keys_of_one_owner_are_one_person(signers: Signers) -> None:
    signers.pin("Anna", "Anna", "Anna")
    set_rule(signers.folder, rule(2))
    with pytest.raises(RefusedError, match=r"signed by 1 of 2 distinct owners.*key policy"):
        verify([signers.lay_out()], TrustFolder.load(signers.folder), LATER, no_progress)


def test_a_policy_can_demand_hybrid_signatures(signers: Signers) -> None:
    signers.pin("Anna", "Bo", "Cy")
    set_rule(signers.folder, rule(1, algorithms=(hybrid.ALGORITHM,)))
    verify([signers.lay_out()], TrustFolder.load(signers.folder), LATER, no_progress)
    set_rule(signers.folder, rule(2, algorithms=(hybrid.ALGORITHM,)))
    with pytest.raises(RefusedError, match=r"1 of 2 distinct owners by ecdsa-p384\+ml-dsa-87"):
        verify([signers.lay_out()], TrustFolder.load(signers.folder), LATER, no_progress)


def test_a_refusal_is_told_rule_by_rule(signers: Signers) -> None:
    trust = signers.pin("Anna", "Bo", "Cy")
    bundle = verify([signers.lay_out()], trust, LATER, no_progress)
    found = judge(bundle.files, TrustFolder("charlie", trust.records), LATER)
    outcomes = [one.outcome for one in found]
    assert outcomes == ["ok"] * 7 + ["refused"] + ["not reached"] * 4
    assert "this is charlie" in found[7].detail
    assert decide(bundle.files, trust, LATER) == bundle.opened


def test_the_policy_is_part_of_the_one_form(folder: Path) -> None:
    set_rule(folder, rule(2))
    raw = (folder / FILE).read_bytes()
    assert strict_json.canonical(strict_json.loads(raw, ceiling=10_000, nodes=1_000_000, what="it")) == raw
