"""The station's own ceilings by name, each with its reason; the format's are in `bundles.limits`.

Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

# The one writer.

WRITE_GROUP: Final = 256
"""Writes in one commit: one fsync for all of them, and no sender waits behind more than these."""

WRITE_FRAME: Final = 64 * MIB
"""One write or one result on the writer's socket; the largest carries a bundle's manifest and its report."""

WRITER_WAIT: Final = 10.0
"""How long a sender waits for a control process that restarts before it gives up with one clear line."""

SQLITE_BUSY: Final = 5.0
"""How long a reader waits for a checkpoint's short exclusive lock."""

# Paths.

UNIX_PATH: Final = 107
"""Bytes in a sockaddr_un path, less its NUL (unix(7))."""

# Small things shared by several resources.

HASH_INLINE: Final = 128 * KIB
"""Below this, handing bytes to a hashing thread costs more than hashing them."""
