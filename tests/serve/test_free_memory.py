"""What a worker freed goes back to the system (malloc_trim(3))."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from appliance.serve.free_memory import give_back

_FREED_BETWEEN_KEPT = """
from pathlib import Path
from appliance.serve.free_memory import give_back

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

pieces = [b"x" * 50_000 for _ in range(2_000)]
kept = pieces[::10]
del pieces
before = held()
assert give_back()
print(before - held())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_pages_between_what_is_kept_are_given_back() -> None:
    ended = subprocess.run([sys.executable, "-c", _FREED_BETWEEN_KEPT], capture_output=True, text=True, check=True)
    assert int(ended.stdout) > 60_000  # KiB of the 90,000 that were freed


def test_a_library_that_cannot_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not give_back()
