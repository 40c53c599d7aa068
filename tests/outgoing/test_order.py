"""What may be ordered: a malformed order is refused before any work, and two orders of one bundle are equal."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.outgoing.build_params import BuildOrder, PlanParams, Wanted, convert
from bundles.errors import LockgateError, UsageError

KEYID = "0123456789abcdef"
PARAMS: dict[str, Any] = {"to": "bravo", "references": ["app:1"], "out": ["/media/usb"], "sign_with": KEYID}


def read(**changes: Any) -> BuildOrder:
    return BuildOrder.read(PARAMS | changes, "alpha")


def test_an_order_names_its_stream_its_signers_and_the_largest_volume() -> None:
    order = read(cosigners=["ffffffffffffffff", "0000000000000000", KEYID], volume="40MB")
    assert order.wanted.stream == "alpha.bravo"
    assert order.signers == ("0000000000000000", KEYID, "ffffffffffffffff")
    assert order.wanted.volume == 40_000_000


def test_an_order_is_the_same_on_another_medium() -> None:
    assert read() == read(out=["/media/other"])
    assert read() != read(volume="40MB")
    assert read() != read(purpose="another")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"to": "alpha"}, "one's own site"),
        ({"to": "BRAVO"}, "malformed site name"),
        ({"references": []}, "no reference"),
        ({"references": ["app:"]}, "malformed tag"),
        ({"references": "app:1"}, "malformed parameters"),
        ({"out": []}, "no medium"),
        ({"out": ["/media/usb", "/media/../media/usb"]}, "given twice"),
        ({"out": ["usb"]}, "not absolute"),
        ({"volume": "huge"}, "not a volume size"),
        ({"volume": 10}, "out of range"),
        ({"sign_with": "engineer"}, "key id"),
        ({"cosigners": [f"{number:016x}" for number in range(40)]}, "too many signers"),
        ({"purpose": "x" * 5000}, "a text is too long"),
        ({"not_after": "tomorrow"}, "not a time"),
        ({"not_after": "2020-01-01T00:00:00Z"}, "has passed"),
        ({"since": "receipt.json"}, "no receipt's full path"),
        ({"colour": "red"}, "malformed parameters"),
    ],
)
def test_an_order_that_cannot_work_is_refused_with_its_reason(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(LockgateError, match=what):
        read(**changes)


@pytest.mark.parametrize("missing", ["to", "references", "out", "sign_with"])
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(UsageError, match=missing):
        BuildOrder.read({key: value for key, value in PARAMS.items() if key != missing}, "alpha")


def test_a_reference_named_twice_is_wanted_once() -> None:
    params = convert({"to": "bravo", "references": ["app:1", "app:2", "app:1"]}, PlanParams)
    assert [str(reference) for reference in Wanted.read(params, "alpha").references] == ["app:1", "app:2"]
