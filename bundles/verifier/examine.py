"""Verify bundles and say everything that was found: each rule's verdict, each volume, who signed, and what is in the
way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundles import verify as checking
from bundles.decide.bundle import RULES, RuleVerdict, judge, require_all_signers
from bundles.errors import EXIT_DONE, LockgateError, to_wire
from bundles.format.manifest import BundleManifest, volume_path
from bundles.ports import Progress
from bundles.signing.trust import TrustFolder, TrustRecord

VERDICTS = {0: "ok", 1: "failed", 2: "failed", 3: "refused", 4: "incomplete"}
"""The verdict's word by exit status."""


@dataclass(slots=True)
class Findings:
    """What was found of one bundle at a time of day; `error` is what it ended with, None where all of it is good."""

    site: str
    at: str
    rules: tuple[RuleVerdict, ...] = ()
    manifest: BundleManifest | None = None
    digest: str = ""
    signers: tuple[TrustRecord, ...] = ()
    volumes: list[tuple[str, int, int, str]] = field(default_factory=list)
    droppings: tuple[Path, ...] = ()
    error: LockgateError | None = None

    @property
    def exit_status(self) -> int:
        return EXIT_DONE if self.error is None else self.error.exit_status

    @property
    def verdict(self) -> str:
        """`ok`, `refused`, `incomplete` or `failed`."""
        return VERDICTS[self.exit_status]

    def to_json(self) -> dict[str, Any]:
        """The report as plain data (docs/reference/verifier.md)."""
        manifest = self.manifest
        return {
            "verdict": self.verdict,
            "exit_status": self.exit_status,
            "id": manifest.id if manifest else None,
            "digest": self.digest or None,
            "site": self.site,
            "verified_at": self.at,
            "valid": {"from": manifest.created, "until": manifest.not_after} if manifest else None,
            "artifacts": len(manifest.artifacts) if manifest else None,
            "signers": [
                {
                    "keyid": signer.keyid,
                    "owner": signer.owner,
                    "algorithm": signer.key.algorithm,
                    "fingerprint": signer.key.fingerprint,
                    "words": signer.key.words,
                }
                for signer in self.signers
            ],
            "rules": [{"rule": one.rule, "outcome": one.outcome, "detail": one.detail} for one in self.rules],
            "volumes": [
                {"path": path, "medium": medium, "size": size, "outcome": outcome}
                for path, medium, size, outcome in self.volumes
            ],
            "droppings": [str(path) for path in self.droppings],
            "replay_checked": False,
            "error": None if self.error is None else to_wire(self.error),
        }


def examine(paths: Sequence[Path], trust: TrustFolder, now: str, progress: Progress) -> Findings:
    """Verify the bundle in `paths`, one folder a medium. Nothing is raised for a bad bundle: it is in the findings."""
    found = Findings(site=trust.site, at=now, rules=tuple(RuleVerdict(rule, "not reached") for rule in RULES))
    try:
        gathered = checking.gather(paths)
        found.droppings = gathered.droppings
        found.rules = judge(gathered.files, trust, now)
        bundle = checking.open_gathered(gathered, trust, now)
        found.manifest, found.digest = bundle.opened.manifest, str(bundle.opened.digest)
        found.signers = bundle.opened.signers
        _volumes(found, bundle, "not read")
        require_all_signers(bundle.opened)
        checking.read_all(bundle, progress)
        _volumes(found, bundle, "every byte is the signed one")
        bundle.require_volumes()
    except LockgateError as error:
        found.error = error
    return found


def _volumes(found: Findings, bundle: checking.OpenedBundle, outcome: str) -> None:
    found.volumes = [
        (
            volume_path(volume.index),
            volume.medium,
            volume.size,
            outcome if volume.index in bundle.volumes else "still to come",
        )
        for volume in bundle.opened.manifest.volumes
    ]
