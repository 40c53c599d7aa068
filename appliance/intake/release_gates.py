"""The gates of the policy, held against what a release is to show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.gates.evaluate import evaluate
from appliance.gates.facts import Line
from appliance.gates.looking import Looking
from appliance.gates.wanted import rules_of
from appliance.image_signatures.applied import load_applied
from appliance.intake.content import Checked
from appliance.intake.image_signers import Key, key_of, signable
from appliance.settings.gates import staying
from appliance.settings.image_policy import ImagePolicy
from appliance.station import Station
from bundles.errors import RefusedError
from bundles.oci.digest import Digest


def require_open(station: Station, bundle: str, every: Sequence[Checked], released: Sequence[Checked]) -> None:
    """Go on where what is to be released passes the gates that are enforced at a release. `every`: all that the bundle
    brings. Raises RefusedError naming the first artifact, gate and rule, and what would open it."""
    applied = load_applied(station.paths)
    if applied is None:
        return
    shut = [(one, line) for one, line in lines(station, applied.policy, every, released) if line.refuses]
    if not shut:
        return
    artifact, line = shut[0]
    more = f", and {len(shut) - 1} more" if len(shut) > 1 else ""
    asks = line.asks
    for way in ("--malware", "--content"):
        asks = asks.replace(f"lockgate scan REF {way}", f"lockgate intake inspect {bundle}")
    asks = asks.replace("lockgate scan REF", f"lockgate intake inspect {bundle} --scan")
    raise RefusedError(
        f"gate {line.gate} of the policy for images: {line.rule}: {line.why}{more}",
        thing=artifact.name,
        remedy=asks or "see: lockgate policy explain",
        code="policy-gate",
    )


def lines(
    station: Station, policy: ImagePolicy, every: Sequence[Checked], released: Sequence[Checked]
) -> list[tuple[Checked, Line]]:
    """Every rule of the gates at a release, about each artifact that is content: neither an index nor evidence."""
    places = {one.artifact.repository for one in released}
    gates = {place: policy.gates(place, "release") for place in places}
    if not any(gates.values()):
        return []
    named, keys = _above(every), {key_of(one) for one in released}
    looking, now = Looking(station.reader, index_key(station.paths)), clock.now()
    wanted = rules_of(policy.content_rule).wanted
    known, found = looking.knowledge, list[tuple[Checked, Line]]()
    for one in signable(station.blobs, every):
        place = one.artifact.repository
        if key_of(one) not in keys or one.kind == "index" or not gates[place]:
            continue
        also = frozenset(digest for _, digest in named[key_of(one)])
        content = looking.content(Digest.parse(one.artifact.digest), one.manifest, one.artifact.platform or "", also)
        for number, gate in gates[place]:
            said = evaluate(number, gate, place, content, known, policy.exception, now, wanted)
            found += [(one, line) for line in said]
    return found


def _above(every: Sequence[Checked]) -> dict[Key, set[Key]]:
    """The indexes that name each artifact, themselves."""
    found: dict[Key, set[Key]] = defaultdict(set)
    for one in every:
        for child in one.manifest.manifests:
            found[one.artifact.repository, str(child.digest)].add(key_of(one))
    return found


def staying_tags(station: Station, released: Sequence[Checked]) -> tuple[tuple[str, str], ...]:
    """The tags (repository, tag) that are to be set in immutable stages: where one stands already, it stays there."""
    applied = load_applied(station.paths)
    if applied is None:
        return ()
    return tuple(
        (one.artifact.repository, tag)
        for one in released
        for tag in staying(applied.policy.stage_of(one.artifact.repository), one.artifact.tags)
    )
