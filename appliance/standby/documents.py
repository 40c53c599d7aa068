"""What a pair of stations writes for one another: small signed documents, canonical and closed.

A document stands in an envelope {"document", "keyid", "signature"}, canonical JSON; the signature is over the canonical
document. Its `type` keeps one kind from being passed off as another.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, TypeVar

import msgspec

from appliance.limits import standby as limits
from bundles.documents.audit_log import is_head
from bundles.errors import MalformedError, RefusedError
from bundles.io import strict_json
from bundles.io.times import check_time
from bundles.oci.digest import is_hex_of
from bundles.oci.reference import check_site
from bundles.signing.keys import PrivateKey, PublicKey

STATE_TYPE: Final = "application/vnd.lockgate.standby-state.v1+json"
ROLE_TYPE: Final = "application/vnd.lockgate.standby-role.v1+json"
TAKEN_TYPE: Final = "application/vnd.lockgate.standby-taken.v1+json"
PRIMARY, STANDBY, FENCED, PROMOTING, ENDING = "primary", "standby", "fenced", "promoting", "ending"
ROLES: Final = frozenset({PRIMARY, STANDBY, FENCED, PROMOTING, ENDING})
"""`promoting`: two people have said so, and its folder is being changed; `ending`: a primary that says its last."""


class StateFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the station's folder: its path there, its size in bytes, and the sha256 (hex) of each piece of it, in
    order, all of `limits.STANDBY_PIECE` bytes but the last."""

    path: str
    size: int
    pieces: list[str]


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A state of the primary. `number` counts the states of a term; `head` is its log's; `final`: it is its last word
    in this term. `lacks` are blobs that its database names and it has not (sha256:…)."""

    type: str = STATE_TYPE
    site: str
    node: str
    term: int
    number: int
    created: str
    head: str
    final: bool
    files: list[StateFile]
    lacks: list[str]


class Role(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a folder is in its pair, in its `term`. `number` and `created`: of a primary, the last state that it wrote;
    of a stand-by, the one that it holds, 0 and "" for none. `head`: the head of the log that the next state must hold;
    `final`: the state that is held is its primary's last word. `primary`: the node that wrote it. `exchange`: the
    folder. `heard`: when the other was last heard of, by this machine's clock, "" for never. `fault`: why the last look
    failed."""

    type: str = ROLE_TYPE
    site: str
    node: str
    role: str
    term: int
    number: int = 0
    head: str = ""
    final: bool = False
    created: str = ""
    primary: str = ""
    heard: str = ""
    exchange: str = ""
    fault: str = ""


class Taken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stand-by tells its primary: the state that it holds, when that was made, and why the last look failed."""

    type: str = TAKEN_TYPE
    site: str
    node: str
    term: int
    number: int
    created: str
    fault: str


Document = TypeVar("Document", State, Role, Taken)
_TYPES: Final[dict[type, str]] = {State: STATE_TYPE, Role: ROLE_TYPE, Taken: TAKEN_TYPE}


def signed(document: State | Role | Taken, key: PrivateKey) -> bytes:
    """The envelope of a document."""
    fields = msgspec.to_builtins(document)
    signature = base64.b64encode(key.sign(strict_json.canonical(fields))).decode()
    return strict_json.canonical({"document": fields, "keyid": key.public.keyid, "signature": signature})


def read(raw: bytes, kind: type[Document], key: PublicKey, site: str) -> Document:
    """The document of an envelope, of this kind, signed by this key, for this site. Raises RefusedError."""
    try:
        fields = strict_json.loads_canonical(
            raw, ceiling=limits.STANDBY_STATE, nodes=limits.STANDBY_NODES, what="a document of a stand-by"
        )
        if not isinstance(fields, dict) or set(fields) != {"document", "keyid", "signature"}:
            raise _malformed(kind, "it is none")
        signature = base64.b64decode(str(fields["signature"]), validate=True)
        if not key.verify(strict_json.canonical(fields["document"]), signature):
            raise RefusedError(
                "a document is not signed by this pair's audit key", thing=f"key {str(fields['keyid'])[:40]!r}",
                remedy="see who writes the exchange; after a new audit key, carry keys/ to the stand-by again",
                code="standby-signature",
            )  # fmt: skip
        document = msgspec.convert(fields["document"], kind, strict=True)
        _check(document, _TYPES[kind], site)
    except MalformedError as error:
        raise _malformed(kind, error.what) from None
    except (msgspec.ValidationError, binascii.Error, ValueError) as error:
        raise _malformed(kind, str(error)[:100]) from None
    return document


def _malformed(kind: type, why: str) -> RefusedError:
    return RefusedError(
        f"a malformed {kind.__name__.lower()} of a stand-by ({why})", thing="the exchange",
        remedy="both stations must be of one version; see who writes the exchange", code="standby-malformed",
    )  # fmt: skip


def _check(document: State | Role | Taken, kind: str, site: str) -> None:
    """Every rule that one document can break by itself. Raises MalformedError."""
    check_site(document.site)
    if document.type != kind:
        raise MalformedError("it is of another type")
    if document.site != site:
        raise MalformedError("it is another site's")
    if not is_node(document.node) or document.term < 1 or document.number < 0:
        raise MalformedError("its node, term or number is none")
    if isinstance(document, Role):
        if document.role not in ROLES or (document.head and not is_head(document.head)):
            raise MalformedError("its role or head is none")
        return
    if document.created or isinstance(document, State):
        check_time(document.created, "created")
    if isinstance(document, State):
        _check_state(document)


def _check_state(state: State) -> None:
    if not is_head(state.head) or state.number < 1:
        raise MalformedError("its head or number is none")
    if len({one.path for one in state.files}) != len(state.files):
        raise MalformedError("a file is named twice")
    for one in state.files:
        check_path(one.path)
        whole = -(-one.size // limits.STANDBY_PIECE)
        if one.size < 0 or len(one.pieces) != whole or not all(is_hex_of("sha256", piece) for piece in one.pieces):
            raise MalformedError("the pieces of a file are none")


def is_node(text: str) -> bool:
    """Whether a text can be a node's name: 16 hex characters."""
    return len(text) == 16 and set(text) <= set("0123456789abcdef")


FOLLOWED: Final = (
    "metadata.sqlite", "origin.json", "config.toml", "approvals.toml", "audit", "imported", "trust", "rotations",
    "image-policy", "wants",
)  # fmt: skip
"""What of a station's folder is in a state. Keys, certificates and what a machine is told for itself are not."""


def check_path(path: str) -> None:
    """A file's path in a state: relative, plain names, below what follows. Raises MalformedError."""
    parts = path.split("/")
    plain = all(part and part not in (".", "..") and part.isprintable() and "\\" not in part for part in parts)
    if not plain or parts[0] not in FOLLOWED or len(path) > limits.STANDBY_PATH or len(parts) > limits.STANDBY_DEPTH:
        raise MalformedError("a file of a state stands where none follows")
