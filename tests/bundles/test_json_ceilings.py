"""What JSON would take once it is decoded is known before it is decoded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bundles import limits
from bundles.errors import MalformedError
from bundles.format import manifest_codec
from bundles.io import strict_json

HOSTILE = {
    "empty lists": b"[],",
    "empty objects": b"{},",
    "objects of one field": b'{"a":1},',
    "lists in objects": b'{"a":[]},',
    "numbers": b"300,",
    "strings": b'"ab",',
    "wide strings": '"ab\U0001f600",'.encode(),
    "wide escapes": b'"\\ud83d\\ude00",',
}
PEAK = 300 * limits.MIB


def filled(unit: bytes, size: int) -> bytes:
    return b"[" + unit * (size // len(unit)) + b"0]"


def read(raw: bytes, nodes: int) -> object:
    return strict_json.loads(raw, ceiling=1 << 30, nodes=nodes, what="document", floats=True)


def test_values_and_keys_are_counted_outside_strings_before_decoding() -> None:
    assert read(b'{"a":[1,2],"b,:[":3}', 7) == {"a": [1, 2], "b,:[": 3}
    with pytest.raises(MalformedError, match="too many values"):
        read(b'{"a":[1,2],"b,:[":3}', 5)


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_manifest_of_fifty_mebibytes_of_nothing_is_refused_before_it_is_decoded(unit: bytes) -> None:
    with pytest.raises(MalformedError):
        manifest_codec.decode(filled(unit, 51 * limits.MIB))


def test_a_long_text_with_one_wide_character_is_reckoned_at_its_width() -> None:
    raw = '"\U0001f600'.encode() + b"a" * (50 * limits.MIB) + b'"'
    with pytest.raises(MalformedError, match="too much memory"):
        read(raw, 1_000)
    with pytest.raises(MalformedError, match="too much memory"):
        read(b'"\\ud83d\\ude00' + b"a" * (50 * limits.MIB) + b'"', 1_000)


_CHILD = """
import sys
from bundles import limits
from bundles.io import strict_json
unit = bytes.fromhex(sys.argv[1])
count = min(limits.SIGNED_DOCUMENT_NODES // int(sys.argv[2]), limits.SIGNED_DOCUMENT // len(unit)) - 2
strict_json.loads(b"[" + unit * count + b"0]", ceiling=limits.SIGNED_DOCUMENT,
                  nodes=limits.SIGNED_DOCUMENT_NODES, what="it")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_signed_document_full_to_its_ceiling_stays_below_300_mib(unit: bytes) -> None:
    cost, _ = strict_json.measure(unit, nodes=100, depth=100)
    answer = subprocess.run([sys.executable, "-c", _CHILD, unit.hex(), str(cost)], capture_output=True, check=True)
    assert int(answer.stdout) * 1024 < PEAK


def test_what_a_node_costs_is_no_more_than_the_ceilings_reckon_with() -> None:
    assert limits.SIGNED_DOCUMENT_NODES * limits.JSON_NODE + 3 * limits.SIGNED_DOCUMENT < limits.JSON_MEMORY
    assert limits.OCI_MANIFEST_NODES * limits.JSON_NODE + 9 * limits.OCI_MANIFEST < limits.JSON_MEMORY
