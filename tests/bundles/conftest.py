"""What the bundle's tests share: property tests that are the same each run, however busy the machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("lockgate", deadline=None, derandomize=True)
settings.load_profile("lockgate")
