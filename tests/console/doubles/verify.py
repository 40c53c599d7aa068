"""What the demo finds on its media: one bundle that is good, a copy that was changed, and a disc with none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bundles.decide.bundle import RULES, RuleVerdict
from bundles.errors import RefusedError, UsageError
from bundles.format.manifest import TYPE, Artifact, BundleManifest, Format, Tool, Volume, volume_path
from bundles.ports import Progress
from bundles.signing.trust import TrustRecord
from bundles.verifier.examine import Findings
from tests.console.doubles import data, intake
from tests.console.doubles.keyring import demo_private
from tests.console.doubles.state import DemoState

_TAMPERED: Final = "/media/usb-red"
_SIZES: Final = (4_294_967_295, 4_294_967_295, 1_812_330_415)


def findings(station: DemoState, path: str, progress: Progress) -> Findings:
    """What the demo's verification of a path finds: what was changed there is its second volume."""
    medium = next((one for one in station.carried.media if path.startswith(one.path)), None)
    if medium is None or not medium.bundles:
        found = Findings(
            site=station.site, at=station.now(), rules=tuple(RuleVerdict(rule, "not reached") for rule in RULES)
        )
        found.error = UsageError("no bundle is here", thing=path, remedy="give the folder that holds SHA256SUMS")
        return found
    named = next((one for one in medium.bundles if one in path), medium.bundles[0])
    manifest = _manifest(named)
    signer = demo_private("engineer").public
    record = TrustRecord(
        key=signer, owner="Release Engineering, alpha", purposes=("bundle",), sites=("alpha",),
        not_before="2025-01-01T00:00:00Z", not_after="2027-12-31T23:59:59Z", revoked=None,
    )  # fmt: skip
    total = sum(_SIZES)
    progress("verify", total, total)
    bad = path.startswith(_TAMPERED)
    outcomes = ["every byte is the signed one"] * len(_SIZES) if not bad else ["not read"] * len(_SIZES)
    return Findings(
        site=station.site,
        at=station.now(),
        rules=tuple(RuleVerdict(rule, "ok") for rule in RULES),
        manifest=manifest,
        digest=data.digest(named),
        signers=(record,),
        volumes=[
            (volume_path(one.index), one.medium, one.size, outcome)
            for one, outcome in zip(manifest.volumes, outcomes, strict=True)
        ],
        droppings=(Path(f"{medium.path}/System Volume Information"),) if bad else (),
        error=RefusedError(
            "a volume's bytes are not what was signed",
            thing=f"{named}/volumes/0002.7z",
            remedy="do not use this medium; ask alpha to cut it again, and keep it for examination",
        )
        if bad
        else None,
    )


def _manifest(bundle: str) -> BundleManifest:
    stream, _, number = bundle.rpartition("-")
    entry = intake.make(int(number), "released", "", stream=stream)
    carried = sorted(entry.manifest["artifacts"], key=lambda one: one["repository"])
    return BundleManifest(
        type=TYPE,
        format=Format(major=1, minor=0),
        crit=[],
        extensions={},
        id=bundle,
        stream=stream,
        sequence=int(number),
        previous=data.digest(intake.bundle_id(int(number) - 1, stream)) if int(number) > 1 else None,
        voided=[],
        created="2026-05-04T07:45:00Z",
        not_after="2026-06-04T07:45:00Z",
        purpose=entry.manifest["purpose"],
        authorisation=entry.manifest["authorisation"],
        classification=entry.manifest["classification"],
        signers=[data.KEYIDS["engineer"]],
        artifacts=[
            Artifact(
                repository=one["repository"], digest=one["digest"], mediaType=data.MANIFEST, kind=one["kind"],
                size=1_412, tags=one["tags"],
            )
            for one in carried
        ],
        blobs=[],
        requires=[],
        volumes=[
            Volume(index=index, medium=1, size=length, sha256=data.digest(f"{bundle} {index}").removeprefix("sha256:"))
            for index, length in enumerate(_SIZES, 1)
        ],
        sboms=[],
        signatures=[],
        attestations=[],
        tool=Tool(name="lockgate", version="0.1.0"),
    )  # fmt: skip
