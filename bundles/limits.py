"""Every ceiling by name, with its reason. Sizes are bytes, times are seconds."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

CHUNK: Final = 1 * MIB
"""What is read, hashed and written at once: large enough that a hash releases the GIL for long, small enough that
two in flight are nothing beside the 300 MiB a job may hold."""

OCI_MANIFEST: Final = 4 * MIB
"""Distribution specification: a registry should accept manifests up to 4 MiB; containerd CVE-2023-25153."""

BUNDLE_MANIFEST: Final = 64 * MIB
"""Format 1: about 250,000 blobs of 250 bytes each."""

SUMS_FILE: Final = 4 * MIB
"""SHA256SUMS: a line is under 100 bytes and a bundle has at most `VOLUMES` volumes."""

SIGNATURE_FILE: Final = 16 * KIB
"""The largest signature kind (ML-DSA-87 is 4,627 bytes; CMS carries a chain)."""

RSA_BITS_LEAST: Final = 2048
RSA_BITS_MOST: Final = 8192
"""RSA keys are verified from 2,048 bits on (SP 800-131A), and not beyond what verifies in a millisecond."""

SIGNATURES: Final = 32
"""Signature files looked at in one bundle; notation CVE-2023-33957: attempts are capped."""

SILENCE_DAYS: Final = 3_660
"""Ten years: beyond it an alarm for a stream that is silent says nothing."""

SIGNED_DOCUMENT: Final = 16 * MIB
"""Receipt, approval, report, checkpoint, policy."""

MANIFEST_TEXT: Final = 4_000
"""Characters of a manifest's free text (purpose, authorisation, classification): a form's field, not a document."""

LAYOUT_INDEX: Final = BUNDLE_MANIFEST
"""index.json of a layout: an unpacked bundle's lists as much as its manifest may name."""

README_FILE: Final = 64 * KIB
SEQUENCE: Final = 999_999
"""Bundle ids have six digits."""

VOLUMES: Final = 9_999
"""Volume names have four digits."""

MEDIA: Final = 999
DRIVES: Final = 8
"""Drives written or read at once: more than a person has hands and a small machine has ports."""

VOLUME_MINIMUM: Final = 1 * MIB
"""Smaller volumes are all header."""

JSON_DEPTH: Final = 32
"""Nesting of any JSON that comes from outside, counted before it is parsed."""

INDEX_DEPTH: Final = 8
"""Index within index within index; threats: index recursion."""

CLOSURE_NODES: Final = 250_000
"""Manifests and blobs reached from one artifact."""

MANIFEST_DESCRIPTORS: Final = 20_000
"""Descriptors in one OCI manifest; 4 MiB hold about that many."""

REPOSITORY_NAME: Final = 255
"""Distribution specification, pulling manifests: many clients limit hostname plus name to 255 characters."""

TAG: Final = 128
"""Distribution specification: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`."""

KEY_FILE: Final = 64 * KIB
TRUSTED_KEYS: Final = 10_000
INTEGER: Final = 2**53 - 1
"""RFC 8785: integers that every JSON reader keeps exactly."""

AUDIT_LINE: Final = 8 * MIB
"""One event or checkpoint: the longest names every reference of a release of some ten thousand artifacts."""

CUSTODY_TEXT: Final = 2_000
"""Characters of one text in a custody record, a reason or a note among them."""
