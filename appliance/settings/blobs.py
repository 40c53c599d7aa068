"""Where the blobs are: `[blobs]` of config.toml (docs/reference/configuration.md, docs/adr/0077)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from appliance.settings.form_kinds import Form, text

_LONGEST: Final = 1000


class BlobsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: the bucket and prefix, `s3://BUCKET/PREFIX`; "": the folder `store`. `endpoint`: the server's URL.
    `region`: the bucket's. `ca`: a file of certificates (PEM) that the server's is trusted by, too."""

    url: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    ca: str = ""


def _plain(value: str) -> bool:
    return len(value) <= _LONGEST and value.isascii() and value.isprintable() and " " not in value


BLOBS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "blobs.url": Form('a bucket, as "s3://lockgate/alpha", or "" for the station\'s own folder', text(
            lambda value: value == "" or (_plain(value) and value.startswith("s3://"))
        )),
        "blobs.endpoint": Form('the server\'s address, as "https://s3.example:9000", or ""', text(
            lambda value: value == "" or (_plain(value) and value.startswith(("https://", "http://")))
        )),
        "blobs.region": Form('a region, as "us-east-1"', text(lambda value: value != "" and _plain(value))),
        "blobs.ca": Form('the whole path of a file, as "/etc/lockgate/s3-ca.pem", or ""', text(
            lambda value: value == "" or value.startswith("/")
        )),
    }
)  # fmt: skip
"""What its settings may be."""
