"""Two stations that trust one another, and the road between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.signing.keys import PrivateKey, load_private
from bundles.signing.pinning import trust_key
from tests.intake.inside import Inside
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout


class Road:
    """Site alpha outside, site bravo inside; images made for the purpose, without a scanner in the way."""

    def __init__(self, root: Path, outside: Outside, inside: Inside) -> None:
        self.root, self.outside, self.inside = root, outside, inside
        self.officer: PrivateKey = inside.officer()
        inside.trust(outside.key.public)
        receipt = load_private(inside.station.paths.keys / "receipt.pem", None)
        trust_key(outside.station.paths.trust, receipt.public, purpose="receipt", owner="Bravo", sites=["bravo"])
        self._made = 0

    def make(self, tag: str, **layers: bytes) -> str:
        """An artifact of several blobs, collected outside."""
        self._made += 1
        layout = Layout(self.root / f"layout-{self._made}" / "tools")
        layout.tag(tag, layout.artifact(layers))
        return self.outside.collect_layout(layout.folder)[0]

    def build(self, *references: str, since: str = "none") -> Path:
        self._made += 1
        medium = self.root / f"medium-{self._made}"
        medium.mkdir()
        return Path(self.outside.build(medium, *references, since=since)["path"])

    def bring(self, folder: Path) -> str:
        return str(self.inside.bring(folder)["id"])

    def release(self, folder: Path) -> str:
        """Bring a bundle in and make it visible."""
        name = self.bring(folder)
        self.inside.decide(name, self.officer)
        self.inside.release(name)
        return name

    def receipt(self, *, sequence_only: bool = False) -> Path:
        self._made += 1
        out = self.root / f"receipt-{self._made}"
        context = self.inside.context(out=str(out), **({"sequence_only": True} if sequence_only else {}))
        from appliance.intake import receipts

        receipts.run(context)
        return out

    def lose(self, digest: str) -> None:
        """The inside's store loses a blob, as a sweep of what nobody links does."""
        from bundles.oci.digest import Digest

        self.inside.station.paths.blob(Digest.parse(digest)).unlink()


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with Outside(tmp_path / "alpha") as outside, Inside(tmp_path / "bravo") as inside:
        yield Road(tmp_path, outside, inside)
