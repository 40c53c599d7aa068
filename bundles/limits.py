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
"""Format 1: 200,000 blobs of 120 to 300 bytes each, by where they lie."""

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

SEQUENCE_STEP: Final = 1_000
"""How far one bundle may move its stream: numbers do not come back, and a bundle that voids or skips all of them would
use up the stream. A source that builds every night and signs nothing gets there after almost three years."""

VOLUMES: Final = 9_999
"""Volume names have four digits."""

MEDIA: Final = 999
DRIVES: Final = 8
"""Drives written or read at once: more than a person has hands and a small machine has ports."""

VOLUME_HEADER: Final = 64 * MIB
"""The header of a volume that is read without its manifest: 200,000 entries of some 190 bytes each, and room."""

VOLUME_HEADER_UNPACKED: Final = 8 * MIB
"""What a compressed one may unpack to. Volumes have a plain header; another program may have packed them anew."""

SEVEN_ZIP_FILES: Final = 262_144
SEVEN_ZIP_FOLDERS: Final = 65_536
SEVEN_ZIP_CODERS: Final = 8
"""Entries and folders of a 7z archive, and coders of a folder: py7zr takes some hundred bytes of memory for two bytes
of header that name one. 7-Zip chains four coders at most unless told otherwise."""

VOLUME_MINIMUM: Final = 1 * MIB
"""Smaller volumes are all header."""

JSON_DEPTH: Final = 32
TOML_DEPTH: Final = 16
"""Tables and lists in each other in a file that a person writes; the deepest of them, registries.conf, has three."""
TOML_DOTS: Final = 64
"""Dots of a line outside of texts and comments: the library takes 26 s for a key with 32,000 of them."""
"""Nesting of any JSON that comes from outside, counted before it is parsed."""

JSON_NODE: Final = 120
"""Bytes of memory that one node (a comma, colon or opening bracket outside strings) costs at most once it is decoded,
as measured with lists of empty lists, of objects of one field, of short strings, and with objects of many keys."""

JSON_MEMORY: Final = 240 * MIB
"""What JSON may take while it is decoded, its bytes and its text among it: a job stays below 300 MiB."""

# How many nodes a document of each kind may have. Real documents have at least ten bytes a node.

BUNDLE_MANIFEST_NODES: Final = 2_000_000
"""200,000 blobs of ten nodes each; decoded into structs, one costs less than `JSON_NODE`."""

BUNDLE_MANIFEST_WIDE: Final = 1 * MIB + 64 * KIB
"""Bytes of a bundle manifest that are not ASCII, and backslashes: they stand in three free texts and `extensions`."""

EXTENSIONS: Final = 1 * MIB
EXTENSIONS_NODES: Final = 50_000
"""A bundle manifest's `extensions`, the one place in it with fields of any shape; Lockgate's own take some bytes."""

MANIFEST_HEAD: Final = 64 * KIB
MANIFEST_HEAD_NODES: Final = 1_000
"""A bundle manifest's `type`, `format` and `crit`, each: they are looked at before the rest is decoded."""

OCI_MANIFEST_NODES: Final = 400_000
"""`MANIFEST_DESCRIPTORS` descriptors of twenty nodes each: a platform and two annotations."""

LAYOUT_INDEX_NODES: Final = 1_000_000
"""100,000 named manifests of ten nodes each."""

SIGNED_DOCUMENT_NODES: Final = 850_000
"""A receipt of 16 MiB lists 167,000 blobs of five nodes each."""

AUDIT_LINE_NODES: Final = 400_000
KEY_FILE_NODES: Final = 1_000
"""A trust record or a cosign key has about twenty."""

KEY_ROTATION: Final = 128 * KIB
KEY_ROTATION_KEYS: Final = 16
"""A key rotation: public keys of at most 4 KiB each (a hybrid key's two blocks, a root certificate)."""

KEY_ROTATION_NODES: Final = 1_000
KEY_ROTATION_NUMBER: Final = 999_999
KEY_ROTATION_WHY: Final = 400
"""Characters of a reason: people read it before they accept."""

KEY_ROTATIONS: Final = 64
KEY_ROTATIONS_SIZE: Final = 512 * KIB
"""Key rotations that one bundle carries, the newest: decades of one a year. A manifest's extensions are 1 MiB."""

# Image signatures: what is looked at of documents that anybody may attach to an image.

IMAGE_SIGNATURES: Final = 32
"""Signatures and attestations looked at for one image, those of its children aside; notation CVE-2023-33957: attempts
are capped. People and build systems attach some."""

IMAGE_SIGNATURE: Final = 128 * KIB
"""A simple signing payload, or a Notation envelope: eight certificates of 4 KiB in base64, and room."""

IMAGE_SIGNATURE_NODES: Final = 2_000

ATTESTATION: Final = 8 * MIB
"""A DSSE envelope or Sigstore bundle; with an image's SBOM in base64 it is some megabytes. Cosign CVE-2024-29902."""

ATTESTATION_NODES: Final = 400_000
"""Values and keys of an attestation's statement: 50 MB decoded. One of `ATTESTATION` with an SBOM has about that."""

IMAGE_SIGNATURES_SIZE: Final = 24 * MIB
"""Bytes of signatures and attestations that are read for one image: three of the largest."""

CARRIER: Final = MIB
"""The manifest of a referrer that says it brings signatures: `IMAGE_SIGNATURES` of cosign's with certificates and log
entries in their annotations are half of it."""

UNNAMED_CARRIER: Final = 64 * KIB
"""The manifest of a referrer that does not say so, and is read to see whether its layers do: one document, mostly."""

IMAGE_POLICY: Final = 256 * KIB
IMAGE_POLICY_NODES: Final = 20_000
"""The policy for images: some hundred rules with their lists."""

DSSE_SIGNATURES: Final = 8
"""Signatures in one envelope: cosign and in-toto write one a signer."""

STATEMENT_SUBJECTS: Final = 1_024
SUBJECT_DIGESTS: Final = 32
"""Subjects of an in-toto statement, and digests of one of them: a build of many platforms has some dozens."""

CERTIFICATE_CHAIN: Final = 8
"""Certificates from a signer's to the root: public ones have three or four."""

CERTIFICATES_FILE: Final = 64 * KIB
"""A file of `CERTIFICATE_CHAIN` certificates in PEM, of 4 KiB each, with the text that openssl puts beside them."""

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

AUDIT_SEGMENT: Final = 24 * MIB
"""A lane's file: a station goes on with another at 16 MiB, or with the first event beyond it."""

AUDIT_TIME_BACK: Final = 5 * 1_000_000
"""Microseconds by which an event may be older than the one before it in its lane without an event that says why: clock
daemons slew smaller corrections, and a station records a greater one (`clock.set-back`)."""

AUDIT_TIME_AWAY: Final = 60 * 1_000_000
"""Microseconds between an event's `time` and its `micros`: two readings of the clock, between which a process may have
been stopped."""

CUT_RECORD: Final = 64 * MIB
"""What a prune keeps of imports and links: 200 bytes a bundle and 75 a pushed link, some 200,000 bundles with half a
million links."""

CUSTODY_TEXT: Final = 2_000
"""Characters of one text in a custody record, a reason or a note among them."""
