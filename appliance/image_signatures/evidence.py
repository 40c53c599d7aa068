"""What is evidence: documents about another artifact, which take no signature themselves. Everything else is judged.

The one place where that is decided, by the bytes and by where a manifest stands: a release, an inspection, a list of
signatures and a test of a policy ask the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from appliance.archives.tar_fields import BLOCK, is_header
from appliance.archives.unpacking import compression_of
from bundles.errors import LockgateError
from bundles.image_signatures import notation_cose
from bundles.oci.attached_tags import is_attached
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import evidence_of
from bundles.oci.manifest import Manifest
from bundles.ports import BlobReader

_LAYERS_READ: Final = 64
"""Layers whose beginnings are read to tell evidence from an image; evidence has one or a few."""
_COSE_SIGN1: Final = b"\xd2\x84"
"""How a COSE_Sign1 begins: tag 18, and an array of four (RFC 9052, section 4.2). It is binary, and no archive."""


def is_evidence(blobs: BlobReader, manifest: Manifest, tags: Callable[[], Collection[str]]) -> bool:
    """Whether a manifest is evidence that is attached to something.

    Every type in it says one kind of evidence, its layers begin as documents, it has a subject or a tag by which things
    are attached, and no other tag. `tags` gives its tags in its repository and is asked last. A layer that cannot be
    read makes it none.
    """
    if not evidence_of(manifest):
        return False
    try:
        if not holds_documents(blobs, manifest.layers):
            return False
    except LockgateError:
        return False
    named = tags()
    return all(map(is_attached, named)) and (manifest.subject is not None or bool(named))


def is_fallback(tag: str) -> bool:
    """Whether a tag has the form of those at which an index of referrers stands."""
    return is_attached(tag) and "." not in tag


def lists_evidence(manifest: Manifest, tags: Collection[str], is_child: Callable[[Digest], bool]) -> bool:
    """Whether an index stands at fallback tags alone and lists nothing but evidence, which `is_child` says of what it
    names."""
    at_fallback = manifest.is_index and bool(tags) and all(map(is_fallback, tags))
    return at_fallback and all(is_child(one.digest) for one in manifest.manifests)


def holds_documents(blobs: BlobReader, layers: tuple[Descriptor, ...]) -> bool:
    """Whether no layer begins as an archive, or as anything but text or an envelope in COSE. Raises NotFoundError."""
    if len(layers) > _LAYERS_READ:
        return False
    for layer in layers:
        with blobs.open_blob(layer.digest) as file:
            head = file.read(BLOCK)
        is_cose = layer.media_type == notation_cose.MEDIA_TYPE and head.startswith(_COSE_SIGN1)
        if (b"\0" in head and not is_cose) or compression_of(head) or is_header(head):
            return False
    return True
