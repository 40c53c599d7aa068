"""Records are made without the cycle collector, which goes on afterwards whatever happened."""

from __future__ import annotations

import gc

import pytest

from appliance.outgoing.gc_pause import gc_paused


def test_the_collector_rests_and_goes_on() -> None:
    with gc_paused():
        assert not gc.isenabled()
        with gc_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), gc_paused():
        raise ZeroDivisionError
    assert gc.isenabled()
