"""Ceilings of the store: the one writer, the database, blobs that arrive, the disk's reserve."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

# The one writer and the database.

WRITE_GROUP: Final = 256
"""Writes in one commit: one fsync for all of them, and no sender waits behind more than these."""

WRITE_FRAME: Final = 64 * MIB
"""One write or one result on the writer's socket; the largest carries a bundle's manifest and its report."""

WRITER_WAIT: Final = 10.0
"""How long a sender waits for a control process that restarts before it gives up with one clear line."""

SQLITE_BUSY: Final = 5.0
"""How long a reader waits for a checkpoint's short exclusive lock."""

WRITER_PAGES: Final = 32 * MIB
"""Of the database's pages, what the one writer keeps: those that a release of some thousand artifacts changes. With
SQLite's own 2 MiB it writes and reads them again and again, and other writers wait twice as long."""

CHECK_PAGES: Final = 32 * MIB
"""Of what the check of what is shown has explained, what it keeps in memory; the rest is in a file of its own. With one
manifest of 64 MiB, what is decoded of it, and the program itself, the check stays below 300 MiB."""

GATE_WAIT: Final = 0.5
"""How long pushes wait for a collection that waits for one of them: a large one is synced for longer than that."""

TURN_WAIT: Final = 10.0
"""Seconds that a release or a withdrawal waits for acts of clients that were recorded and are not done: a thousand
times as long as one takes. Then it goes on, since a worker stands still; the record may then be in another order."""

TURN_LOOK: Final = 0.002
"""Seconds between two looks whether an act's turn has come; a transaction takes about as long."""

METADATA_LOOK: Final = 5.0
"""Seconds after which a writer that has nothing to write looks whether the database's files are in their place; it
also looks before each group of writes."""

SERIALIZATION_ROUNDS: Final = 20
"""Times that a group of writes is applied which meets another writer's, before it fails; PostgreSQL alone."""

POSTGRES_CONNECT: Final = 5
"""Seconds for a connection to a PostgreSQL server."""

POSTGRES_SILENCE: Final = 2.0
POSTGRES_PROBE: Final = 2
"""Seconds that a server is waited for until it is asked by another connection whether it is there, and seconds that
this one gets."""

POSTGRES_SILENCE_LOOP: Final = 0.5
POSTGRES_LOOP: Final = 10.0
"""Seconds that a statement holds an event loop at least where the server is not heard any more, and at most."""

POSTGRES_PREPARED: Final = 500
"""Statements that a connection to PostgreSQL keeps prepared: the store has fewer than 700, few of them hot."""

POSTGRES_HEARD: Final = 1.0
"""Seconds for which what was heard of a PostgreSQL server counts, from the moment it was asked for."""

POSTGRES_AGAIN: Final = 2.0
"""Seconds after which the control process's own work goes on that met a server which was away."""

POSTGRES_TURN: Final = 5.0
"""Seconds that a writer waits for the one before it to let go of the database."""

MOVED_PAGES: Final = 64 * MIB
"""Of the pages of a database that a move fills, what is kept in memory."""

MOVE_ROUNDS: Final = 5
"""Rounds in which a move copies what changed during the one before, until it stops the writes."""

MOVE_FEW: Final = 10_000
"""Rows that a round may have had to copy for the writes to be stopped after it: they are copied again within that."""

MOVE_DIFFERENCES: Final = 200_000
"""Rows of one table that may differ from one round to the next, each held in memory; with more the table is copied
anew."""

MOVE_HOLD: Final = 30.0
"""Seconds that a write waits for a move which has stopped the writes; then its sender is told to try again."""

MOVE_STOP: Final = 300.0
"""Seconds after which a move lets the writes go on that it has stopped, and has not switched."""

MOVE_BACK: Final = 60.0
"""Seconds that a station which runs gets to take up its new database, before that is said."""

METADATA_NOTE: Final = 4096
"""Bytes of the note of where the metadata is, and of its password's file."""

POSTGRES_ASKED: Final = 10.0
"""Seconds for which a server that went during a commit is asked what became of it."""

S3_SINGLE_PUT: Final = 5 * 1024 * MIB
"""Bytes that one PUT takes, and one copy on the server's side: S3's own ceiling. A larger blob goes in parts."""

S3_PARTS: Final = 10_000
"""Parts of one object: S3's own ceiling."""

S3_PART: Final = 64 * MIB
"""Bytes of a part, unless a larger one is needed for the object to have `S3_PARTS` at most."""

S3_PARTS_AT_ONCE: Final = 2
"""Parts of one object under way, each in memory."""

S3_PIECE: Final = MIB
"""Bytes of an object that are read at a time. A reader that goes forward by less reads on, without a request."""

S3_CONNECT: Final = 5
"""Seconds for a connection to an S3 server."""

S3_SILENCE: Final = 30
"""Seconds that an S3 server has to answer a PUT, beside the time that its bytes take."""

S3_READING: Final = 10
"""Seconds for which an S3 server may send nothing that a client waits for, and within which that is asked for again."""

S3_REST: Final = 1.0
"""Seconds for which a server that did not answer is asked nothing that a client waits for."""

S3_COUNTED: Final = 60.0
"""Seconds for which what lies in a bucket's graveyard counts as known: counting it is a request for each thousand."""

S3_SLOWEST: Final = MIB
"""Bytes a second below which a PUT is given up, beside `S3_SILENCE` for the answer."""

S3_RETRIES: Final = 4
"""Times that a request is sent again which a server answered with 5xx, or that no server took; within `S3_PATIENCE`."""

S3_PATIENCE: Final = 30
"""Seconds within which a request may be sent again."""

S3_PAUSES: Final = (0.1, 5.0)
"""Seconds before the first further attempt, and at most before a later one; each is twice the one before."""

S3_LOOKS: Final = 6
"""Times that what was put is looked for where the bucket does not show it, with `S3_PAUSES` between them: about three
seconds. Amazon's S3 shows it at once."""

S3_CA: Final = MIB
"""Bytes of the file with the certificates that a bucket's server is trusted by."""

S3_NOTE: Final = 4096
"""Bytes of a small object of the layout: the mark, and the note of a blob in parts."""

LEFT_TOLD: Final = 10_000
"""Links that stay after a withdrawal, of those that one event names: 1 MB of the 8 MiB of a line of the audit log. What
is more goes into further events."""

# What is remembered of rows, and what a check of them names.

METADATA_NAMED: Final = 100
METADATA_TEXT: Final = 300
"""Findings of a check of the metadata, and characters of each: with more than that a backup is put back."""

METADATA_ROWS: Final = 10_000
"""Damaged rows of tags, and of links, that a check holds to put them right, about 300 bytes each."""

ROWS_KNOWN: Final = 10_000
ROW_KNOWN: Final = 1 * KIB
"""Rows that a reader remembers to be right, about 1 KiB each, and characters of annotations in one; a forgotten one is
compared with its checksum again."""

# Blobs that arrive.

HASH_INLINE: Final = 128 * KIB
"""Below this, handing bytes to a hashing thread costs more than hashing them."""

UPLOAD_TALLIES: Final = 10_000
"""Half-hashed uploads a worker remembers (about 1 KiB each); one forgotten is read again, once, when it ends."""

PARTIAL_LEAST: Final = MIB
"""Blobs below this size are kept in memory until they are whole; larger ones go on where a kill cut them off."""

PARTIAL_EXPIRES: Final = 3 * 24 * 60 * 60.0
"""Seconds after which what was fetched of a blob is given up: a weekend."""

PARTIALS: Final = 200
PARTIALS_SIZE: Final = 32 * 1024 * MIB
"""Partial blobs kept between collects, and their bytes; the oldest go first."""

PARTIALS_DELIVERED: Final = 20_000
"""Notes of blobs that came whole for a repository which does not show them yet, an empty file each: a collect of 1,000
images of twenty layers that is cut off."""

# The disk's reserve.

RESERVE: Final = 16 * MIB
"""Disk kept for acts that matter when nothing else is left: some ten thousand events and what they change, and the
database's journal, which takes four mebibytes before it is written over."""

RESERVE_FILES: Final = 256
"""Inodes kept for the same: a start makes about forty files, a collection some ten."""

RESERVE_SHARE: Final = (16, 8)
"""On a small file system the reserve is one in so many of its bytes, and one in so many of its inodes."""

RESERVE_STEPS: Final = 16
RESERVE_STEP: Final = (256 * KIB, 8)
"""What is given back of it at a time is one in so many (a mebibyte and sixteen inodes of a whole one), and no fewer
bytes and inodes than a job needs to begin and end: its end, its log, an event, the metadata's journal."""

RESERVE_START: Final = 4
"""Steps that a start wants free: the journal's index, a log's segment for each process, sockets and counters."""

RESERVE_FOR_START: Final = 4
"""One in so many of the reserve is for starts alone: a station whose reserve acts have spent can still be started, and
then be freed."""

READ_ONLY: Final = 2
"""Where less is free than so many reserves, the station takes no content in: pulls and their events go on for long
before the reserve itself is needed."""

RESERVE_ROOM: Final = 3
"""The reserve is made whole again where so many times as much would stay free: more than READ_ONLY, so that a station
does not come and go."""

RESERVE_SPARE: Final = 8
"""One in so many of a step stays free where the reserve takes back what an act or a start did not use: what is written
without an event, such as how far a rereading is, and a checkpoint."""

RESERVE_LOOK: Final = 5.0
"""Seconds between two looks at it: a few system calls each."""
