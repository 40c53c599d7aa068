"""Ceilings of one-way links."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

DIODES: Final = 8
"""Diodes of one config.toml."""

DIODE_ROUNDS: Final = 16
"""Rounds of one run of the sender."""

DIODE_FRESH: Final = 8
"""Rounds, over all runs, until symbols are sent that were sent before: all of these of one block are in memory."""

DIODE_SENT: Final = 256
"""Transfers of which it is kept how many rounds were sent."""

DIODE_TRANSFERS: Final = 8
"""Transfers that a diode's folder keeps unfinished; the one that nothing came for the longest goes for a new one."""

DIODE_SESSIONS: Final = 16
"""Sessions that datagrams are known of."""

DIODE_HEADS: Final = 20.0
"""Signatures of heads that are checked a second: one takes 0.1 ms, and anybody may send heads."""

DIODE_LINES: Final = 40
"""Lines about a diode that its job's log takes at once: a session of eight bundles says some twenty."""

DIODE_OPEN: Final = 4
"""Blocks of a transfer whose symbols are known in memory: those that arrive, and what was reordered around them."""

DIODE_HELD: Final = 512 * 1024
"""Bytes of a block's symbols that are in memory alone."""

DIODE_BUFFER: Final = 32 * MIB
"""Bytes that the kernel is asked to hold of what has come and was not read: one and a half seconds at 20 MB/s."""

DIODE_BUFFER_LEAST: Final = 4 * MIB
"""The buffer below which a diode's receiver loses datagrams on a busy machine."""

DIODE_QUIET: Final = 10.0
"""Seconds without a datagram after which a session is over, whatever was announced."""

DIODE_PAUSE: Final = 1.0
"""Seconds without a datagram after which a session is over whose end was announced."""

DIODE_ROOM: Final = 256 * MIB
"""Bytes that stay free on the disk of a diode's drop folder."""

DIODE_STATE: Final = MIB
"""What is kept of how a diode stands."""
