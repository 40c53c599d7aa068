"""Ceilings of collecting from other registries, and of planning a bundle."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

# Requests to a registry.

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

URL_FILE: Final = 64 * 1024 * MIB
"""Bytes of a file that is fetched by its URL: a disc image of an installation has ten GiB."""

REMOTE_REDIRECTS: Final = 5
"""Redirects of one request that are followed; hubs send on once or twice."""

# A collect as a whole.

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

# A plan.

PLAN_PAGES: Final = 64 * MIB
"""Of the database's pages, what a plan keeps: those of a hundred thousand blobs, each asked for at random. SQLite's own
two megabytes make it read each of them over and over."""

CHOSEN: Final = 100_000
"""Tags that the patterns of one build may name: what a bundle of 250,000 manifests and blobs can hold, and seconds to
choose."""

# Accounts, certificates and mirrors.

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
