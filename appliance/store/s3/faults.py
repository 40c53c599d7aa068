"""What an S3 server's answer means, in one line with a remedy. Pure: the library's texts in, errors of the store out.

A server's words are untrusted: of its answer the status and its code are taken, letters alone, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from appliance.store.presence import StoreAwayError
from appliance.store.reading import OtherBytesError
from appliance.store.s3.place import S3Place
from bundles.errors import FailedError, NoSpaceError
from bundles.oci.digest import Digest

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_READ: Final = 8192
"""Characters of the library's text that are looked at: what stands in it first is the request and the answer."""


class S3Error(FailedError):
    """The bucket did not do what was asked; `code` says why."""

    kind_code = "s3-failed"


class S3AwayError(S3Error, StoreAwayError):
    """The bucket is not there, or not the station's: nothing is known about any blob, and nothing may be written."""

    kind_code = "s3-away"


class S3LostError(S3Error, StoreAwayError):
    """No answer came, or a server's fault for one: what was asked may have been done all the same."""

    kind_code = "s3-unreachable"


class S3FullError(NoSpaceError):
    """The bucket takes no more bytes."""

    kind_code = "s3-full"


class S3DamagedError(S3Error, OtherBytesError):
    """The bucket gives other bytes for a blob than its digest's."""

    kind_code = "s3-damaged"

    def __init__(self, digest: Digest, place: S3Place, found: str) -> None:
        self.digest = digest
        super().__init__(
            "the bucket gives other bytes than the blob's", thing=f"{digest} ({place.url}: {found})",
            remedy="push or import it again, and find out who else writes to the bucket",
        )  # fmt: skip


def not_shown(digest: Digest, place: S3Place) -> S3Error:
    """What was put does not appear."""
    return S3Error(
        "the bucket does not show what was put", thing=f"{digest} ({place.url})",
        remedy="use a store that shows a new object at once, and push again", code="s3-not-shown",
    )  # fmt: skip


def another(place: S3Place, found: str) -> S3AwayError:
    """The bucket is not this station's."""
    why = f"its lockgate-store is that of store {found[:8]}…" if found else "its lockgate-store is missing"
    return S3AwayError(
        "the bucket is not this station's", thing=f"{place.url} ({why})",
        remedy="name the bucket and prefix that this station has written to",
    )  # fmt: skip


_CREDENTIALS: Final = ("the bucket's server does not know these credentials", "check the access key and its secret")
_BY_CODE: Final[Mapping[str, tuple[type[FailedError], str, str, str]]] = MappingProxyType(
    {
        "NoSuchBucket": (S3AwayError, "s3-no-bucket", "there is no such bucket", "make it, or correct its name"),
        "SignatureDoesNotMatch": (S3AwayError, "s3-credentials", *_CREDENTIALS),
        "InvalidAccessKeyId": (S3AwayError, "s3-credentials", *_CREDENTIALS),
        "InvalidToken": (S3AwayError, "s3-credentials", *_CREDENTIALS),
        "ExpiredToken": (S3AwayError, "s3-credentials", *_CREDENTIALS),
        "RequestTimeTooSkewed": (
            S3AwayError, "s3-clock", "the bucket's server and this machine have different clocks",
            "set both to the right time",
        ),
        "AuthorizationHeaderMalformed": (
            S3AwayError, "s3-region", "the bucket is of another region", "name the bucket's own region",
        ),
        "PermanentRedirect": (
            S3AwayError, "s3-region", "the bucket is of another region", "name the bucket's own region",
        ),
        "QuotaExceeded": (S3FullError, "s3-full", "the bucket is full", "raise its quota, or collect with lockgate gc"),
        "NotImplemented": (
            S3Error, "s3-not-known", "the bucket's server does not know what is needed",
            "use one with PUT under If-None-Match, Range and copies",
        ),
        "EntityTooLarge": (
            S3Error, "s3-too-large", "the bucket's server takes no object of this size", "raise its ceiling to 5 GiB",
        ),
    }
)  # fmt: skip
_TLS: Final = ("InvalidCertificate", "InvalidContentType", "CorruptMessage", "AlertReceived")
"""What rustls calls a certificate that it does not take, a server that speaks no TLS, and one that refuses."""
_FULL: Final = frozenset({413, 507})


def fault(text: str, place: S3Place, what: str) -> FailedError:
    """The error for a request that failed. `text` is the library's, `what` the request (`reading KEY`)."""
    text = text[:_READ]
    status, code = _found(_STATUS, text), _found(_CODE, text)
    thing = f"{place.url}, {what}" + (f" ({' '.join(filter(None, (status, code)))})" if status else "")
    if code in _BY_CODE:
        kind, error_code, sentence, remedy = _BY_CODE[code]
        return kind(sentence, thing=thing, remedy=remedy, code=error_code)
    if not status:
        return _unanswered(text, place, thing)
    if int(status) in _FULL:
        return S3FullError("the bucket is full", thing=thing, remedy="raise its quota, or collect with lockgate gc")
    if status in {"401", "403"}:
        return S3AwayError(
            "the bucket refuses this station", thing=thing, code="s3-denied",
            remedy="check the access key and its secret, and let it read, write, list and delete below the prefix",
        )  # fmt: skip
    if int(status) >= 500 or status == "429":
        return S3LostError(
            "the bucket's server is overloaded or broken", thing=thing, code="s3-busy",
            remedy="look at the server; what was not acknowledged is to be sent again",
        )  # fmt: skip
    return S3Error("the bucket's server refused a request", thing=thing, remedy="look at the server's log")


def is_no_object(text: str) -> bool:
    """Whether a 404 is about the object alone. A server that does not know the bucket or the key says 404, too."""
    return _found(_CODE, text[:_READ]) in {"NoSuchKey", ""}


def _unanswered(text: str, place: S3Place, thing: str) -> S3LostError:
    """No status came. The library tells the stage, and what TLS says against a certificate."""
    if any(word in text for word in _TLS):
        return S3LostError(
            "the bucket's server has no certificate that is trusted here", thing=f"{place.endpoint}, {thing}",
            remedy="give the CA that signed it, and see that it names this host", code="s3-tls",
        )  # fmt: skip
    if "Timeout" in text or "TimedOut" in text:
        return S3LostError(
            "the bucket's server did not answer in time", thing=f"{place.endpoint}, {thing}", code="s3-slow",
            remedy="look at the server and the network to it",
        )  # fmt: skip
    return S3LostError(
        "the bucket's server cannot be reached", thing=f"{place.endpoint}, {thing}",
        remedy="check the address, and that the server runs",
    )  # fmt: skip


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(1) if found else ""
