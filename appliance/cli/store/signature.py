"""`lockgate signature`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from appliance.cli.shared.context import call, json_option, show, station_option
from bundles.errors import IncompleteError, RefusedError
from bundles.io.display import safe

_MARKS: Final = {"signed": "[ok]", "through-index": "[ok]"}
_SAID: Final = {
    "refused": "no signature counts",
    "unsigned": "no signature",
    "not-read": "a signature is not whole here",
}


@click.group()
def signature() -> None:
    """Image signatures: list."""


@signature.command("list")
@click.argument("reference", metavar="REF")
@station_option
@json_option
def list_(root: Path | None, reference: str, as_json: bool) -> None:
    """Who signed an image, and each image beneath an index, by the keys and roots that are pinned here for images.

    Exit status 3 where an image has no signature that counts, 4 where one is not whole in the store.
    """
    document = call(root, lambda client: client.get("/v1/signatures", ref=reference))
    show(document, as_json, lambda: _text(document))
    wanting = [image for image in document["images"] if image["state"] not in _MARKS]
    if document["state"] == "not-read":
        raise IncompleteError(
            "a signature is not whole in the store",
            thing=reference,
            remedy="collect or push it again, or: lockgate scrub",
        )
    if wanting:
        raise RefusedError(
            f"not signed by who is pinned here for images: {len(wanting)} of {len(document['images'])}",
            thing=reference,
            remedy="where the signer is known, pin the key: lockgate key trust FILE --purpose image --owner WHO",
        )


def _text(document: dict[str, Any]) -> str:
    lines = [document["reference"]]
    for image in document["images"]:
        lines.append(" ".join(filter(None, ("  " + _MARKS.get(image["state"], "[!!]"), image["kind"], image["platform"],
                                            image["digest"]))))  # fmt: skip
        if image["state"] == "through-index":
            lines.append(f"       named by the signed index {image['through']}")
        elif image["state"] != "signed":
            lines.append(f"       {_SAID[image['state']]}")
        lines += [f"       {_line(one)}" for one in image["signatures"]]
    return "\n".join(safe(line) for line in lines)


def _line(one: dict[str, Any]) -> str:
    what = one["claim"] if one["claim"] == "signature" else f"attestation {one['predicate'] or one['predicate_type']}"
    if not one["verified"]:
        return f"[!!] {what.strip()}, {one['format']}: {one['refusal']}: {one['reason']}"
    by = f" ({one['identity']})" if one["identity"] else ""
    at = f", at {one['signed_at']}" if one["signed_at"] else ""
    built = f", built by {one['builder']}" if one["builder"] else ""
    source = f", from {', '.join(one['sources'])}" if one["sources"] else ""
    return f"{what} by {one['owner']}{by}, key {one['keyid']}, {one['format']}{at}{built}{source}"
