"""Ceilings of jobs: their number, their params, their processes' memory, their ends."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

JOB_DATA: Final = 270 * MIB
"""RLIMIT_DATA of a job's process: its private writable memory. With the pages of programs and libraries, 20 to 26 MiB,
a job stays below 300 MiB whatever it reads. JSON at its ceilings takes 240 MiB beside the 22 MiB that every job has, a
layer's largest window 128 MiB; with honest content a job takes 40 to 80 MiB."""

JOB_WORDS: Final = 4 * MIB
"""What a job that met `JOB_DATA` gets beyond it, to undo what it began and to say why it ends."""

JOB_STACK: Final = MIB
"""The stack of a thread of a job or of the station. All of it counts as data, and the usual 8 MiB would be most of a
job's."""

JOB_STARVED: Final = 5.0
"""Seconds between two looks at a job's last words. One that lacked memory, and has not ended at the second look, is
killed: it undoes what it began in a fraction of a second."""

JOB_END: Final = 32 * KIB
"""Disk kept for the record of a job's end, from before it runs. Most ends have some hundred bytes."""

JOB_LAST_WORD: Final = 10.0
"""Seconds a job's process gets to end after it has said how the job ended."""

JOB_RECORD: Final = (0.1, 1.0)
"""Seconds between two attempts to record a job's end: at first, and at most."""

JOB_AGAIN: Final = 20
"""Times that a job is taken up again which the metadata was away from; then it has failed."""

JOB_TEXT: Final = 8 * KIB
"""Characters of one text among a job's parameters."""

JOB_PARAMS_SIZE: Final = 4 * MIB
"""Bytes of a job's parameters as JSON: they stand in the audit log. Ten thousand pinned references take two."""

JOBS_ACCOUNT: Final = 32
"""Jobs of one account that have not ended: more than a person follows, and a script waits for one to end."""

JOBS_LIVE: Final = 256
"""The same of all accounts together; a live job is a few KiB in memory and, waiting for a signature, a process."""

JOBS_UPKEEP: Final = 16
"""The same for gc and scrub, whoever asks for them: beside those of JOBS_LIVE, so that no client keeps them out."""
