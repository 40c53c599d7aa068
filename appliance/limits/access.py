"""Ceilings of log-ins, tokens, directories, workloads, sessions and certificates."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB

# Passwords and log-ins.

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

SEEN_STEP: Final = 600
"""Seconds between two records of when an account was last seen: a storm of log-ins is one write an account."""

LOGIN_FREE: Final = 5
"""Failed log-ins of a name at one address (or uid) before it is locked there."""

LOGIN_LOCKS: Final = (2, 4, 8, 16, 32, 64, 128, 256, 512, 900)
"""Seconds that each further failure locks a name for: at most about a hundred guesses a day."""

LOGIN_FORGET: Final = 24 * 60 * 60
"""A name's failures are forgotten after a day without one."""

REQUEST_RATE: Final = (500.0, 5_000.0)
"""Requests a second of one account or address on one worker in the long run, and at once: above what one machine's
stock clients send, below what starves the others."""

FAILURE_RATE: Final = (1.0, 60.0)
"""The same for log-ins that fail, by address or uid: taken before hashing, and given back where it held."""

BUCKETS: Final = 20_000
"""Accounts and addresses counted at once in a worker; those that asked longest ago are forgotten first."""

FIRST_CODE_WAIT: Final = 1.0
"""Seconds a wrong one-time code costs: 80 random bits need no more."""

# Tokens.

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

TOKEN_KEYS_READ: Final = 30.0
"""Seconds after which a worker looks for a newer key for tokens; one that a token names is looked for at once."""

TOKEN_KEY_SPREAD: Final = 2 * TOKEN_KEYS_READ
"""Seconds before a new key signs: until then every worker has read it."""

TOKEN_KEYS_TURN: Final = 10 * 60.0
"""Seconds between two looks whether a new key is due."""

# Directories.

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

# Workloads.

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

# Sessions.

SESSION_IDLE: Final = 15 * 60
"""Seconds without a call after which a person logs in again (SP 800-53 AC-12)."""

SESSION_LIFE: Final = 12 * 60 * 60
"""Seconds after which a person logs in again in any case: a shift."""

SESSIONS_OF_ACCOUNT: Final = 50
"""Log-ins of one account at once; its own longest silent one ends when there are more, and nobody else's."""

SESSIONS: Final = 1_000
"""Log-ins on the control socket at once; the one that was silent for longest ends when there are more."""

# Certificates.

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
