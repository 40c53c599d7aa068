"""Which format of VEX bytes are of, and what they say."""

from __future__ import annotations

from appliance.advisories.exploitation import BYTE_ORDER_MARK
from appliance.advisories.vex.csaf import read_csaf
from appliance.advisories.vex.openvex import read_openvex
from appliance.advisories.vex.statements import Document, malformed
from appliance.limits import scanning as limits
from bundles.io import strict_json


def is_vex(raw: bytes) -> bool:
    """Whether bytes look like a document of VEX: what they are is decided by `read_vex`."""
    return b'"csaf_version"' in raw or (b'"@context"' in raw and b"openvex" in raw)


def read_vex(raw: bytes) -> Document:
    """The document in these bytes. Raises MalformedError for what is none, for one that says two things at once, and
    beyond a ceiling."""
    fields = strict_json.loads(
        raw.removeprefix(BYTE_ORDER_MARK), ceiling=limits.VEX_DOCUMENT, nodes=limits.VEX_NODES, what="a VEX document",
        floats=True,
    )  # fmt: skip
    if isinstance(fields, dict) and "@context" in fields:
        return read_openvex(fields)
    if isinstance(fields, dict) and "document" in fields:
        return read_csaf(fields)
    raise malformed("neither @context nor document")
