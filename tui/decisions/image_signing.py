"""Signing an image in this console: which keys may be chosen, and how the document is handed in."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from appliance.api.signatures import Attached
from tui.decisions.signing import Offer
from tui.station.port import Station

if TYPE_CHECKING:
    from bundles.image_signatures.making import Made


async def image_keys(station: Station) -> Offer:
    """The keys by which a signature of an image counts here: pinned for images. Those that stand for the person who is
    logged in come first."""
    pinned = frozenset(key.keyid for key in await station.trust() if "image" in key.purposes and not key.revoked)
    mine = set((await station.who()).keys)
    known = [key for key in await station.keys() if key.keyid in pinned and not key.station]
    known.sort(key=lambda key: key.keyid not in mine)
    return Offer(tuple(known), pinned, "pinned for images (p on Trust), of ecdsa-p256")


async def hand_in(station: Station, repository: str, digest: str, public: str, made: Made) -> Attached:
    """Show a signature of the artifact with this digest beside it. `public` is the public half, in PEM."""
    signature = {
        "subject": digest,
        "media_type": made.media_type,
        "signature": made.signature,
        "document": base64.b64encode(made.document).decode(),
    }
    body = {"repository": repository, "public_key": public, "signatures": [signature]}
    return await station.send(Attached, "/v1/signatures", body)
