"""Public keys a station knows: of its own key folder, and pinned ones."""

from __future__ import annotations

from appliance.paths import StationPaths
from bundles import limits
from bundles.errors import UsageError
from bundles.files import read_small
from bundles.signing.keys import PublicKey
from bundles.signing.trust import TrustFolder


def find_public_key(paths: StationPaths, keyid: str) -> PublicKey:
    """The public key of that id. Raises UsageError where the station knows none."""
    for path in sorted(paths.keys.glob("*.pub.pem")):
        key = PublicKey.from_pem(read_small(path, limits.KEY_FILE))
        if key.keyid == keyid:
            return key
    record = TrustFolder.load(paths.trust).find(keyid)
    if record is None:
        raise UsageError(
            "no such key", thing=keyid, remedy="create it, or pin its public half with: lockgate key trust"
        )
    return record.key
