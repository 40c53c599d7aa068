"""Exports of an inside station that released a bundle, for tests of what verifies them."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance import clock
from appliance.audit import export as audit_export
from appliance.custody.record import signed_documents
from appliance.store.reads.intake import find_entry
from bundles import build
from bundles.ports import no_progress
from bundles.signing import signature_files
from bundles.signing.keys import PrivateKey, load_private
from bundles.signing.rotation import Rotation
from tests.bundles.small import MemoryStore, content_of, file_artifact, manifest_of, sign
from tests.intake.inside import Inside, name_of

SCRIPT = Path(audit_export.__file__).with_name(audit_export.SCRIPT)


@dataclass(frozen=True)
class Exported:
    """An export, the station's audit key (public file and private key), and the digest of the one bundle."""

    folder: Path
    pem: Path
    key: PrivateKey
    digest: str

    def resign(self) -> None:
        """SHA256SUMS anew over what is there now, signed by the audit key: what whoever holds that key can do."""
        for old in self.folder.glob("SHA256SUMS*"):
            old.unlink()
        files = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
        sums = "".join(f"{hashlib.sha256((self.folder / name).read_bytes()).hexdigest()}  {name}\n" for name in files)
        (self.folder / "SHA256SUMS").write_text(sums)
        made = signature_files.files_of("SHA256SUMS", self.key.public.keyid, self.key.sign(sums.encode()))
        for name, signature in made.items():
            (self.folder / name).write_bytes(signature)


def ssh_key(folder: Path) -> PrivateKey:
    """A new Ed25519 key of OpenSSH's."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "ssh"], check=True)
    return load_private(folder / "ssh", None)


def released(root: Path, signers: Sequence[PrivateKey], officers: Sequence[PrivateKey]) -> Inside:
    """An open station of folder `root`/bravo that released one bundle; close it."""
    station = Inside(root / "bravo", open_=False)
    store = MemoryStore()
    content = content_of(store, [file_artifact(store, b"hello\n")])
    laid_out = build.lay_out(content, build.plan_volumes(content, 2_000_000, [None]), store, no_progress)
    times = {"created": clock.now(), "not_after": clock.after(24 * 3600)}
    manifest = manifest_of(content, laid_out, sorted(key.public.keyid for key in signers), **times)
    signed = sign(manifest, signers)
    signed.signatures.clear()
    for key in signers:
        signed.signatures.update(signature_files.files_of("SHA256SUMS", key.public.keyid, key.sign(signed.sums)))
        station.trust(key.public, owner=f"Builder {key.public.keyid[:4]}")
    (root / "carried").mkdir()
    station.bring(build.write(signed, store, [root / "carried"], no_progress)[0])
    for number, key in enumerate(officers, 1):
        owner = f"Officer {number}"
        station.trust(key.public, "release", owner)
        station.decide(name_of(), key)
    station.release(name_of())
    return station


def export(station: Inside, out: Path) -> Exported:
    """An export as `lockgate audit export` makes it."""
    paths = station.station.paths
    documents = signed_documents(station.station.reader, station.station.trust())
    audit_export.export(paths, out, documents, site="bravo", at=clock.now())
    digest = find_entry(station.station.reader, name_of()).digest
    return Exported(out, paths.keys / "audit.pub.pem", load_private(paths.keys / "audit.pem", None), digest)


def make_export(root: Path, signers: Sequence[PrivateKey], officers: Sequence[PrivateKey], audit: str = "") -> Exported:
    """An export of a station that released one bundle; `audit` is the algorithm that its audit key is rotated to."""
    with released(root, signers, officers) as station:
        if audit:
            Rotation.prepare(station.station.paths.keys, "audit", audit).carry_out(None)
        return export(station, root / "out")
