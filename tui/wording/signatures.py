"""Who signed an image, in lines: the verdict first, then by which pinned key, or why a signature does not count."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from appliance.api.signatures import ImageSignature, Signatures, SignedImage
from bundles.io.display import safe
from bundles.signing.fingerprint_words import spoken
from tui.terminal.texts import moment
from tui.widgets.rows import Span

_STATES: Final = {
    "signed": ("ok", "[ok] signed"),
    "through-index": ("ok", "[ok] signed through the index that names it"),
    "refused": ("bad", "[!!] no signature counts"),
    "unsigned": ("wait", "[--] no signature"),
    "not-read": ("need", "[!!] its signatures were not all read"),
}
"""By the station's word for what an image's signatures come to: the role, and what is said."""


def verdict(state: str) -> Span:
    """What the signatures of an image, or of all images of a reference, come to."""
    role, text = _STATES.get(state, ("need", f"[!!] {safe(state)}"))
    return text, role


def lines(found: Signatures, mine: Collection[str] = ()) -> list[list[Span]]:
    """Each image with its signatures beneath it; `mine` are ids of keys that stand for who reads."""
    rows: list[list[Span]] = []
    for image in found.images:
        platform = f" {safe(image.platform)}" if image.platform else ""
        rows.append([(f"{safe(image.kind)}{platform} ", "title"), (safe(image.digest), "plain")])
        rows.append([("  ", "plain"), verdict(image.state), (_through(image), "plain")])
        for one in image.signatures:
            rows += _signature(one, mine)
    return rows


def _through(image: SignedImage) -> str:
    return f" {safe(image.through)}" if image.through else ""


def _signature(one: ImageSignature, mine: Collection[str]) -> list[list[Span]]:
    what = f"attests {safe(one.predicate or one.predicate_type)}" if one.claim == "attestation" else "signs it"
    form = f"({safe(one.format)})"
    if not one.verified:
        whose = f" of {safe(one.owner)}" if one.owner else ""
        return [
            [(f"  [!!] a {safe(one.claim)}{whose} that does not count {form}", "bad")],
            [(f"       {safe(one.reason)} ({safe(one.refusal)})", "plain")],
        ]
    yours = ", yours" if one.keyid in mine else ""
    rows: list[list[Span]] = [[(f"  [ok] {safe(one.owner)}{yours} {what} {form}", "ok")]]
    if one.identity:
        rows.append([(f"       certificate {safe(one.identity)}", "plain")])
    if one.signed_at:
        rows.append([(f"       says it was signed {moment(one.signed_at)}", "plain")])
    rows += [[(f"       {safe(name)} = {safe(value)}", "plain")] for name, value in one.annotations.items()]
    rows.append([(f"       key {safe(one.keyid)}", "plain")])
    return rows + _words(one.fingerprint)


def _words(fingerprint: str) -> list[list[Span]]:
    """A fingerprint as it is read out, two groups a row, so that none is wrapped on 80 columns."""
    groups = spoken(fingerprint).split(", ") if fingerprint else []
    rows = [", ".join(groups[at : at + 2]) for at in range(0, len(groups), 2)]
    return [[(f"       {'' if at else 'words':5} {row}", "plain")] for at, row in enumerate(rows)]
