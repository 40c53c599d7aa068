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

WRITER_PAGES: Final = 32 * MIB
"""Of the database's pages, what the one writer keeps: those that a release of some thousand artifacts changes. With
SQLite's own 2 MiB it writes and reads them again and again, and other writers wait twice as long."""

CHECK_PAGES: Final = 32 * MIB
"""Of what the check of what is shown has explained, what it keeps in memory; the rest is in a file of its own. With one
manifest of 64 MiB, what is decoded of it, and the program itself, the check stays below 300 MiB."""

PLAN_PAGES: Final = 64 * MIB
"""Of the database's pages, what a plan keeps: those of a hundred thousand blobs, each asked for at random. SQLite's own
two megabytes make it read each of them over and over."""

# Paths.

UNIX_PATH: Final = 107
"""Bytes in a sockaddr_un path, less its NUL (unix(7))."""

# Jobs.

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

FORGOTTEN_LOOKED_AT: Final = 2_000
"""Of the audit log's newest events, so many are held against the database before a start, where nothing else says
whether it went back: a fraction of a second."""

LOG_WINDOW: Final = 60.0
LOG_LINES: Final = 20
LOG_TRACEBACKS: Final = 5
"""Of lines of one kind within so many seconds, so many are written to the program's log, and of these so many with
their traceback: one cause that meets every request must not fill the disk."""

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

UID_MOST: Final = 2**32 - 2
"""The largest number of a system account: the one above it means none (credentials(7), chown(2))."""

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

LOG_QUEUE: Final = 10_000
"""Lines of JSON that wait for who reads the program's log."""

LOG_AGAIN: Final = 1.0
"""Seconds until the log is written to again that could not be."""

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

LOG_LOOK: Final = 1.0
"""Seconds between two looks at the audit log for what came in."""

CONTROL_THREADS: Final = 8
"""Threads of the control process that wait for the disk or look through the database: a few requests at once, and the
upkeep beside them."""

# Small things shared by several resources.

HASH_INLINE: Final = 128 * KIB
"""Below this, handing bytes to a hashing thread costs more than hashing them."""

# Uploads to the registry.

UPLOAD_TALLIES: Final = 10_000
"""Half-hashed uploads a worker remembers (about 1 KiB each); one forgotten is read again, once, when it ends."""

UPLOAD_EXPIRES: Final = 24 * 60 * 60.0
"""An upload nobody has written to for a day is abandoned; its client starts again."""

UPLOAD_EXPIRES_FULL: Final = 600.0
"""The same where a collection runs on a station that is read-only: no upload can go on there."""

UPLOAD_SWEEP: Final = 60 * 60.0
"""How often each worker looks for abandoned uploads."""

UPLOAD_BUSY: Final = 10.0
"""How long a request waits for another that holds its session: as long as a dropped connection may go unnoticed."""

# Requests to the registry.

REGISTRY_THREADS: Final = 16
"""Threads of a worker that read, write, hash and sync; more than its cores, since most of them wait for the disk."""

BODY_IDLE: Final = 60.0
"""A client that sends nothing of its body for so long has gone (slow loris)."""

SEND_IDLE: Final = 60.0
"""A client that takes nothing of a blob, or not all of a manifest or a list, for so long has gone."""

MANIFEST_CACHE: Final = 32 * MIB
"""Manifests a worker keeps by digest; their visibility is read anew on every request."""

SMALL_BLOB_CACHE: Final = 16 * MIB
"""Bytes of small blobs that a worker keeps: a thousand configurations and more."""

KEPT_PAGES: Final = 8 * MIB
"""Bytes of lists of tags and of referrers that a worker keeps until anything is committed."""

LANE_BODY: Final = 256 * KIB
"""Bytes of a body that the pull lane writes in one piece: what a connection's buffers hold, more or less."""

SMALL_BLOB: Final = 64 * KIB
"""A blob up to this size is answered in one write; above, sendfile pays."""

PAGE: Final = 1_000
"""Names in one answer where the client asked for no number."""

PAGE_MAXIMUM: Final = 10_000
"""Names in one answer whatever the client asked for; `Link` leads on."""

REFERRERS_PAGE: Final = 1_000
REFERRERS_BYTES: Final = 4 * MIB
"""A referrers answer is an index, and clients hold indexes to the ceiling of manifests; `Link` leads on."""

PUSHED_TAGS: Final = 64
"""Tags set by one manifest push; the specification asks for at least 10."""

PUSHED_INDEXES: Final = 1_000
"""Indexes beneath a pushed index that are read to see how deep they are nested; one is a few KiB."""

MOUNT_SOURCES: Final = 100
"""Repositories looked at for a mount that names none; the client then uploads, which always works."""

# Connections to the registry.

KEEPALIVE: Final = 75.0
"""A connection without a whole request is closed after so long, from its TLS handshake on or from the answer before:
longer than the pauses inside a push or a pull. What has come of a request's head gains no time (slow loris)."""

REQUEST_HEADERS: Final = 128
"""Headers of a request; stock clients send a dozen."""

FIRST_REQUEST: Final = 10.0
"""Seconds from a connection to its first whole request's head, TLS handshake included; a form for a token takes no
longer either."""

WAITING_ORIGIN: Final = 256
"""Connections of one address (or uid) that wait, new or between requests; a site's clients behind one address fit."""

LINGER: Final = 3.0
"""How long the rest of a refused body is read away, so that its sender sees the answer."""

TLS_SHUTDOWN: Final = 3.0
"""How long a connection that is closed waits for the other side's end of TLS. What comes meanwhile is read and dropped,
so this counts to the time for which a refused body is read; uvloop's own 30 seconds are no limit."""

REQUEST_LINE: Final = 16 * KIB
"""A request's line, and each header: end-7b names up to 64 tags in its query, tokens run to a few KiB."""

READ_BUFFER: Final = 256 * KIB
"""What a connection takes in before its reader is asked to wait; large enough that few reads fill a batch."""

SHUTDOWN: Final = 10.0
"""How long a stopping worker lets requests under way end."""

# Garbage collection and scrub.

GATE_WAIT: Final = 0.5
"""How long pushes wait for a collection that waits for one of them: a large one is synced for longer than that."""

TURN_WAIT: Final = 10.0
"""Seconds that a release or a withdrawal waits for acts of clients that were recorded and are not done: a thousand
times as long as one takes. Then it goes on, since a worker stands still; the record may then be in another order."""

TURN_LOOK: Final = 0.002
"""Seconds between two looks whether an act's turn has come; a transaction takes about as long."""

GC_BATCH: Final = 256
"""Blobs taken away while pushes and imports wait; some tens of milliseconds."""

GC_SORTED: Final = 200_000
"""Names of blobs that a collection sorts at a time, of 120 bytes each."""

READ_ALL_PAGES: Final = 64 * MIB
"""Pages of the database that a collection and a scrub may keep in memory: rows are held against indexes, which lie in
another order."""

GC_PAGE: Final = 1_000
"""Rows that a collection reads, and files that it looks up, at a time: memory must not grow with the store."""

UNREFERENCED: Final = 24 * 60 * 60.0
"""A blob that no manifest of its repository names stays so long: its manifest may be on its way, as an upload may."""

GC_NAMED: Final = 1_000
"""Blobs a collection names in its result; all are counted."""

UNTAGGED_OLDER: Final = 30 * 24 * 60 * 60
UNTAGGED_OLDER_MOST: Final = 100 * 366 * 24 * 60 * 60
"""Seconds for which a manifest must have been without a tag, where a collection of these is told no other time, and at
most: a node that pulls by digest, or a way back to what a tag named before, is gone after that."""

TAGS_DELETED: Final = 200
"""Tags that one request deletes, each an event and a transaction: some seconds on a slow disk; a client goes on."""

COPY_LINKS: Final = 10_000
"""Manifests and blobs that a copy shows, each an event: 16 platforms of an image with evidence are a few hundred."""

NAMES_KNOWN: Final = 10_000
"""Manifests whose content's digests are remembered while lists are made, about 1 KiB each."""

METADATA_NAMED: Final = 100
METADATA_TEXT: Final = 300
"""Findings of a check of the metadata, and characters of each: with more than that a backup is put back."""

METADATA_ROWS: Final = 10_000
"""Damaged rows of tags, and of links, that a check holds to put them right, about 300 bytes each."""

DOUBTFUL_SUMS: Final = 2_000
"""Sums that a collection computes for a blob to know whether a damaged row may stand for it, some 0.3 microseconds
each; where it would take more the blob stays."""

FACTS_KNOWN: Final = 200_000
"""Rows of manifests that `intake check` remembers to be what their bytes say, about 60 bytes each."""

ROWS_KNOWN: Final = 10_000
ROW_KNOWN: Final = 1 * KIB
"""Rows that a reader remembers to be right, about 1 KiB each, and characters of annotations in one; a forgotten one is
compared with its checksum again."""

METADATA_FIRST: Final = 1.0
"""Seconds that a start waits for its check of the metadata: that of a small station is over by then, and nobody is
refused a deletion."""

TOMBSTONE_LIFE: Final = 90 * 24 * 60 * 60
TOMBSTONES: Final = 200_000
"""Seconds for which a link that went is remembered, and how many: a quarter, and 60 MB of the database."""

TOMBSTONES_PRUNED: Final = 20_000
"""Of those, how many are forgotten in one transaction, while other writes wait: half a second."""

TOMBSTONES_LOOK: Final = 60 * 60.0
"""Seconds between two looks for tombstones that are too old or too many: each reads all of them."""

GC_GRACE_HOURS: Final = (0, 366 * 24)
"""How long a collected blob may be told to wait; more than a year is a backup's business."""

GRAVEYARD_ROOM: Final = 1024 * MIB
GRAVEYARD_FILES: Final = 10_000
"""Bytes and inodes that are to be free: where fewer are, the graveyard is emptied, oldest first. Twice the bytes below
which health complains."""

GRAVEYARD_LOOK: Final = 60.0
"""Seconds between two looks whether a grave's time is over, or the disk needs its space."""

GRAVEYARD_NOTHING: Final = 2.0
"""Seconds for which nobody looks again whether the graveyard can give room back, where it had nothing."""

SCRUB_BATCH: Final = 256
"""Blobs read between two looks into the metadata."""

SCRUB_SAVE: Final = 5.0
"""Seconds of reading that a power cut may cost a scrub."""

REVERIFY_HOURS: Final = (1, 31 * 24)
"""Between two readings of the same blob: more than once an hour wears a disk out, and rot that is found after more than
a month is in every backup."""

REREAD_RATE: Final = 8 * MIB
"""Bytes a second that the station's own rereading reads at least: a hundredth of a core, and little of any disk. A
store that would take longer than its interval is read faster."""

REREAD_SHARE: Final = 0.8
"""Of the interval, what a pass is planned to take; the rest is room for a busy disk."""

REREAD_AFTER: Final = 120.0
"""Seconds after a start before the rereading begins: starting is busy enough."""

REREAD_LOOK: Final = 60.0
"""Seconds between two looks whether a pass is due, and of rereading that a power cut may cost."""

UNREADABLE_WAITS: Final = (0.1, 0.4, 1.0, 2.0)
"""Seconds before each further attempt to read a blob: a disk that is reset, a path that moves over, a full table of
descriptors are over in a second or two."""

UNREADABLE_IN_A_ROW: Final = 8
"""After so many unreadable blobs in a row the disk is gone, and the next ones are tried once each: a pass over a
million of them must come to its end and say so."""

UNREADABLE_NOTED: Final = 60.0
"""Seconds before a worker records again that the same blob cannot be read: each record is a write."""

UNREADABLE_NOTE: Final = 1.0
"""How long a client's answer waits for that record; without a control process there is none to wait for."""

DAMAGE_NAMED: Final = 1_000
"""Damaged blobs named in a result; a disk that lost more than that is replaced as a whole."""

VERIFIED_FILES: Final = 20_000
"""Files a worker knows to be whole, about 500 bytes each; one forgotten is hashed again as it is served."""

# Inspection reports.

BUNDLE_NAMED: Final = 2_000_000
BUNDLE_ANNOTATIONS: Final = 32 * MIB
"""What the manifests of one bundle may name, and what their annotations may hold: all of them are in memory while a
bundle is inspected or released."""

REPORT_LIST: Final = 10_000
"""Entries in one list of a report; four full lists stay below the 16 MiB of a signed document. What is left out is
counted beside it."""

CONFIG_READ: Final = MIB
"""An image's configuration is read up to here; real ones are a few KiB."""

REASON: Final = 2_000
"""Characters of the reason for a decision; it stands in the ledger and on the form that is printed of it."""

CONFIG_NODES: Final = 100_000
"""JSON values and keys in an image's configuration, which has a few hundred (bundles.limits, Nodes)."""

LAYER_ENTRIES: Final = 2_000_000
"""Entries of one layer; a whole distribution has a few hundred thousand."""

LAYER_NAME: Final = MIB
"""A name or a pax header in a layer."""

LAYER_PATH: Final = 4_096
"""Characters of a name or a link's target that is resolved, part by part: no Linux system makes a longer one (PATH_MAX,
path_resolution(7)). A longer one is a finding, and is not taken apart: that grows with the square of its length."""

ARCHIVE_ENTRIES: Final = 100_000
"""Entries of an archive that `collect` reads: three for each layer, of many images."""

LAYER_EXTENDED: Final = 8
"""Extended headers before one entry, each up to `LAYER_NAME`; tar writes three at most."""

LAYER_LEAD: Final = 64 * KIB
"""How far into a blob the first header of an archive is looked for. GNU tar skips what is no header; Go's does not."""

LAYER_RATIO: Final = 200
LAYER_FLOOR: Final = 256 * MIB
LAYER_BYTES: Final = 64 * 1024 * MIB
"""How far a layer may grow: by what real ones do tenfold, at least the floor (sparse files), never past the last."""

LAYER_WRAPPERS: Final = 3
"""Compressions around one another. Runtimes take off two at most: the copy one, the store of layers another."""

LAYER_WINDOW: Final = 128 * MIB
"""What a decoder of zstd or xz may hold: `zstd --ultra -22` and `xz -9` need 128 and 65 MiB. Beside it a job keeps
below its 300 MiB."""

LAYER_WINDOW_EACH: Final = 16 * MIB
"""A larger window than this is given to one layer at a time; what runtimes write has 8 MiB at most."""

LAYER_WINDOW_NESTED: Final = 8 * MIB
"""The same inside another compression (RFC 8878, section 3.1.1.1.2 recommends 8 MiB)."""

SEVEN_ZIP_HELD: Final = 8 * MIB
"""What is held of one entry of a 7z archive, to be looked into."""

SEVEN_ZIP_WINDOW: Final = 64 * MIB
"""What its decoder may hold: `7z -mx=9` takes 64 MiB. One archive is read at a time."""

SEVEN_ZIP_HEADER: Final = 4 * MIB
"""The end header as it is stored."""

SEVEN_ZIP_HEADER_UNPACKED: Final = 32 * MIB
"""What a compressed one may unpack to: some 200,000 entries, since each has its name in UTF-16."""

SEVEN_ZIP_LISTED: Final = 50
"""Names of one archive, and archives, that a report lists."""

SEVEN_ZIP_DEPTH: Final = 3
"""7z archives inside one another that are looked into."""

LAYER_FRAMES: Final = 16
"""Skippable frames of a layer that could hold something; zstd:chunked writes three."""

LAYER_TABLES: Final = 4
"""Tables of contents in one layer, each of which is compared with the whole archive; runtimes read one."""

LAYER_TABLE: Final = 150 * MIB
"""A table of contents, decompressed; containers/storage takes no larger one (pkg/chunked, maxTocSize). It is read
piece by piece."""

LAYER_WINDOW_TABLE: Final = 32 * MIB
"""What a decoder may hold while a table of contents is compared, when two are at work. What writes zstd:chunked in Go
(klauspost/compress) has windows of 32 MiB at most."""

LAYER_TABLE_ENTRY: Final = 256 * KIB
"""One entry of a table of contents, or one segment of tar-split; extended attributes of a file have 64 KiB each."""

LAYER_CHUNKS: Final = 100_000
"""Chunks that a table of contents lists of one file: 6 GB at the 64 KiB that are usual. They are held together, at
about 300 bytes each."""

TEXT_READ: Final = 64 * MIB
"""A document (a configuration, an SBOM, a signature) is read up to here to see that it is text."""

FINDINGS: Final = 2_000
FINDINGS_SIZE: Final = 512 * KIB
"""Findings listed for one rule, by number and by characters; ten full rules stay below the 16 MiB of a report. What
comes beyond is counted, and that it was cut is a finding that fails. Real layers have some dozens of setuid files."""

ABSOLUTE_LINKS: Final = 20_000
"""Absolute symbolic links of one archive that are remembered while it is looked through: real layers have some
hundreds, and so many take a few MiB."""

LINK_TEXT: Final = 8 * MIB
"""Characters of links' names and targets that are remembered with them: 20,000 links of 4 KiB would take 160 MiB."""

FINDING_PATH: Final = 300
"""Characters of a path or target in a finding."""

FINDINGS_KEPT: Final = 16 * MIB
"""Characters of findings that one inspection keeps for the next; the layers beyond are looked through again."""

LAYERS_TIME: Final = 1_800.0
"""All layers of a bundle; at 200 MB/s this is 360 GB. Who sends more than that to be looked at keeps people waiting."""

ADMISSION_REVIEW: Final = 4 * MIB
"""Bytes of a review; API servers take objects of 3 MiB at most, and send an update with what was before."""

ADMISSION_NODES: Final = 200_000
"""Values and keys of a review."""

ADMISSION_IMAGE: Final = 1024
"""Characters of an image's name."""

WORKLOADS: Final = 100_000
"""Workloads of clusters that are remembered."""

ADMISSION_REMEMBERED: Final = 64
"""Images of one workload that are remembered."""

WORKLOADS_NAMED: Final = 1_000
"""Workloads that a recall names."""

ADMISSION_REACHED: Final = 4096
"""Manifests and blobs that an image is made of where a review asks for it: each is looked for among the blocks."""

ADMISSION_NAMED: Final = 20
"""Images that an event names."""

MALWARE_ANSWER: Final = 300.0
"""Seconds that an engine may take to take bytes in, or to answer; clamd gives up on a file after MaxScanTime, two
minutes."""

MALWARE_CHECK: Final = 5.0
"""The same where it is only asked whether it can be relied on, with some bytes."""

MALWARE_STATUS: Final = 1.0
"""The same where somebody waits for the station's state."""

MALWARE_CHECKED: Final = 60.0
"""Seconds for which the station's checks go by an earlier look at the engine."""

MALWARE_WAIT: Final = 5.0
"""Seconds that the station's checks wait for such a look."""

MALWARE_ANSWER_SIZE: Final = 4 * KIB
"""Of an engine's answer."""

MALWARE_STREAM: Final = 2 * 1024 * MIB - 1
"""Bytes of one file that an engine is given: clamd looks into no more, whatever it is set to."""

MALWARE_SPOOL: Final = 1024 * MIB
"""Bytes of an archive inside an archive, which is written to a file without a name to be looked into."""

MALWARE_SPOOL_MEMORY: Final = MIB
"""The same, held in memory up to here."""

MALWARE_DEPTH: Final = 6
"""Archives inside archives that are looked into: a layer, a package in it, and what that holds."""

MALWARE_ZIP_DIRECTORY: Final = 16 * MIB
"""Bytes of a ZIP archive's central directory: some hundred thousand entries."""

MALWARE_FILES: Final = 2_000_000
"""Files of one blob."""

MALWARE_LOGGED: Final = 20
"""Findings of a blob in a job's log."""

MALWARE_TIME: Final = 6 * 3600.0
"""All blobs of a bundle."""

COMMAND_PROGRAM: Final = 1024 * MIB
"""Of a program that looks for malware."""

COMMAND_ADDRESSES: Final = 16 * 1024 * MIB
COMMAND_MEMORY: Final = 2 * 1024 * MIB
"""Its address space, of which some runtimes reserve far more than they use, and its writable memory."""

COMMAND_NICE: Final = 10
"""How much it gives way to what serves."""

COMMAND_ANSWER: Final = 64 * KIB
COMMAND_NODES: Final = 100
COMMAND_WORD: Final = 200
"""Bytes of its answer, values in it, and characters of a signature's name or a reason."""

COMMAND_FAILURES: Final = 10
"""Files in a row of which it may give no verdict."""

YARA_RULES: Final = 1_000
YARA_SOURCE: Final = 32 * MIB
"""Files of YARA rules, and bytes of all of them."""

YARA_FILE: Final = 128 * MIB
"""Bytes of a file that YARA rules are held against: all of it is in memory, and twice for a moment."""

YARA_ADDRESSES: Final = 16 * 1024 * MIB
YARA_MEMORY: Final = 1024 * MIB
"""Address space of the process that does that, of which its compiler reserves a lot, and its writable memory."""

YARA_COMPILE: Final = 120.0
YARA_SECONDS: Final = 60
YARA_GRACE: Final = 30.0
"""Seconds in which rules are to compile, that they may take for a file, and that the process may take beside."""

CLAMD_CONFIGURATION: Final = 256 * KIB
"""Of clamd.conf, Debian's with all its comments is 3 KiB."""

DOCTOR_LOOK: Final = 30.0
"""Seconds in which `doctor` looks at everything; what has not answered by then was not checked."""

DOCTOR_SIGNATURES: Final = 1
"""Days before an engine's signatures are too old, from which on `doctor` says so."""

DOCTOR_ADVISORIES: Final = 30
"""Days after which `doctor` calls advisories old. How old they may be, a gate says (advisories_days)."""

DOCTOR_FOLDERS: Final = 1_000
"""Folders of keys that `doctor` looks through; a station has two."""

LISTING_TIME: Final = 30.0
"""Seconds for one layer's files to be listed to people: some gigabytes of a packed layer."""

LISTING_FILES: Final = 20_000
"""Files of a layer that are listed at once; a filter finds the others."""

LISTING_PATH: Final = 1_024
"""Characters of a path or of a link's target in a listing."""

LISTINGS: Final = 2
"""Layers that are listed at once: each keeps a processor busy."""

# Collecting and building.

REMOTE_CONNECT: Final = 20.0
REMOTE_IDLE: Final = 60.0
"""A registry that sends nothing for so long is asked again."""

REMOTE_ANSWER: Final = 120.0
"""Seconds from a request to the end of its answer's headers: headers that arrive a byte at a time never idle."""

REMOTE_DOCUMENT: Final = 300.0
"""Seconds for a manifest or a list, 4 MiB at most."""

REMOTE_STALL: Final = 60.0
REMOTE_STALL_LEAST: Final = 64 * KIB
"""A body that brings fewer bytes in so many seconds has stalled: slower than any link that a blob would come over."""

REMOTE_ATTEMPTS: Final = 5
"""With back-off doubling from half a second this rides out eight seconds; longer outages are a person's business."""

REMOTE_LOST: Final = 3
"""References in a row that a host may lose without a word before the others are not tried: each costs minutes."""

REMOTE_ADVANCE: Final = MIB
"""Bytes that an attempt must bring for the count of failures to begin anew: a body cut after each byte ends too."""

REMOTE_BACK_OFF: Final = 0.5
REMOTE_BACK_OFF_MOST: Final = 30.0
"""Seconds before the first further attempt, and the most before any, each with a jitter of half of it."""

REMOTE_RETRY_WAIT: Final = 15
"""Seconds that a registry's Retry-After is waited for within a collect; a longer one fails the reference, and is told.
"""

REMOTE_RETRY_TOTAL: Final = 300.0
"""Seconds that one collect waits for one registry's rate limit, all its references together."""

REMOTE_REQUESTS: Final = 200_000
"""Requests of one collect to one registry: 10,000 images of ten requests each, twice over."""

REMOTE_AT_ONCE: Final = 6
"""Requests to one registry under way at once, as many as skopeo and docker make for one image's layers, or twice."""

REMOTE_PULLS_SAID: Final = 10
"""Pulls left before a registry's limit from which on that is said."""

REMOTE_EVIDENCE_TTL: Final = 60 * 60
"""Seconds for which what a registry said refers to a digest is not asked again: signatures come days later, or never.
"""

REMOTE_EVIDENCE_KEPT: Final = 16 * KIB
"""Bytes of such an answer that are kept; a longer one is asked for each time."""

REMOTE_EVIDENCE_ROWS: Final = 10_000
"""Such answers that are kept; half of them go, the oldest, where there are more."""

CACHES: Final = 32
"""Pull-through caches of one station."""

CACHE_TAG_MINUTES: Final = 60 * 24 * 365
CACHE_MISSING_SECONDS: Final = 24 * 60 * 60
"""The longest for which a tag stands, and for which what an upstream does not have is not asked for again: a year, and
a day."""

CACHE_STALE_WAIT: Final = 10.0
"""Seconds that a client waits for the upstream where the station has the tag as it stood: nodes that start wait no
longer for a registry that does not answer. The upstream is waited for all the same, and the next client is told."""

CACHE_WAIT: Final = 90.0
"""As CACHE_STALE_WAIT, where the station has nothing; clients give a registry a minute or two."""

CACHE_AWAY: Final = 15.0
"""Seconds for which an upstream that failed is not asked again: each client that waited would wait for nothing."""

CACHE_LINE: Final = 60 * 60.0
"""Seconds after which an upstream's connections and tokens are begun anew: what was counted of it begins anew too."""

CACHE_SOURCES: Final = 500
"""Repositories of one upstream whose tokens are at hand."""

CACHE_AT_ONCE: Final = 256
"""Things that are fetched for all caches together, each of which has an equal part: each has a task, and a large blob
a file."""

CACHE_MEMORY: Final = 20_000
"""What is remembered of failures and of what upstreams do not have, and the sizes of blobs that manifests named."""

CACHE_PASSED: Final = 4 * MIB
"""Blobs from this size on are sent to a client while they arrive; smaller ones are there before it matters."""

CACHE_LOOK: Final = 0.1
"""Seconds between two looks how far an arriving blob is."""

CACHE_WARMED: Final = 500
"""References of one warm-up: the images of a large roll-out."""

CACHE_WARM_AT_ONCE: Final = 4
"""References, and then blobs, that a warm-up asks for at once: an upstream's other slots are for clients."""

CACHE_WARM_LOOK: Final = 0.5
"""Seconds between two looks of a warm-up whether it was cancelled."""

CACHE_ASK: Final = 4 * KIB
CACHE_ANSWER: Final = 16 * KIB
"""Bytes of a worker's question to the process that fetches, and of an answer's line."""

COLLECT_AT_ONCE: Final = 4
COLLECT_AT_ONCE_IN_ALL: Final = 8
"""References of one registry, and of one collect, under way at once: a registry that keeps everybody waiting leaves
room for others. Their manifests are in memory together, and at their ceilings eight take 160 MiB of a job's data."""

COLLECT_THREADS: Final = 8
"""Threads of a collect that hash, write and sync: more wait for the disk than use a processor."""

COLLECT_MEMORY: Final = 16 * MIB
"""Manifests kept in memory between their arrival and the check that they are wanted, of all references of a collect
together; what is thrown away for want of room is fetched again by its digest."""

COLLECT_EVIDENCE: Final = 10_000
COLLECT_EVIDENCE_SIZE: Final = 16 * MIB
"""Manifests that refer to one artifact, directly or to one another, and their bytes; also the bytes of the lists in
which one registry names them. Their annotations are in memory until the artifact is visible: without a bound an index
of 32 manifests with three attached ones each, of 4 MiB, would be more than `JOB_DATA`, and tags that name new manifests
for each new manifest go on to the depth of nesting, three times as many at each level."""

COLLECT_PART: Final = 4 * MIB
"""Blobs from this size on are shown one by one while they arrive; smaller ones are there before anybody reads it."""

COLLECT_REASON: Final = 300
"""Characters of a failed reference's reason in a job's parts: thousands may fail, and its log says all."""

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

REMOTE_RETRY_MOST: Final = 86_400
"""Seconds of a Retry-After that are believed: the windows of hubs' rate limits are six hours."""

REMOTE_TOKEN_NODES: Final = 1_000
"""JSON values and keys in what a token service answers: half a dozen fields."""

REMOTE_REFERRERS: Final = 10_000
"""Referrers of one manifest taken from a registry: its pages could go on for ever."""

REMOTE_REFERRERS_SIZE: Final = 16 * MIB
REMOTE_PAGES: Final = 1_000
REMOTE_PAGES_EMPTY: Final = 3
"""Bytes and pages of them, and pages in a row with nothing on them: a registry may filter a page to nothing."""

REMOTE_NAMES: Final = 100_000
REMOTE_NAMES_SIZE: Final = 16 * MIB
"""Tags of a repository, and the bytes of their lists, that a registry may name; the largest of hubs have 20,000."""

COLLECT_CHOSEN: Final = 2_000
"""Tags that one source of a collect may choose: each costs a request at least, and a lock of them stays readable."""

COLLECT_REPOSITORIES: Final = 500
"""Repositories that one source of a collect may cover: each is asked for its tags."""

ADOPTED_REPOSITORIES: Final = 10_000
ADOPTED_TAGS: Final = 20_000
"""Repositories and tags of another registry's folder that one source of a collect takes; patterns narrow it."""

COLLECT_PLATFORMS: Final = 32
"""Platforms that a source may name."""

COLLECT_EXCLUDED: Final = 100
"""Patterns of tags that a source excludes."""

URL_FILE: Final = 64 * 1024 * MIB
"""Bytes of a file that is fetched by its URL: a disc image of an installation has ten GiB."""

REMOTE_REDIRECTS: Final = 5
"""Redirects of one request that are followed; hubs send on once or twice."""

AUTH_FILE: Final = MIB
AUTH_NODES: Final = 20_000
"""A file of log-ins, and JSON values and keys in it: some hundred bytes a registry, and docker's other settings."""

CREDENTIAL_HELPER: Final = 60.0
"""Seconds for a credential helper: long enough for a person who unlocks a keychain."""

CREDENTIAL_ANSWER: Final = 64 * KIB
"""Bytes of its answer; cloud registries' tokens are of some KiB."""

ACCOUNTS_HANDED: Final = MIB
ACCOUNTS_HOSTS: Final = 200
"""Bytes of the accounts that come with a job, and registries among them: tokens of a few KiB each."""

UPSTREAM_FILE: Final = MIB
UPSTREAM_FILES: Final = 100
"""A file of certificates or registries.conf, and files of one folder: bundles of authorities have 250 KiB."""

UPSTREAM_MIRRORS: Final = 10
"""Mirrors of one registry: each that is away costs its time-out before the next is asked."""

UPSTREAM_CONCURRENCY: Final = 32
"""Requests to one registry at once: registries throttle clients long before."""

SYFT_VERSION: Final = 20.0
"""Seconds in which a named syft says its version: it takes half of one, and longer on a busy disk."""

SBOM_AT_ONCE: Final = 2
"""Images looked into at once: the machine's smallest size has two cores, and syft wants most of one each."""

SBOM_TIME: Final = 1800.0
"""An image of tens of gigabytes takes minutes; more is one made to keep syft busy."""

SBOM_MEMORY: Final = 8 * 1024 * MIB
"""Address space of a syft; Go reserves far more than it uses, and used are a few hundred MiB."""

SBOM_DATA: Final = 4 * 1024 * MIB
"""What a syft may write to of that: large images take one to two GiB, and the unit's MemoryMax is behind it."""

SBOM_CPU: Final = 3600
"""Seconds of processor time of a syft: two cores for as long as it may run."""

SYFT_BINARY: Final = 512 * MIB
"""A syft binary: 60 MiB in 2024, 110 MiB in 2026."""

SBOM_TOOL: Final = 100
"""Characters of the name and version of the program that made an SBOM."""

SBOM_TOOLS: Final = 256
SBOM_TOOLS_SIZE: Final = 512 * MIB
"""SBOMs, and bytes of them, that one inspection reads to say which programs made them: about two seconds."""

SBOM_RATIO: Final = 20
SBOM_FLOOR: Final = 2 * 1024 * MIB
"""What syft may keep on the disk beside an image, as often as the image's own bytes and at least the floor: it unpacks
layers, which real ones make three times as large."""

SBOM_DOCUMENT: Final = 64 * MIB
"""One SBOM: about 20,000 components. Larger ones could not be shown either."""

SBOM_NODES: Final = 1_000_000
"""JSON values and keys of an SBOM that is looked into: 20,000 components of fifty each."""

SBOM_DECODED: Final = 128 * MIB
"""What an SBOM may take while two are compared, as `JSON_MEMORY` reckons: a job may hold a bundle's manifest at the
same time. Enough for about 15,000 components as syft writes them."""

SBOM_COMPONENT: Final = 300
"""Characters of a component that are listed: a package's name and version have some dozens."""

SBOM_CHANGES: Final = 1_000
"""Components that are listed as added to one image, or removed from it; beyond that nobody reads a list."""

DIFFERENCES_SIZE: Final = 4 * MIB
"""Characters of what is listed of all moved tags together: a report has 16 MiB for all its sections."""

SIGNATURES_SIZE: Final = 2 * MIB
"""Characters of what a report lists of all images' signatures together: some ten thousand lines."""

SIGNATURES_TIME: Final = 300.0
"""Verifying the signatures of all images of a bundle. One takes about a tenth of a millisecond for each pinned key; of
an image `IMAGE_SIGNATURES` are looked at, and a bundle may name a hundred thousand images."""

SIGNATURE_TEXT: Final = 200
"""Characters of one text about a signature that came with it: a certificate's subject, a predicate type."""

SIGNED_IMAGES: Final = 256
"""Manifests of one index whose signatures are looked at together: public images have some dozens of platforms."""

SIGNATURES_READ: Final = 128 * MIB
"""Bytes of manifests and documents that are read to answer who signed one reference: JSON is parsed at some 15 MiB a
second. One image alone cannot need it: 33 carriers of `CARRIER`, 256 referrers of `UNNAMED_CARRIER`, and
`IMAGE_SIGNATURES_SIZE` of documents are 73 MiB, and four manifests at their ceiling 16."""

RELEASE_SIGNATURES_TIME: Final = 120.0
"""Seconds in which the signatures of what one release shows are verified, for the policy for images: a thousand images
of a few signatures take some. Who waits for the release is told to release less at a time."""

SIGNATURE_REFERRERS: Final = 256
"""Referrers of an image among which its signatures are looked for: SBOMs and scan results stand among them."""

PULL_POLICY_LOOK: Final = 0.5
"""Seconds between two looks of a worker at the files of the policy for images and of the pinned keys. An act on them is
noticed by the next pull (appliance.store.epoch); a file that somebody changes by hand by this look."""

PULL_FAULT_RETRY: Final = 30.0
"""Seconds until a worker tries again to read a policy for images that could not be read, though no file changed: the
whole audit log is read for it."""

PULL_VERDICT_KEPT: Final = 60.0
"""Seconds for which a verdict about a pull counts at most: certificates expire, and nothing else says so."""

PULL_OBJECTION_KEPT: Final = 5.0
"""As PULL_VERDICT_KEPT, where something is lacking: a file may be whole again, and nothing else says so."""

PULL_VERDICTS: Final = 20_000
"""Verdicts that a worker keeps; about half a kilobyte each."""

PULL_NAMED: Final = 50_000
"""Digests of which a worker remembers manifests that name them."""

PULL_NAMING: Final = 4
"""Manifests that are remembered for each of them."""

PULL_SEARCHED: Final = 20_000
"""Manifests of a repository that are read to find those that name a blob or an image; some 50 µs each."""

PULL_SEARCHED_SIZE: Final = 128 * MIB
"""Bytes of manifests that are read for that."""

PULL_JUDGED: Final = 2_000
"""Manifests that name it, and that are held against the policy until one satisfies it; one without signatures takes
some 0.3 ms."""

DIFFERENCES_TIME: Final = 600.0
"""Comparing SBOMs of all moved tags. A real one of 10 MiB takes half a second; many tags may share one made to be
slow."""

SBOM_ROOM: Final = 1024 * MIB
"""What stays free on the station's disk while syft has uncompressed layers beside it: a layer may be a bomb."""

BREAK_GLASS_ALERT: Final = 7 * 24 * 60 * 60
"""How long an opened sealed key stands among the alerts: until everybody's next shift."""

POLICY_LOOKED_AT: Final = 5.0
"""How often the control process looks at the files of the policy for images and of the pinned keys, for its health."""

RELEASES_LOOKED_AT: Final = 600.0
"""How often the station holds what it shows against its audit log: a second or so of reading for a million events."""

# The audit log.

AUDIT_LANES: Final = 99
"""Processes that write at once; each has a lane of its own and leaves it to the next when it ends."""

AUDIT_SEGMENT: Final = 16 * MIB
"""A lane's file, about 40,000 events: small enough to look through, few enough to list."""

AUDIT_FOREIGN: Final = 32 * MIB
"""Bytes in a lane that the station did not write, through which a checkpoint looks for its own events before them."""

AUDIT_CHECKPOINT: Final = 300.0
"""How often a station that does something signs where its log stands: what an intruder can cut off unseen."""

AUDIT_CLOCK_LOOK: Final = 2.0
AUDIT_CLOCK_BACK: Final = 1.0
"""Seconds between two looks at the clock, and by how many it must have gone back for a checkpoint to be signed at once:
events of several lanes within that time have no proven order."""

AUDIT_FLOOD: Final = 60.0
AUDIT_FLOOD_FREE: Final = 5
"""Of the same refusal, so many in a minute are written one by one; the others are counted."""

AUDIT_FLOOD_WIDE: Final = 60
"""Different refusals of one act that are written in a minute: of one account, or of all callers without an account
together. With 500 bytes an event, an attacker with any number of addresses gets 43 MB a day and worker at most."""

AUDIT_THING: Final = 200
"""Characters of the thing that a refusal names: a client chooses them, up to the length of a request's line."""

AUDIT_THING_DONE: Final = 600
"""The same for an act that was done: a repository (255) with a digest (135) is never cut, nor is a usual path."""

AUDIT_REASON: Final = 1_000
"""Characters of a refusal's reason."""

AUDIT_FLOODS: Final = 4_096
"""Different refusals that are counted at once, a few hundred bytes each; beyond, the oldest is written out. Callers
without an account cannot make so many: AUDIT_FLOOD_WIDE."""

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

METADATA_LOOK: Final = 5.0
"""Seconds after which a writer that has nothing to write looks whether the database's files are in their place; it
also looks before each group of writes."""

SERIALIZATION_ROUNDS: Final = 20
"""Times that a group of writes is applied which meets another writer's, before it fails; PostgreSQL alone."""

POSTGRES_CONNECT: Final = 5
"""Seconds for a connection to a PostgreSQL server."""

POSTGRES_PREPARED: Final = 500
"""Statements that a connection to PostgreSQL keeps prepared: the store has fewer than 700, few of them hot."""

POSTGRES_ASKED: Final = 10.0
"""Seconds for which a server that went during a commit is asked what became of it."""

RESERVE_LOOK: Final = 5.0
"""Seconds between two looks at it: a few system calls each."""

HEALTH_FREE: Final = (512 * MIB, 16)
"""Free bytes below which health warns: so many, or one in so many of a small file system."""

READY_KEPT: Final = 1.0
"""Seconds for which one answer of /readyz is given: probes ask every second or less often, attackers without pause."""

READY_CONTROL: Final = 1.0
"""Seconds in which the control process takes a connection: it does so between two milliseconds of work."""

REPORT_NAMES: Final = 1_000
REPORT_FIRST: Final = 10
REPORT_INCIDENTS: Final = 50
"""Names that a report keeps counts of, of each kind, and how many of these and of incidents it tells."""

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

JOB_END: Final = 32 * KIB
"""Disk kept for the record of a job's end, from before it runs. Most ends have some hundred bytes."""

JOB_LAST_WORD: Final = 10.0
"""Seconds a job's process gets to end after it has said how the job ended."""

JOB_RECORD: Final = (0.1, 1.0)
"""Seconds between two attempts to record a job's end: at first, and at most."""

AUDIT_PULLS: Final = 3_600.0
"""A client that pulls the same manifest again within an hour is counted, not written again."""

AUDIT_JOURNAL: Final = 1.0
"""Seconds between two notes of the pulls that were counted: a worker that is killed loses those since."""

PULL_JOURNAL: Final = 16 * MIB
"""Bytes of those notes, above which they begin anew with what still counts: at most 20,000 lines."""

AUDIT_COUNTED: Final = 60.0
"""Seconds between two looks for pulls that were counted, and whose hour is over."""

AUDIT_PULLED: Final = 20_000
"""Pairs of client and manifest that a worker counts, about 400 bytes each."""

# Deltas.

RECEIPT_CUSTODY: Final = 1_000
"""Bundles whose custody one receipt tells, the latest: some three megabytes of the 16 of a signed document."""

RECEIPTS_PINNED: Final = 8
"""Receipts whose blobs are kept at once, where no bundle shows which of them the outside works with."""

# Access.

PASSWORD: Final = (12, 1024)
"""Characters of a password: the fewest that a person chooses (SP 800-63B asks for 8, or 15 where it stands alone), and
the most that are hashed."""

ARGON2_PERSON: Final = (3, 64 * 1024)
"""Passes and KiB of memory for a person's password (RFC 9106, section 4, second recommended option)."""

ARGON2_ROBOT: Final = (1, 8 * 1024)
"""The same for a robot's secret, which has 256 random bits: no dictionary helps, and a thousand robots come at once."""

ARGON2_THREADS: Final = 2
"""Passwords hashed at once in a process: 128 MiB at most, and a core stays free of them for a while."""

ARGON2_QUEUE: Final = 1_000
"""Log-ins that wait for such a thread; more are told to come back."""

LOGIN_WAITING: Final = 1_000
"""Log-ins of one address (or uid) that wait for its turn: as many as machines behind one address start at once."""

LOGIN_CACHE: Final = 4_096
"""Log-ins a worker remembers, so that a client that sends its password with every request costs one hash."""

LOGIN_CACHE_TIME: Final = 300.0
"""How long it does; any change of any account forgets all of them at once."""

UNEXPLAINED_KEPT: Final = 10.0
"""Seconds for which an account that the audit log does not explain is refused without another look at the log."""

SEEN_STEP: Final = 600
"""Seconds between two records of when an account was last seen: a storm of log-ins is one write an account."""

LOGIN_FREE: Final = 5
"""Failed log-ins of a name at one address (or uid) before it is locked there."""

LOGIN_LOCKS: Final = (2, 4, 8, 16, 32, 64, 128, 256, 512, 900)
"""Seconds that each further failure locks a name for: at most about a hundred guesses a day."""

LOGIN_FORGET: Final = 24 * 60 * 60
"""A name's failures are forgotten after a day without one."""

TOKEN_LIFE: Final = 300
"""Seconds a bearer token is good for: longer than a request may wait, short enough to need no list of dead ones."""

TOKEN_SKEW: Final = 5
"""Seconds that the clocks of two processes on one machine may seem to be apart while one is set."""

TOKEN_KEY_LIFE: Final = 24 * 60 * 60
"""Seconds after which a new key signs the tokens; the old one is kept for as long as its last token lives."""

TOKEN_CACHE: Final = 8_192
"""Tokens a worker remembers as verified."""

TOKEN_LENGTH: Final = 8 * KIB
"""Bytes of a token: what its few scopes need ten times over, half the ceiling of a header. Nothing of a longer one is
looked at, and none is made."""

TOKEN_NODES: Final = 4_000
"""JSON values and keys in a token: 8 KiB of base64 hold no more than that."""

DIRECTORY_GROUPS: Final = 256
"""Groups of the directory that have roles here."""

DIRECTORY_DN: Final = 1_000
"""Characters of a DN in config.toml."""

DIRECTORY_MEMBER_OF: Final = 1_000
"""Groups of one person that a directory may name."""

DIRECTORY_STEP: Final = 4
"""Seconds for one step with the directory: connect, TLS, bind, search."""

DIRECTORY_TIME: Final = 10.0
"""Seconds for the whole question, in whatever small pieces the answers come."""

DIRECTORY_AWAY: Final = 3.0
"""Seconds for which a directory that did not answer is asked nothing."""

DIRECTORY_THREADS: Final = 4
"""Questions at once, for each process."""

DIRECTORY_QUEUE: Final = 64
"""Questions that run and wait; more are told that it does not answer."""

DIRECTORY_SECRET: Final = 4 * KIB
"""Bytes of the file with the station's password at the directory."""

WORKLOAD_ISSUERS: Final = 16
"""Issuers of tokens that workloads log in with: a cluster and a CI each."""

WORKLOAD_SUBJECTS: Final = 256
"""Subjects and patterns of one issuer: all are looked at for each token."""

WORKLOAD_SUBJECT: Final = 255
"""Characters of a subject, an issuer and an audience (OpenID Connect Core, section 2)."""

WORKLOAD_TOKEN: Final = 8 * KIB
"""Bytes of a token of another issuer: service accounts' have 1.2 KiB, those of CI up to 3."""

WORKLOAD_HEADER: Final = 512
"""Bytes of such a token's header as it is sent."""

WORKLOAD_AUDIENCES: Final = 16
"""Audiences that one token may have."""

WORKLOAD_KEYS: Final = (256 * KIB, 64)
"""Bytes of an issuer's file of keys, and keys in it: two or three are usual, while they turn."""

WORKLOAD_RSA: Final = (2_048, 8_192)
"""Bits of an issuer's RSA key: fewer can be broken, and more cost a millisecond a token."""

WORKLOAD_KEYS_LOOKED_AT: Final = 1.0
"""Seconds for which an issuer's file of keys is taken for unchanged."""

TOKEN_BODY: Final = 64 * KIB
"""A form posted to the token endpoint."""

TOKEN_SCOPES: Final = 128
"""Scopes in one request for a token: a mount needs two, a sync of many repositories some more."""

REFRESH_LIFE: Final = 30 * 24 * 60 * 60
"""Seconds after which a log-in must be made again."""

ROBOT_LIFE: Final = (90, 366)
"""Days a robot's secret is good for: unless asked otherwise, and at most."""

ROBOT_OVERLAP: Final = 24 * 60 * 60
"""Seconds the secret before stays good after a rotation, unless asked otherwise: time to carry the new one around."""

SESSION_IDLE: Final = 15 * 60
"""Seconds without a call after which a person logs in again (SP 800-53 AC-12)."""

SESSION_LIFE: Final = 12 * 60 * 60
"""Seconds after which a person logs in again in any case: a shift."""

SESSIONS_OF_ACCOUNT: Final = 50
"""Log-ins of one account at once; its own longest silent one ends when there are more, and nobody else's."""

SESSIONS: Final = 1_000
"""Log-ins on the control socket at once; the one that was silent for longest ends when there are more."""

JOB_TEXT: Final = 8 * KIB
"""Characters of one text among a job's parameters."""

JOB_PARAMS_SIZE: Final = 4 * MIB
"""Bytes of a job's parameters as JSON: they stand in the audit log. Ten thousand pinned references take two."""

CONTROL_BODY: Final = 32 * MIB
"""A request to the control API: an approval's document with a report beside it stays far below."""

CONTROL_NODES: Final = 400_000
"""JSON values and keys in a request to the control API; a report of full lists has about as many."""

CONTROL_PAGE: Final = (100, 1_000)
"""Items in one answer of the control API: where the caller asked for no number, and at most."""

JOBS_ACCOUNT: Final = 32
"""Jobs of one account that have not ended: more than a person follows, and a script waits for one to end."""

JOBS_LIVE: Final = 256
"""The same of all accounts together; a live job is a few KiB in memory and, waiting for a signature, a process."""

JOBS_UPKEEP: Final = 16
"""The same for gc and scrub, whoever asks for them: beside those of JOBS_LIVE, so that no client keeps them out."""

REQUEST_RATE: Final = (500.0, 5_000.0)
"""Requests a second of one account or address on one worker in the long run, and at once: above what one machine's
stock clients send, below what starves the others."""

FAILURE_RATE: Final = (1.0, 60.0)
"""The same for log-ins that fail, by address or uid: taken before hashing, and given back where it held."""

BUCKETS: Final = 20_000
"""Accounts and addresses counted at once in a worker; those that asked longest ago are forgotten first."""

FIRST_CODE_WAIT: Final = 1.0
"""Seconds a wrong one-time code costs: 80 random bits need no more."""

TOKEN_KEYS_READ: Final = 30.0
"""Seconds after which a worker looks for a newer key for tokens; one that a token names is looked for at once."""

TOKEN_KEY_SPREAD: Final = 2 * TOKEN_KEYS_READ
"""Seconds before a new key signs: until then every worker has read it."""

TOKEN_KEYS_TURN: Final = 10 * 60.0
"""Seconds between two looks whether a new key is due."""

CERTIFICATE_DAYS: Final = (30, 7, 1)
"""Days before a certificate's end at which the station speaks up, each time louder."""

RENEWAL_DAYS: Final = 45
"""Days before its end in which the station renews a server's certificate of its own: half a month before it speaks up,
which it then does only where that fails."""

RENEWAL_LOOKED_AT: Final = (60.0, 60 * 60.0)
"""Seconds after a start, and then between two looks, at whether the certificate is to be renewed."""

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 397
"""What `lockgate init` makes: the longest that strict clients take of a server's certificate is 398 days."""

# Changes of duty (docs/adr/0015-duties.md).

DUTY_WAIT: Final = 72 * 60 * 60
"""Seconds before a change of duty takes effect where no second administrator exists: a weekend passes, and somebody
sees it in `lockgate status`."""

DUTY_EXPIRES: Final = 14 * 24 * 60 * 60
"""Seconds after which a change that nobody confirmed is over: a forgotten one must not be confirmed by mistake."""

DUTIES_WAITING: Final = 100
"""Changes that may wait at once: more than a station has officers, and a list that a person still reads."""

DUTIES_LISTED: Final = 1_000
"""Past changes of duty in one answer."""

DUTIES_LOOKED_AT: Final = 30.0
"""Seconds between looks at whether a change is due or over."""
# Folders and files that clients hand over.

HANDLE_LIFE: Final = 60.0
"""Seconds a handle waits for the request that uses it; the client sends that at once."""

HANDLES: Final = (128, 512)
"""Handles that wait, of one uid and in all: an import takes one a medium, and each is a descriptor of this process."""

HANDLE_CALLERS: Final = (4, 32)
"""Connections that hand over, of one uid and in all; each is a thread, which a file system that hangs may hold."""

HANDLE_IDLE: Final = 10.0
"""Seconds such a connection may be silent."""

HANDLE_MESSAGE: Final = 16 * KIB
"""One message: a path of 4,096 bytes, each of them escaped in JSON, and two words."""

FILE_NAME: Final = 255
"""Bytes of a file's name (NAME_MAX)."""

PATH: Final = 4096
"""Bytes of a path (PATH_MAX)."""

JOB_PATHS: Final = 64
"""Paths that one job is handed; each is a descriptor of its process. More media than that nobody has plugged in."""

GRANTS_FILE: Final = MIB
"""The record of what a job was handed: `JOB_PATHS` paths and the groups of their caller."""

CHOSEN: Final = 100_000
"""Tags that the patterns of one build may name: what a bundle of 250,000 manifests and blobs can hold, and seconds to
choose."""

LEFT_TOLD: Final = 10_000
"""Links that stay after a withdrawal, of those that one event names: 1 MB of the 8 MiB of a line of the audit log. What
is more goes into further events."""

TOTALS_QUICK: Final = 0.005
"""Seconds of processor time that counting the store's blobs may take at each look at the station: the loop that answers
waits for it."""

TOTALS_SHARE: Final = 100
"""A slower count is kept for so many times as long as it took: it takes one hundredth of a processor at most."""

# Advisories, and the packages that they are held against.

ADVISORY_RECORD: Final = 8 * MIB
"""One record: the longest real ones list every version of a kernel, and take under one MiB."""

ADVISORY_NODES: Final = 200_000
"""JSON values and keys of a record: the longest real ones have some ten thousand."""

ADVISORY_IDS: Final = 500_000
"""Ids of a record times the packages that it names: each package is found by each id. Kernel updates of distributions
name some hundred vulnerabilities and some hundred packages."""

ADVISORY_ID: Final = 128
"""Characters of an id or an alias; real ones have under 40."""

ADVISORY_NAME: Final = 512
"""Characters of a package's name or a CVSS vector; real ones have under 200."""

ADVISORY_VERSION: Final = 256
"""Characters of a version that is compared. Comparing takes time in the square of it with some ecosystems."""

ADVISORY_SUMMARY: Final = 200
"""Characters of a record's summary that are kept."""

ADVISORY_EXPORT: Final = 2 * 1024 * MIB
"""An export as a file: Debian's full one has 40,000 records in 60 MiB."""

ADVISORY_RECORDS: Final = 1_000_000
"""Records of one load: all of OSV has about 700,000."""

ADVISORY_BATCH: Final = 500
ADVISORY_BATCH_SIZE: Final = 4 * MIB
"""Records, and bytes of them, in one write: a load holds up nobody else's writes for longer than some milliseconds."""

ADVISORY_DROP: Final = 2_000
"""Rows of an earlier load that one write takes away, for the same reason."""

ADVISORY_NAMED: Final = 100
"""Malformed records that a load names; all of them are counted."""

ADVISORY_AHEAD: Final = 24 * 60 * 60
"""Seconds that a record's time may be ahead of the station's clock before it says nothing of the export's date: a date
far ahead would make every later export an older one."""

ADVISORY_SHRINK: Final = 2
"""An export with less than one record in so many of those held is taken for a part of one."""

KEV_CATALOGUE: Final = 16 * MIB
KEV_NODES: Final = 500_000
"""CISA's catalogue as a file, and its JSON values and keys: 1,500 entries take 1.3 MiB and some 40,000 values."""

VEX_DOCUMENT: Final = 32 * MIB
VEX_NODES: Final = 400_000
"""One VEX document as a file, and its JSON values and keys: vendors' documents about one vulnerability in all of their
products take some MiB."""

VEX_TEXT: Final = 2048
"""Characters of an id, a name or a package URL of a VEX document."""

VEX_ROWS: Final = 200_000
"""Combinations of a vulnerability's names, products and subcomponents of one document: they multiply."""

EPSS_SIZE: Final = 128 * MIB
EPSS_ROWS: Final = 2_000_000
EPSS_LINE: Final = 200
"""EPSS scores as a file, unpacked: 300,000 rows of some 35 bytes each take 10 MiB."""

EPSS_BATCH: Final = 2_000
"""Scores in one write, some milliseconds of the writer's time."""

EPSS_DROP: Final = 10_000
"""Scores of an earlier load that one write takes away: it passes over those that count first."""

NEWS_BATCH: Final = 2_000
NEWS_DROP: Final = 10_000
"""New findings, or images with them, in one write, and those of an earlier load that one write takes away."""

NEWS_OWNERS: Final = 20_000
"""Packages of distributions that own others' files and whose advisories are kept while a load is held against all."""

SBOM_PACKAGES: Final = 20_000
"""Packages of one SBOM in the index: large images have some thousand. One write holds them, about a second of the
writer's time at the ceiling."""

PACKAGE_TEXT: Final = 2048
"""Characters of a package URL, a name, a version or a path in the index."""

SCAN_INDEXED: Final = 200
"""SBOMs that one question brings into the index before it is answered; the rest is done by the next ones."""

SCAN_INDEX_TIME: Final = 2.0
"""Seconds that such a question may spend on it: an SBOM at its ceilings takes about one."""

PUSH_SCAN_EVERY: Final = 5.0
"""Seconds between two looks whether images came in that have no SBOM; nothing is read where nothing was written."""

PUSH_SCAN_AGAIN: Final = 300.0
"""Seconds after a scan of these that failed as a whole: syft is missing, or the disk is nearly full."""

PUSH_SCAN_IMAGES: Final = 16
"""Images of one such scan, so that other jobs have their turn between two of them."""

CARRIED_LAYERS: Final = 64
"""Documents of one manifest of attestations that are looked into for SBOMs."""

SCAN_INDEX_EVERY: Final = 30.0
"""Seconds between two looks whether there are SBOMs to index: a release of a thousand images is indexed before anybody
has read its report."""

SCAN_FORGOTTEN: Final = 20
"""Images that nothing shows any more and that one write takes out of the index: each has some hundred rows."""

SCAN_FOUND: Final = 10_000
"""Artifacts that one answer about a vulnerability or a package names."""

PROMOTION_TRIES: Final = 5
"""How often a promotion is judged anew because something changed meanwhile: under a steady stream of pushes it gives
up and says so."""

SCAN_IMAGES: Final = 1_000
"""Images of one reference: an index of all platforms and variants has some dozens."""

TRANSFER_HOSTS: Final = 32
"""Transfer hosts of one config.toml: a site has a handful of ways out."""

SFTP_PARALLEL: Final = 8
"""Files that a transfer carries at once. sshd takes ten sessions that are not logged in (MaxStartups), and more streams
are no faster."""

SFTP_JUMPS: Final = 3
"""Hosts that one is reached through, one behind the other."""

SFTP_NAMES: Final = 4096
"""Names that are read of a folder of a transfer host: whoever holds it can make them without end."""

SFTP_ANSWER: Final = 512 * 1024
"""Bytes of one answer of a transfer host: OpenSSH's are 256 KiB at most (sftp-common.h, SFTP_MAX_MSG_LENGTH). Eight are
under way for each of the files that are carried at once."""

SFTP_ATTEMPTS: Final = 8
"""Connections that a transfer tries without a byte arriving, before it gives up: a minute in all."""

SFTP_TIMEOUT: Final = 60.0
"""Seconds without a byte from a transfer host after which the connection counts as cut."""

SFTP_SECRET: Final = 64 * 1024
"""A private key, a certificate, or a password."""

DROP_FOLDERS: Final = 8
"""Drop folders of one config.toml."""

DROP_LOOK: Final = 2.0
"""Seconds between two looks at the drop folders; a bundle is begun at the second look that finds it whole."""

DROP_NAMES: Final = 4096
"""Names that are looked at in a drop folder: anybody may fill it."""

DROP_BUNDLES: Final = 64
"""Bundles of a drop folder that are looked into, the first by name: the others wait until these are taken away."""

DROP_AT_ONCE: Final = 4
"""Imports of one drop folder that have not ended: the others' have their turn beside them."""

DROP_RATE: Final = (0.1, 64)
"""Imports that a drop folder begins a second in the long run, and at once: whoever fills it may change its files
without end, and each import stands in the audit log."""

DROP_STATE: Final = MIB
"""What is kept of the imports that were begun from drop folders."""

DIODES: Final = 8
"""Diodes of one config.toml."""

DIODE_RATE: Final = 20_000_000
"""Bytes a second that a diode is sent to by default: what a gigabit link and a receiver with a small buffer take."""

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

BLOCK_TOLD: Final = 300
"""Characters of a block's reason that other stations are told."""

REPLICAS: Final = 8
"""Stations that one config.toml names to be followed."""

REPLICA_EVERY: Final = (2, 86_400)
"""Seconds between two looks at a primary, at least and at most."""

REPLICA_AT_ONCE: Final = 6
"""Repositories that are compared at once, and artifacts that are taken at once; the client bounds its requests."""

REPLICA_TOLD: Final = 20
"""Tags of a repository that are told with what stands in their way; the others are counted."""

REPLICA_TAKEN: Final = 200
"""Tags that one sync is told to take as the primary has them."""

REPLICA_GONE: Final = (10, 0.1)
"""Tags that may go at one look, and the share of those that were followed: more is a primary that lost its content."""

REPLICA_STATE: Final = 32 * MIB
"""What is kept of how a replica stands."""

REPLICA_SECRET: Final = 4 * KIB
"""A file with a robot's secret."""

REPLICA_BEGIN: Final = 5.0
"""Seconds between two looks whether each replica is followed."""

REPLICA_BEGIN_AGAIN: Final = 60.0
"""Seconds until a replica is followed again whose job failed."""

REPLICA_LATE: Final = 600
"""Seconds without a look that found everything equal after which a replica's health is not well."""

REPLICA_SERIES: Final = 100
"""Repositories of one replica that have a metric of their own: those that lag the most."""
