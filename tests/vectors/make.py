"""Makes the test vectors: `python -m tests.vectors.make`. Run it where the format changes, never to make a test pass.

Everything follows from constants, the keys too, so a run gives the same bytes anywhere.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from bundles import build
from bundles.format.media import Packing
from bundles.format.volume_frame import Piece
from bundles.ports import no_progress
from bundles.signing.pinning import init_trust, revoke_key, trust_key
from tests.bundles.small import MemoryStore, content_of, file_artifact, manifest_of, sign
from tests.vectors.cases import Case, Cases, damaged, good, malformed, untrusted
from tests.vectors.known import HERE, KEYS, MEDIA, ONE


def make_keys() -> None:
    for name, key in KEYS.items():
        (HERE / "keys" / f"{name}.pem").write_bytes(key.to_pem(None))


def make_trust() -> None:
    path = HERE / "trust"
    init_trust(path, "bravo")
    for name in ("engineer", "reviewer", "third", "revoked"):
        trust_key(path, KEYS[name].public, purpose="bundle", owner=name, sites=["alpha"])
    trust_key(path, KEYS["receipts"].public, purpose="receipt", owner="receipts", sites=["alpha"])
    trust_key(path, KEYS["delta"].public, purpose="bundle", owner="delta", sites=["delta"])
    trust_key(
        path,
        KEYS["expired"].public,
        purpose="bundle",
        owner="expired",
        sites=["alpha"],
        not_after="2026-01-01T00:00:00Z",
    )
    revoke_key(path, KEYS["revoked"].public.keyid, why="lost laptop", at="2026-05-01T00:00:00Z")
    (path / ".lock").unlink()


class Tiny:
    """Three volumes of a few hundred bytes: whole blobs, an empty one, a sha512 one, and one in two parts."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        artifacts = [
            file_artifact(self.store, b"hello across the gap\n", "files/hello"),
            file_artifact(self.store, b"HELLO ACROSS THE GAP\n", "files/twin"),
            file_artifact(self.store, b"", "files/empty"),
        ]
        self.parted = next(d for d, data in self.store.blobs.items() if data == b"hello across the gap\n")
        self.long = self.store.add(b"a blob that is known by its sha512\n", "sha512")
        self.content = content_of(self.store, artifacts)

    def lay_out(self, media: tuple[int, ...]) -> build.LaidOut:
        whole = [Piece(d, 0, size) for d, size in self.content.blobs if d != self.parted]
        parts = [Piece(self.parted, 0, 6, 1), Piece(self.parted, 6, 15, 2)]
        volumes = ((*whole[:3], parts[0]), (parts[1], *whole[3:5]), tuple(whole[5:]))
        return build.lay_out(self.content, Packing(volumes, media), self.store, no_progress)


def write_bundle(tiny: Tiny, names: list[str], signers: list[str], sequence: int, previous: str | None) -> build.Signed:
    """Write a good bundle to the media `names`."""
    laid_out = tiny.lay_out((1, 1, 1) if len(names) == 1 else (1, 2, 2))
    keyids = [KEYS[name].public.keyid for name in signers]
    manifest = manifest_of(tiny.content, laid_out, keyids, sequence=sequence, previous=previous)
    signed = sign(manifest, [KEYS[name] for name in signers])
    with tempfile.TemporaryDirectory() as folder:
        out = [Path(folder, str(number)) for number in range(len(names))]
        for path in out:
            path.mkdir()
        for made, name in zip(build.write(signed, tiny.store, out, no_progress), names, strict=True):
            shutil.copytree(made, HERE / "bundles" / name)
    return signed


def save(cases: list[Case]) -> None:
    listed = []
    for case in cases:
        for name, data in case.files.items():
            path = HERE / "changes" / case.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        listed.append(
            {
                "name": case.name,
                "folders": case.folders,
                "changes": f"changes/{case.name}" if case.files else None,
                "remove": case.remove,
                "now": case.now,
                "exit": case.exit,
                "reason": case.reason,
            }
        )
    (HERE / "vectors.json").write_text(json.dumps(listed, indent=1) + "\n")


def main() -> None:
    """Make everything anew."""
    for name in ("keys", "trust", "bundles", "changes"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    (HERE / "keys").mkdir()
    make_keys()
    make_trust()
    tiny = Tiny()
    first = write_bundle(tiny, [ONE], ["engineer"], 1, None)
    previous = "sha256:" + hashlib.sha256(first.sums).hexdigest()
    write_bundle(tiny, MEDIA, ["engineer", "reviewer"], 2, previous)
    cases = Cases(first)
    save([*good(cases), *damaged(cases), *untrusted(cases), *malformed(cases)])


if __name__ == "__main__":
    main()
