"""Who may be named as a co-signer: somebody whose key is known here, so that no bundle waits for nobody's signature."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import clock
from bundles.errors import UsageError
from bundles.signing.keys import create_private
from bundles.signing.pinning import revoke_key, trust_key
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout


def test_a_co_signer_whom_nobody_pinned_is_refused_by_name_and_takes_no_number(
    outside: Outside, tmp_path: Path, layout: Layout
) -> None:
    layout.tag("1", layout.artifact({"a": b"one"}))
    (reference,) = outside.collect_layout(layout.folder)
    trust, second = outside.station.paths.trust, create_private().public
    medium = tmp_path / "medium"
    medium.mkdir()
    with pytest.raises(UsageError, match="nobody has pinned") as refused:
        outside.build(medium, reference, cosigners=[second.keyid])
    assert refused.value.thing == second.keyid
    assert "lockgate key trust" in refused.value.remedy
    assert outside.bundles() == {}
    trust_key(trust, second, purpose="bundle", owner="Second", sites=["alpha"])
    assert outside.build(medium, reference, cosigners=[second.keyid])["missing_signers"] == [second.keyid]
    revoke_key(trust, second.keyid, why="lost", at=clock.now())
    with pytest.raises(UsageError, match="revoked"):
        outside.build(medium, reference, cosigners=[second.keyid])
