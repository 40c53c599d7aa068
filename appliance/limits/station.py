"""Ceilings of the station's processes as a whole: sockets, log, traces, live counts, objectives, canaries."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

# Sockets and system accounts.

UNIX_PATH: Final = 107
"""Bytes in a sockaddr_un path, less its NUL (unix(7))."""

UID_MOST: Final = 2**32 - 2
"""The largest number of a system account: the one above it means none (credentials(7), chown(2))."""

# The program's log.

LOG_WINDOW: Final = 60.0
LOG_LINES: Final = 20
LOG_TRACEBACKS: Final = 5
"""Of lines of one kind within so many seconds, so many are written to the program's log, and of these so many with
their traceback: one cause that meets every request must not fill the disk."""

LOG_QUEUE: Final = 10_000
"""Lines of JSON that wait for who reads the program's log."""

LOG_AGAIN: Final = 1.0
"""Seconds until the log is written to again that could not be."""

# Traces, and what `lockgate top` shows.

LIVE_LOOK: Final = 0.5
LIVE_AWAY: Final = 15.0
"""Seconds between two looks of a worker whether somebody wants to see what it is doing (`lockgate top`), and after
which nobody does any more; what it told is as old at most."""

LIVE_NAMES: Final = 500
LIVE_REQUESTS: Final = 100
LIVE_FILE: Final = 4 * MIB
"""Accounts and repositories that a worker counts then; requests under way that it names; bytes of what it tells."""

TRACE_FILES: Final = 4
TRACE_MEGABYTES: Final = (4, 100_000)
"""Files of spans that each process has, the one that is written among them; MB of those of all processes, at least and
at most."""

TRACES_A_SECOND: Final = 100
"""Requests a second that a process records, at most: a client that asks for each of its own is no way to fill the disk,
nor to keep what is there from being read."""

TRACES_WAITING: Final = 2_000
TRACE_LINE: Final = 200
TRACE_GATHER: Final = 0.5
"""Requests whose spans wait to be written; spans of a line, after which it is written; seconds that are waited for more
of them."""

# Service level objectives, metrics and reports.

SLO_OBJECTIVES: Final = 16
"""Objectives of a site: each has some hundred series."""

SLO_TEXT: Final = 100
SLO_BURN: Final = 5.0
"""Times the rate that spends an error budget in just its time, above which somebody is to look at once."""

SLO_TAKE: Final = 60.0
SLO_KEEP: Final = 300.0
"""Seconds between two additions to the error budgets, and between two writes of their file."""

SLO_FILE: Final = 32 * MIB
"""The most that the file of error budgets may have."""

METRIC_STREAMS: Final = 200
"""Streams that metrics name, the first by their names: a source's pinned keys say which there can be."""

HEALTH_FREE: Final = (512 * MIB, 16)
"""Free bytes below which health warns: so many, or one in so many of a small file system."""

REPORT_NAMES: Final = 1_000
REPORT_FIRST: Final = 10
REPORT_INCIDENTS: Final = 50
"""Names that a report keeps counts of, of each kind, and how many of these and of incidents it tells."""

TOTALS_QUICK: Final = 0.005
"""Seconds of processor time that counting the store's blobs may take at each look at the station: the loop that answers
waits for it."""

TOTALS_SHARE: Final = 100
"""A slower count is kept for so many times as long as it took: it takes one hundredth of a processor at most."""

# Readiness, and canaries that are pulled.

READY_KEPT: Final = 1.0
"""Seconds for which one answer of /readyz is given: probes ask every second or less often, attackers without pause."""

READY_CONTROL: Final = 1.0
"""Seconds in which the control process takes a connection: it does so between two milliseconds of work."""

PROBE_TIME: Final = 30.0
PROBE_SILENCE: Final = 10.0
"""Seconds in which a canary is pulled through one door, and without a byte of it."""

PROBE_BYTES: Final = 32 * MIB
PROBE_ANSWER: Final = 64 * KIB
PROBE_CHILDREN: Final = 100
"""Bytes of a canary; of a token's or an error's answer; manifests of an index that are asked for until one is here."""

PROBE_FIRST: Final = 5.0
PROBE_THREADS: Final = 16
"""Seconds from the control process's start to the first probe, which the workers are ready by; doors at once."""

PROBE_MINUTES: Final = 24 * 60
"""The most minutes between two probes."""
