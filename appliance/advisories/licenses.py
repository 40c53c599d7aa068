"""Licenses of packages, as SBOMs name them: texts in the index, and SPDX expressions (SPDX 2.3, annex D) where a gate
asks. What is no expression is a name, which says nothing of the terms.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from appliance.advisories.packages import Package

if TYPE_CHECKING:
    from license_expression import Licensing

NAME: Final = "name:"
"""What stands before a license in a policy that is no SPDX license: `name:BSD License`, as the SBOM has it."""
TEXT: Final = 1000
"""Characters of a license in the index; expressions of real packages have under 300."""
_TEXTS: Final = 64
"""Licenses of one package that are kept; what has more says so, by one that nobody can allow."""
_NESTED: Final = 100
"""Parentheses of an expression."""
_TOO_MANY: Final = "more licenses than are read"
_NOTHING: Final = frozenset({"", "none", "noassertion"})


class Licensed(NamedTuple):
    """A package with what its SBOM says of its licenses: each text is an expression or a name, and all of them hold."""

    label: str
    version: str
    texts: tuple[str, ...]


def texts_of(found: Sequence[str]) -> tuple[str, ...]:
    """The licenses of a package as the index keeps them, within its ceilings."""
    texts = tuple(dict.fromkeys(text if len(text) <= TEXT else _TOO_MANY for text in found))
    return texts if len(texts) <= _TEXTS else (*texts[: _TEXTS - 1], _TOO_MANY)


def encode(licenses: Mapping[Package, Sequence[str]]) -> str:
    """Packages by their licenses, as JSON: [[licenses, [[label, version], …]], …]."""
    groups: dict[tuple[str, ...], dict[tuple[str, str], None]] = {}
    for package, texts in licenses.items():
        groups.setdefault(tuple(texts), {})[package.label, package.version] = None
    return json.dumps([[list(texts), [list(one) for one in packages]] for texts, packages in sorted(groups.items())])


def decode(written: str) -> tuple[Licensed, ...]:
    """As `encode` wrote it."""
    return tuple(
        Licensed(label, version, tuple(texts)) for texts, packages in json.loads(written) for label, version in packages
    )


def licenses_seal(key: bytes, image: str, sbom: str, listed: str, licenses: str) -> str:
    """The seal of a row, HMAC-SHA256 in hex: of which SBOM of which image it is, and what that lists."""
    return hmac.digest(key, msgspec.msgpack.encode(("sbom_licenses", image, sbom, listed, licenses)), "sha256").hex()


class Terms(NamedTuple):
    """Which licenses a policy lets through: SPDX ids, and names behind `name:`. `allow` empty: all but `deny`."""

    allow: frozenset[str]
    deny: frozenset[str]


def judge(licensed: Licensed, terms: Terms) -> bool | None:
    """Whether the terms of a package may be kept by what is let through; None where that is not known."""
    said = [_judge_text(text, terms) for text in licensed.texts]
    return _all(said) if said else None


@lru_cache(maxsize=4096)
def _judge_text(text: str, terms: Terms) -> bool | None:
    if text.strip().lower() in _NOTHING:
        return None
    parsed = None if text.count("(") > _NESTED else _parsed(text)
    return _judge_name(text, terms) if parsed is None else _judge_node(parsed, terms)


def _judge_node(node: Any, terms: Terms) -> bool | None:
    """Of `A OR B` one is chosen; `A AND B` and several licenses of a package hold together."""
    operator = getattr(node, "operator", "")
    if operator:
        parts = [_judge_node(one, terms) for one in node.args]
        return _any(parts) if operator.strip() == "OR" else _all(parts)
    base, extra = getattr(node, "license_symbol", None), getattr(node, "exception_symbol", None)
    if base is None or extra is None:
        return _judge_name(node.key, terms)
    whole = " ".join((base.key, "WITH", extra.key))  # an exception gives more than the license alone
    if whole in terms.allow or whole in terms.deny:
        return whole not in terms.deny
    return _judge_name(base.key, terms)


def _judge_name(name: str, terms: Terms) -> bool | None:
    is_spdx = name in spdx_ids()
    written = name if is_spdx else f"{NAME}{name}"
    if written in terms.deny:
        return False
    if written in terms.allow:
        return True
    return not terms.allow if is_spdx else None


def _all(parts: Collection[bool | None]) -> bool | None:
    return False if False in parts else None if None in parts else True


def _any(parts: Collection[bool | None]) -> bool | None:
    return True if True in parts else None if None in parts else False


@lru_cache(maxsize=1)
def _licensing() -> Licensing:
    """SPDX's list, which takes a tenth of a second to read. What stands behind `LicenseRef-` is of the document alone,
    and stands for no license of the list."""
    from license_expression import LicenseSymbol, Licensing, get_spdx_licensing

    every = [
        LicenseSymbol(
            one.key, tuple(each for each in one.aliases if not each.startswith("LicenseRef-")),
            is_exception=one.is_exception,
        )
        for one in get_spdx_licensing().known_symbols.values()
        if not one.key.startswith("LicenseRef-")
    ]  # fmt: skip
    return Licensing(every)


@lru_cache(maxsize=1)
def spdx_ids() -> frozenset[str]:
    """The licenses and exceptions of SPDX's list."""
    return frozenset(_licensing().known_symbols)


def policy_form(text: str) -> str:
    """How a policy writes a license that an SBOM calls so, that it is met by: SPDX's id, with an exception or not, or a
    name behind `name:`. "" for an expression of several."""
    parsed = _parsed(text)
    if parsed is None:
        return f"{NAME}{text}"
    if getattr(parsed, "exception_symbol", None) is not None:
        return "" if _licensing().unknown_license_keys(parsed) else str(parsed.render())
    if getattr(parsed, "operator", ""):
        return ""
    return str(parsed.key) if parsed.key in spdx_ids() else f"{NAME}{parsed.key}"


def _parsed(text: str) -> Any:
    """The expression's tree; None for what is none."""
    from boolean import ParseError
    from license_expression import ExpressionError

    try:
        return _licensing().parse(text, validate=False)
    except (ExpressionError, ParseError, RecursionError):
        return None
