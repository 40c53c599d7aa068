"""As test_rules_are_needed, for what a bundle holds: names, digests, places, manifests, layers, and its order."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from appliance.archives import contents
from appliance.limits import archives as limits
from appliance.outgoing import closure
from bundles.decide import sequence
from bundles.decide.sequence import LedgerRow, ledger_verdict
from bundles.errors import LockgateError, MalformedError, RefusedError
from bundles.format import manifest_check
from bundles.format.manifest import Blob, Evidence
from bundles.io import display
from bundles.oci import digest as digests
from bundles.oci import manifest as oci
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference
from bundles.signing import policy
from bundles.signing.policy import SignerRule
from bundles.volumes import read
from tests.bundles.small import SmallBundle, trust_of
from tests.hostile.test_rules_are_needed import Ground, nothing, without
from tests.intake.test_layers import inspected, tar
from tests.verify.test_ledger import bundle as numbered
from tests.verify.test_ledger import digest


class HarmDoneError(Exception):
    """The attack went through."""


class Equal(str):
    """A digest that is whatever it is compared with."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def a_digest_that_is_a_path(_: Ground) -> None:
    if ".." in Digest("sha256", "../../../etc/passwd").path:
        raise HarmDoneError


def a_repository_that_is_a_path(ground: Ground) -> None:
    first, *others = ground.made.content.artifacts
    named = msgspec.structs.replace(first, repository="../../etc")
    ground.resign([ground.made.key.public.keyid], artifacts=[named, *others])
    ground.verify()
    raise HarmDoneError


def a_blob_under_anothers_digest(ground: Ground) -> None:
    """Honestly signed, and not what it says."""
    blobs = list(ground.made.manifest.blobs)
    at = next(n for n, blob in enumerate(blobs) if blob.size == len(b"hello across the gap\n"))
    blobs[at] = msgspec.structs.replace(blobs[at], digest=f"sha256:{'0' * 64}")
    ground.resign([ground.made.key.public.keyid], blobs=sorted(blobs, key=lambda blob: blob.digest))
    ground.verify()
    raise HarmDoneError


def a_byte_that_is_no_blobs(ground: Ground) -> None:
    """In the volume's header, which the manifest does not describe."""
    volume = ground.folder / "volumes/0001.7z"
    data = bytearray(volume.read_bytes())
    data[8] ^= 1
    volume.write_bytes(data)
    ground.verify()
    raise HarmDoneError


def two_blobs_in_one_place(ground: Ground) -> None:
    blobs = list(ground.made.manifest.blobs)
    twins = [n for n, blob in enumerate(blobs) if blob.size == len(b"hello across the gap\n")]
    first, second = (blobs[n] for n in twins)
    blobs[twins[1]] = Blob(digest=second.digest, size=second.size, volume=first.volume, offset=first.offset)
    manifest_check.check(msgspec.structs.replace(ground.made.manifest, blobs=blobs))
    raise HarmDoneError


def one_thing_named_twice(ground: Ground) -> None:
    found = ground.made.manifest.artifacts
    twice = [Evidence(subject=found[0].digest, digest=found[1].digest)] * 2
    ground.resign([ground.made.key.public.keyid], sboms=twice)
    ground.verify()
    raise HarmDoneError


EMPTY = {"mediaType": oci.OCI_EMPTY, "digest": str(Digest.of(b"{}")), "size": 2}


def an_image_that_is_an_index(_: Ground) -> None:
    both = {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "config": EMPTY, "layers": [], "manifests": []}
    oci.parse_manifest(json.dumps(both).encode(), oci.OCI_MANIFEST)
    raise HarmDoneError


def bytes_of_another_type(_: Ground) -> None:
    image = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "config": EMPTY, "layers": []}
    oci.parse_manifest(json.dumps(image).encode(), oci.OCI_MANIFEST)
    raise HarmDoneError


def an_index_of_indexes_without_end(_: Ground) -> None:
    """A chain that is longer than any real one, and not endless, so that the attack ends."""
    held: dict[Digest, bytes] = {}
    child: Descriptor | None = None
    for _number in range(40):
        listed = [] if child is None else [
            {"mediaType": child.media_type, "digest": str(child.digest), "size": child.size}
        ]  # fmt: skip
        raw = json.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": listed}).encode()
        child = Descriptor(oci.OCI_INDEX, Digest.of(raw), len(raw))
        held[child.digest] = raw
    top = child
    shown = SimpleNamespace(
        resolve=lambda _reference: top,
        read=lambda digest, _ceiling: held[digest],
        sizes=lambda _repository, digests: {digest: len(held[digest]) for digest in digests},
        referrers=lambda *_: [],
    )
    closure.closure_of([Reference.parse("team/app:1")], shown)  # type: ignore[arg-type]
    raise HarmDoneError


def a_layer_that_is_a_bomb(_: Ground) -> None:
    """A megabyte of zeros in a kilobyte, where ten kilobytes would be much."""
    section = inspected(gzip.compress(tar(("zeros", {"data": bytes(3_000_000)}))))
    if section.outcome == "fail":
        raise RefusedError(str(section.details["unread"]))
    raise HarmDoneError


def a_layer_that_leads_out(_: Ground) -> None:
    section = inspected(gzip.compress(tar(("../etc/cron.d/x", {}))))
    if section.details["escaping"]:
        raise RefusedError(section.outcome)
    raise HarmDoneError


def an_older_bundle_that_never_came(_: Ground) -> None:
    ledger_verdict([LedgerRow(5, "", "reset")], numbered(3, previous=2), digest(3))
    raise HarmDoneError


def another_history(_: Ground) -> None:
    ledger_verdict([LedgerRow(1, digest(9), "released")], numbered(2, previous=1), digest(2))
    raise HarmDoneError


def a_name_that_steers_the_terminal(_: Ground) -> None:
    if "\x1b" in display.safe("app\x1b[2J\u202e"):
        raise HarmDoneError
    raise RefusedError("shown as text")


def a_threshold_of_nobody(_: Ground) -> None:
    rule = SignerRule(purpose="bundle", site="", signers=0, algorithms=[], gaps=False, silence_days=0)
    policy.check_rules([rule], ["bundle"])
    raise HarmDoneError


class Unread:
    """A hash that was never taken."""

    def update(self, _: object) -> None: ...

    def hexdigest(self) -> str:
        return Equal("0" * 64)


def skip_the_digest(self: read._Ranges, current: read.Range) -> None:
    self._writer = self._hasher = self._taken = None
    self._next += 1


def no_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "LAYER_RATIO", 1 << 30)


ROWS: dict[Callable[[Ground], None], Callable[[pytest.MonkeyPatch], None]] = {
    a_digest_that_is_a_path: without(digests, "_WELL_FORMED", {"sha256": lambda text: True}),
    a_repository_that_is_a_path: without(manifest_check, "check_repository"),
    a_blob_under_anothers_digest: without(read._Ranges, "_finish", skip_the_digest),
    a_byte_that_is_no_blobs: without(read, "hashlib", SimpleNamespace(sha256=Unread)),
    two_blobs_in_one_place: without(manifest_check, "_check_places"),
    one_thing_named_twice: without(manifest_check, "_ascending"),
    an_image_that_is_an_index: without(oci, "_check_confusion"),
    bytes_of_another_type: without(oci, "_media_type", lambda _, announced: announced),
    an_index_of_indexes_without_end: without(closure.limits, "INDEX_DEPTH", 1000),
    a_layer_that_is_a_bomb: no_end,
    a_layer_that_leads_out: without(contents, "_escapes", lambda _: False),
    an_older_bundle_that_never_came: without(sequence, "_check_rollback"),
    another_history: without(sequence, "_check_history"),
    a_name_that_steers_the_terminal: without(display, "_escape", lambda character: character),
    a_threshold_of_nobody: without(policy, "check_rules", nothing),
}


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setattr(limits, "LAYER_FLOOR", 10_000)
    made = SmallBundle(tmp_path / "made")
    return Ground(made, made.folder, trust_of(tmp_path / "trust", made.key))


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: attack.__name__)
def test_an_attack_is_held_off(ground: Ground, attack: Callable[[Ground], None]) -> None:
    with pytest.raises((LockgateError, MalformedError)):
        attack(ground)


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: attack.__name__)
def test_without_its_rule_the_attack_goes_through(
    ground: Ground, attack: Callable[[Ground], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ROWS[attack](monkeypatch)
    with pytest.raises(HarmDoneError):
        attack(ground)
