"""Which bucket a station's blobs are in, and whose credentials it is reached with. Pure: nothing is opened here."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from bundles.errors import UsageError

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z", re.ASCII)
"""Amazon's rule for names of buckets; other stores have none that is wider where names are part of a URL."""
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}\Z", re.ASCII)
_REGION: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z", re.ASCII)
_SEGMENTS: Final = 8


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """An access key. Its secret parts are in no text of it."""

    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket and the prefix of what is the station's in it, "" for all of it.

    `endpoint` is the server's URL without a path; `ca` the certificates (PEM) that its own is trusted by beside the
    system's, b"" for the system's alone.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    ca: bytes = b""

    @property
    def url(self) -> str:
        """As a person writes it: `s3://BUCKET/PREFIX`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def is_plain(self) -> bool:
        """Whether it is reached without TLS, which only an address of this machine is."""
        return self.endpoint.startswith("http://")


def place(url: str, endpoint: str, region: str, ca: bytes = b"") -> S3Place:
    """The place that three settings name: `s3://BUCKET/PREFIX`, the server's URL, its region. Raises UsageError."""
    bucket, prefix = _bucket(url)
    if not _REGION.match(region):
        raise UsageError("no region of an S3 store", thing=repr(region), remedy="write one like us-east-1")
    return S3Place(bucket, prefix, _endpoint(endpoint), region, ca)


def _bucket(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    segments = prefix.rstrip("/").split("/") if prefix.rstrip("/") else []
    if scheme != "s3" or not _BUCKET.match(bucket) or ".." in bucket:
        raise UsageError(
            "no bucket", thing=repr(url),
            remedy="write s3://BUCKET, or s3://BUCKET/PREFIX; a bucket's name has 3 to 63 small letters, digits, '-'"
            " and '.'",
        )  # fmt: skip
    if len(segments) > _SEGMENTS or not all(map(_SEGMENT.match, segments)):
        raise UsageError(
            "no prefix of a bucket", thing=repr(url),
            remedy=f"write at most {_SEGMENTS} parts of letters, digits, '-', '_' and '.'",
        )  # fmt: skip
    return bucket, "/".join(segments)


def _endpoint(text: str) -> str:
    remedy = "write the server's address, like https://s3.example.test:9000"
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise UsageError("no address of an S3 server", thing=repr(text), remedy=remedy) from None
    if parts.username is not None or parts.password is not None:
        raise UsageError("credentials in the address of an S3 server", remedy="give them in a file of their own")
    extra = parts.path not in {"", "/"} or parts.query or parts.fragment or not text.isascii()
    if parts.scheme not in {"http", "https"} or not host or extra:
        raise UsageError("no address of an S3 server", thing=repr(text), remedy=remedy)
    if parts.scheme == "http" and not _is_own(host):
        raise UsageError(
            "an S3 server without TLS", thing=repr(text),
            remedy="write https://; http:// is for an address of this machine, such as 127.0.0.1",
        )  # fmt: skip
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port is not None else "")


def _is_own(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
