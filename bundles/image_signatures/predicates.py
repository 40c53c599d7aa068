"""What a statement's predicate must say so that the attestation counts.

The one predicate that is read is SLSA's verification summary (slsa.dev/verification_summary, v1 and before): it may
say that a verification failed. Of every other one its type and its subject count, and its content is not looked at.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final
from urllib.parse import unquote

from bundles.image_signatures.verdict import Refusal, Subject, refused
from bundles.oci.descriptor import exact_keys, expect_object, expect_string

VERIFICATION_SUMMARY: Final = "https://slsa.dev/verification_summary/"
"""What the types of every version begin with."""
_RESULTS: Final = ("verificationResult", "verification_result")
_RESOURCES: Final = ("resourceUri", "resource_uri")
"""Fields by their names since v1, and before it."""
_KNOWN: Final = frozenset({*_RESULTS, *_RESOURCES})
_PASSED: Final = "PASSED"
_DIGEST: Final = re.compile(r"[0-9a-f]{64,}")
_ENCODED: Final = 4
"""How often a URI is decoded: a purl inside of a URL's query is encoded twice."""


def is_read(predicate_type: str) -> bool:
    """Whether the content of a predicate of this type is looked at."""
    return predicate_type.startswith(VERIFICATION_SUMMARY)


def check(predicate_type: str, predicate: Any, subject: Subject) -> None:
    """A verification summary says `PASSED`, and a digest in its resource's URI is the subject's. A URI without one
    names nothing that could be compared: then the statement's subject alone says of which image it is.

    Raises RefusedError, and MalformedError for fields of another type or in other letters.
    """
    if not is_read(predicate_type):
        return
    fields = exact_keys(expect_object(predicate, "the predicate"), _KNOWN, "the predicate")
    results = [expect_string(fields[name], name) for name in _RESULTS if name in fields]
    if not results or any(result != _PASSED for result in results):
        said = ascii(results[0])[:60] if results else "it gives none"
        raise refused(Refusal.NOT_PASSED, "the verification summary does not say PASSED", said)
    known = {
        subject.digest.hex,
        *(hashlib.new(name, subject.raw).hexdigest() for name in ("sha256", "sha384", "sha512")),
    }
    for uri in (expect_string(fields[name], name) for name in _RESOURCES if name in fields):
        if other := [found for found in _DIGEST.findall(_decoded(uri).lower()) if found not in known]:
            raise refused(Refusal.OTHER_SUBJECT, "the verification summary is of another resource", other[0][:128])


def _decoded(uri: str) -> str:
    for _ in range(_ENCODED):
        uri, before = unquote(uri), uri
        if uri == before:
            break
    return uri
