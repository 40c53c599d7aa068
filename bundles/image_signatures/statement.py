"""In-toto statements: what is said, and of which image (in-toto attestation framework, v1 and v0.1, statement.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bundles import limits
from bundles.image_signatures import predicates
from bundles.image_signatures.encoding import read_object
from bundles.image_signatures.provenance import Provenance, provenance_of
from bundles.image_signatures.verdict import SIGN_PREDICATE, Claim, Refusal, Subject, refused
from bundles.oci.descriptor import exact_keys, expect_object, expect_string, optional_string

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_TYPES: Final = frozenset({"https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"})
_FIELDS: Final = frozenset({"_type", "subject", "predicateType", "predicate"})
_COMPARED: Final = ("sha256", "sha384", "sha512")
"""Digests by their in-toto names (digest_set.md) that are compared with the manifest's bytes."""
_SUBJECT: Final = frozenset({"name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations"})


@dataclass(frozen=True, slots=True)
class Statement:
    """What a verified payload says of the image: what kind of claim it is, its predicate type, and its provenance."""

    claim: Claim
    predicate_type: str
    provenance: Provenance


def read(payload: bytes, subject: Subject) -> Statement:
    """What a verified payload says of `subject`.

    Raises MalformedError; RefusedError: another type of document, no subject that is the image, or too many, or a
    verification summary that does not say `PASSED` of it.
    """
    document = read_object(
        payload, _FIELDS, "the statement", ceiling=limits.ATTESTATION, nodes=limits.ATTESTATION_NODES, floats=True
    )
    kind = expect_string(document.get("_type"), "the statement's _type")
    if kind not in _TYPES:
        raise refused(Refusal.WRONG_TYPE, "the signed document is no in-toto statement", repr(kind)[:120])
    predicate = expect_string(document.get("predicateType"), "the statement's predicateType")
    _check_subjects(document.get("subject"), subject)
    predicates.check(predicate, document.get("predicate"), subject)
    claim = Claim.SIGNATURE if predicate == SIGN_PREDICATE else Claim.ATTESTATION
    return Statement(claim, predicate, provenance_of(predicate, document.get("predicate")))


def _check_subjects(listed: Any, subject: Subject) -> None:
    if not isinstance(listed, list) or not listed:
        raise refused(Refusal.OTHER_SUBJECT, "the statement names no subject")
    if len(listed) > limits.STATEMENT_SUBJECTS:
        raise refused(Refusal.TOO_MANY, "the statement names too many subjects", str(len(listed)))
    known = {name: hashlib.new(name, subject.raw).hexdigest() for name in _COMPARED}
    # Every one is looked at, so that a statement has one reading wherever the image stands in it.
    named = [_is_subject(entry, subject, known) for entry in listed]
    if not any(named):
        raise refused(Refusal.OTHER_SUBJECT, "the statement is about another image")


def _is_subject(entry: Any, subject: Subject, known: Mapping[str, str]) -> bool:
    """Whether a subject is the image: every digest that is `known` of its manifest's bytes is that one, and its media
    type where the subject gives one."""
    fields = exact_keys(expect_object(entry, "a subject"), _SUBJECT, "a subject")
    digests = expect_object(fields.get("digest"), "a subject's digest")
    if len(digests) > limits.SUBJECT_DIGESTS:
        raise refused(Refusal.TOO_MANY, "a subject has too many digests", str(len(digests)))
    if digests.get(subject.digest.algorithm) != subject.digest.hex:
        return False
    if wrong := [name for name in digests if name in known and digests[name] != known[name]]:
        raise refused(Refusal.OTHER_SUBJECT, "a subject's digests are of different images", wrong[0])
    media_type = optional_string(fields.get("mediaType"), "a subject's mediaType")
    if media_type and media_type != subject.media_type:
        raise refused(Refusal.OTHER_SUBJECT, "the statement gives the image another media type", media_type[:120])
    return True
