"""No byte of a bundle may be changed, and no file of it may end early: every byte and every length is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bundles.errors import RefusedError
from bundles.ports import no_progress
from bundles.signing.trust import TrustFolder
from bundles.verdict import SmallFiles, decide
from bundles.verify import OpenedBundle, open_bundle, verify
from bundles.volumes.read import ranges_of, read_volume
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
