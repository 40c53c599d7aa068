"""Ceilings of what is sent to other systems of the site: webhooks and syslog."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB

LOG_LOOK: Final = 1.0
"""Seconds between two looks at the audit log for what came in."""

# Webhooks.

WEBHOOKS: Final = 8
"""Endpoints of a site."""

WEBHOOK_OUTBOX: Final = 10_000
"""Messages of an endpoint that wait or are dead; where so many wait, the log is read on once there is room."""

WEBHOOK_BODY: Final = 256 * KIB
WEBHOOK_AT_ONCE: Final = 8
WEBHOOK_TIMEOUT: Final = 15.0
"""Bytes of a message, above which it has no detail; messages that are sent to an endpoint at once; seconds for one."""

WEBHOOK_PAUSES: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each further attempt (Standard Webhooks 1.0); behind the last a message is dead."""

WEBHOOK_CURSOR: Final = 300.0
"""Seconds after which it is written how far an endpoint has heard the log, where nothing was for it."""

# Syslog.

SYSLOG_MESSAGE: Final = 8 * KIB
"""Octets of a syslog message, which every receiver should take (RFC 5425, section 4.3.1); of a longer event the detail
is left out."""

SYSLOG_BATCH: Final = 256 * KIB
"""Bytes of events that are read and sent before it is written how far the collector is."""

SYSLOG_TIME: Final = 30.0
SYSLOG_SETTLES: Final = 1.0
"""Seconds in which a collector takes a batch; and in which it may still refuse what a new connection began with."""

SYSLOG_PAUSES: Final = (1.0, 5.0, 15.0, 60.0)
"""Seconds before each further attempt; the last one again and again."""

SYSLOG_LATE: Final = 60.0
"""Seconds without success after which a collector is told of in the health."""

SYSLOG_LOST: Final = 24 * 60 * 60
"""Seconds for which events that a collector will never get stand in the health."""

SYSLOG_STATE: Final = 64 * KIB
"""The most that the file of how far a collector is may have."""

# The program's log.

LOG_OUTBOX: Final = 64_000_000
LOG_OUTBOX_FILE: Final = 1_000_000
"""Bytes of the program's log that wait for the collector at most, and of one file of it."""
