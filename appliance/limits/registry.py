"""Ceilings of the registry: uploads, requests, connections."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

# Uploads.

UPLOAD_EXPIRES: Final = 24 * 60 * 60.0
"""An upload nobody has written to for a day is abandoned; its client starts again."""

UPLOAD_EXPIRES_FULL: Final = 600.0
"""The same where a collection runs on a station that is read-only: no upload can go on there."""

UPLOAD_SWEEP: Final = 60 * 60.0
"""How often each worker looks for abandoned uploads."""

UPLOAD_BUSY: Final = 10.0
"""How long a request waits for another that holds its session: as long as a dropped connection may go unnoticed."""

# Memory.

FREE_MEMORY_EVERY: Final = 30.0
"""Seconds between two times that a worker gives free pages of its heap back to the system."""

# Requests.

REGISTRY_THREADS: Final = 16
"""Threads of a worker that read, write, hash and sync; more than its cores, since most of them wait for the disk."""

BODY_IDLE: Final = 60.0
"""A client that sends nothing of its body for so long has gone (slow loris)."""

SEND_IDLE: Final = 60.0
"""A client that takes nothing of a blob, or not all of a manifest or a list, for so long has gone."""

MANIFEST_CACHE: Final = 32 * MIB
"""Memory of the manifests that a worker keeps by digest; their visibility is read anew on every request."""

MANIFEST_ENTRY: Final = 384
"""What one of them takes beside its bytes (340 were measured).
A million tiny ones must not take ten times the bound."""

SMALL_BLOB_CACHE: Final = 16 * MIB
"""Memory of the small blobs that a worker keeps: a thousand configurations and more."""

SMALL_BLOB_ENTRY: Final = 768
"""What one of them takes beside its bytes (700 were measured)."""

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

TAGS_DELETED: Final = 200
"""Tags that one request deletes, each an event and a transaction: some seconds on a slow disk; a client goes on."""

COPY_LINKS: Final = 10_000
"""Manifests and blobs that a copy shows, each an event: 16 platforms of an image with evidence are a few hundred."""

PROMOTION_RULES_EVERY: Final = 60.0
"""Seconds between two looks at what the policy's rules of promotion would do."""

PROMOTION_VERDICT_KEPT: Final = 600.0
"""Seconds for which a channel that passed is not judged again for a rollback by a rule, where nothing changed."""

PROMOTION_TRIES: Final = 5
"""How often a promotion is judged anew because something changed meanwhile: under a steady stream of pushes it gives
up and says so."""

BLOCK_TOLD: Final = 300
"""Characters of a block's reason that other stations are told."""

# Connections.

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

# Files that are served.

UNREADABLE_NOTED: Final = 60.0
"""Seconds before a worker records again that the same blob cannot be read: each record is a write."""

UNREADABLE_NOTE: Final = 1.0
"""How long a client's answer waits for that record; without a control process there is none to wait for."""

VERIFIED_FILES: Final = 20_000
"""Files a worker knows to be whole, about 500 bytes each; one forgotten is hashed again as it is served."""
