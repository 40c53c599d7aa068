"""No byte of a bundle may be changed, and no file of it may end early: every byte and every length is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bundles.decide.bundle import SmallFiles, decide
from bundles.errors import RefusedError
from bundles.ports import no_progress
from bundles.signing.keys import CREATABLE, PublicKey, create_private
from bundles.signing.ssh import keys
from bundles.signing.trust import TrustFolder
from bundles.verify import OpenedBundle, open_bundle, verify
from bundles.volumes.read import ranges_of, read_volume
from tests.signing.soft_token import SoftToken
from tests.vectors.known import HERE, NOW, ONE, signature_name, small_files

SIGNATURE = signature_name("engineer")
SMALL = ["SHA256SUMS", "manifest.json", "README.txt", SIGNATURE]
VOLUMES = ["volumes/0001.7z", "volumes/0002.7z", "volumes/0003.7z"]


def flips(good: bytes) -> Iterator[bytes]:
    """The bytes with one bit changed, in each byte in turn."""
    for position in range(len(good)):
        changed = bytearray(good)
        changed[position] ^= 1 << position % 8
        yield bytes(changed)


def cuts(good: bytes) -> Iterator[bytes]:
    """The bytes cut short at every length."""
    return (good[:length] for length in range(len(good)))


def additions(good: bytes) -> Iterator[bytes]:
    """The bytes with one more."""
    return iter((good + b"\0", good + b"\n", b"\0" + good, b"\n" + good))


Spoil = Callable[[bytes], Iterator[bytes]]


def with_file(files: SmallFiles, name: str, data: bytes) -> SmallFiles:
    if name == SIGNATURE:
        return replace(files, signatures={SIGNATURE: data})
    field = {"SHA256SUMS": "sums", "manifest.json": "manifest", "README.txt": "readme"}[name]
    return replace(files, **{field: data})  # type: ignore[arg-type]


@pytest.mark.parametrize("spoil", [flips, cuts, additions])
@pytest.mark.parametrize("name", SMALL)
def test_a_small_file_is_exact_to_the_byte_and_named_where_it_is_not(
    pinned: TrustFolder, name: str, spoil: Spoil
) -> None:
    files = small_files(HERE / "bundles" / ONE)
    decide(files, pinned, NOW)
    for data in spoil((HERE / "bundles" / ONE / name).read_bytes()):
        with pytest.raises(RefusedError) as caught:
            decide(with_file(files, name, data), pinned, NOW)
        line = caught.value.diagnostics()
        assert name in line or (name == "SHA256SUMS" and "the signature does not hold" in line)


@pytest.fixture
def opened(tiny: Path, pinned: TrustFolder) -> OpenedBundle:
    return open_bundle([tiny], pinned, NOW)


@pytest.mark.parametrize("name", VOLUMES)
def test_every_byte_of_a_volume_is_the_signed_one(tiny: Path, opened: OpenedBundle, name: str) -> None:
    manifest = opened.opened.manifest
    index = int(name[8:12])
    for data in flips((tiny / name).read_bytes()):
        (tiny / name).write_bytes(data)
        with pytest.raises(RefusedError, match=name):
            read_volume(tiny / name, manifest, index, ranges_of(manifest)[index], None, lambda count: None)


@pytest.mark.parametrize("name", VOLUMES)
def test_a_volume_that_is_cut_at_any_byte_is_refused_by_name(tiny: Path, opened: OpenedBundle, name: str) -> None:
    manifest = opened.opened.manifest
    index = int(name[8:12])
    ranges = ranges_of(manifest)[index]
    with (tiny / name).open("r+b") as file:
        for length in reversed(range((tiny / name).stat().st_size)):
            file.truncate(length)
            with pytest.raises(RefusedError, match=f"the volume has {length} bytes.*{name}"):
                read_volume(tiny / name, manifest, index, ranges, None, lambda count: None)


@pytest.mark.parametrize("name", VOLUMES)
def test_a_volume_of_another_size_is_refused_before_it_is_read(
    tiny: Path, opened: OpenedBundle, pinned: TrustFolder, name: str
) -> None:
    good = (tiny / name).read_bytes()
    for data in [*list(cuts(good))[::17], good[:-1], *additions(good)]:
        (tiny / name).write_bytes(data)
        with pytest.raises(RefusedError, match=f"the volume has {len(data)} bytes.*{name}"):
            open_bundle([tiny], pinned, NOW)
    (tiny / name).write_bytes(good)
    verify([tiny], pinned, NOW, no_progress)


@pytest.mark.long
@pytest.mark.parametrize("spoil", [flips, cuts])
@pytest.mark.parametrize("name", [*SMALL, *VOLUMES])
def test_a_medium_with_any_byte_changed_or_missing_is_refused_whole(
    tiny: Path, pinned: TrustFolder, name: str, spoil: Spoil
) -> None:
    good = (tiny / name).read_bytes()
    for data in spoil(good):
        (tiny / name).write_bytes(data)
        with pytest.raises(RefusedError) as caught:
            verify([tiny], pinned, NOW, no_progress)
        line = caught.value.diagnostics()
        assert name in line or (name == "SHA256SUMS" and "the signature does not hold" in line)
    (tiny / name).write_bytes(good)
    verify([tiny], pinned, NOW, no_progress)


def every_kind() -> Iterator[tuple[str, PublicKey, bytes]]:
    """A signature over DATA by each kind of key, RSA and tokens too."""
    for algorithm in CREATABLE:
        key = create_private(algorithm)
        yield algorithm, key.public, key.sign(DATA)
    own = rsa.generate_private_key(65537, 2048)
    yield "rsa", PublicKey.of(own.public_key()), own.sign(DATA, padding.PKCS1v15(), hashes.SHA256())
    for algorithm in (keys.SK_ED25519, keys.SK_ECDSA):
        token = SoftToken(algorithm)
        yield algorithm, token.public, token.sign(DATA)


DATA = b"what a signature is over"
KINDS = {name: (public, signature) for name, public, signature in every_kind()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_of_any_kind_is_exact_to_the_byte(kind: str) -> None:
    public, signature = KINDS[kind]
    assert public.verify(DATA, signature)
    step = 1 if len(signature) < 1000 else 11  # a hybrid key's post-quantum half has thousands of bytes
    for spoil in (flips, cuts, additions):
        for data in list(spoil(signature))[:: step if spoil is not additions else 1]:
            assert not public.verify(DATA, data)


@pytest.mark.long
def test_a_hybrid_signature_is_exact_in_every_byte() -> None:
    public, signature = KINDS["ecdsa-p384+ml-dsa-87"]
    for spoil in (flips, cuts):
        assert not any(public.verify(DATA, data) for data in spoil(signature))
