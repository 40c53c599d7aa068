"""The one error of a comparison."""

from __future__ import annotations


class NoVersionError(ValueError):
    """The text is no version of its ecosystem, so nothing can be said of where it stands."""
