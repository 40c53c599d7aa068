"""Every act that the audit log can name, and what each explains of what clients see.

The registry is closed: an event's act is a member, and a member that is not listed in `EXPLAINS` explains nothing. A
log of an earlier or later version may hold other words; they are read and shown, and explain nothing either.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final


class Explains(Enum):
    """What an event that is done may explain of the links in the database (appliance.release_check.unexplained)."""

    NOTHING = "nothing"
    LINK = "link"
    """The one link that `thing` names, as `repository@digest`."""
    LINK_ENDS = "link ends"
    """Nothing, and it ends what earlier events explained of the link that `thing` names, or of the links in the
    repository `thing` to `detail.digests`."""
    CLOSURE = "closure"
    """The links, in the event's repository, to the content that `detail.digest` and `detail.referrers` reach: the
    manifests that they list, and blobs."""
    RELEASE = "release"
    """The links that a release makes of the content of the bundle `detail.digest`."""
    RELEASE_ENDS = "release ends"
    """Nothing, and it takes back what an earlier release of the bundle `detail.digest` explained."""


class Act(StrEnum):
    """An act, as the log spells it. The values are in written logs: one that was released never changes."""

    # The station and its log.
    INIT = "init"
    CLOSE = "station.close"
    ORIGIN = "station.origin"
    READ_ONLY = "station.read-only"
    READ_WRITE = "station.read-write"
    STORE_AWAY = "station.store-away"
    STORE_BACK = "station.store-back"
    METADATA_MOVE = "station.metadata-move"
    REBUILD = "rebuild"
    RESTORE = "restore"
    TLS_RELOAD = "tls.reload"
    TLS_RENEW = "tls.renew"
    AUDIT_EXPORT = "audit.export"
    AUDIT_FOREIGN = "audit.foreign"
    AUDIT_PRUNE = "audit.prune"
    AUDIT_REPAIR = "audit.repair"
    AUDIT_VERIFY = "audit.verify"
    CLOCK_SET_AHEAD = "clock.set-ahead"
    CLOCK_SET_BACK = "clock.set-back"
    METRICS_REFUSE = "metrics.refuse"
    WEBHOOK_REPLAY = "webhook.replay"

    # Callers and accounts.
    CALL = "call"
    SESSION_LOGIN = "session.login"
    SESSION_LOGOUT = "session.logout"
    TOKEN_LOGIN = "token.login"  # noqa: S105  an act
    TOKEN_REVOKE = "token.revoke"  # noqa: S105  an act
    TOKEN_WORKLOAD = "token.workload"  # noqa: S105  an act
    ACCOUNT_ASK = "account.ask"
    ACCOUNT_BIND_KEY = "account.bind-key"
    ACCOUNT_CANCEL = "account.cancel"
    ACCOUNT_CLAIM = "account.claim"
    ACCOUNT_CODE = "account.code"
    ACCOUNT_CONFIRM = "account.confirm"
    ACCOUNT_CREATE = "account.create"
    ACCOUNT_DISABLE = "account.disable"
    ACCOUNT_EFFECT = "account.effect"
    ACCOUNT_ENABLE = "account.enable"
    ACCOUNT_EXPIRE = "account.expire"
    ACCOUNT_FIRST_OFFICER = "account.first-officer"
    ACCOUNT_GRANT = "account.grant"
    ACCOUNT_PASSWORD = "account.password"  # noqa: S105  an act
    ACCOUNT_REVOKE = "account.revoke"
    ACCOUNT_SECRET = "account.secret"  # noqa: S105  an act
    ACCOUNT_UID = "account.uid"
    ACCOUNT_UNBIND_KEY = "account.unbind-key"
    ACCOUNT_WITHDRAW = "account.withdraw"
    ACCOUNTS_STAND = "accounts.stand"
    ACCOUNTS_BASE = "accounts.base"

    # Keys and trust.
    KEY_CEREMONY = "key.ceremony"
    KEY_CHANGE = "key.change"
    KEY_CREATE = "key.create"
    KEY_ESCROW = "key.escrow"
    KEY_EXPORT = "key.export"
    KEY_IMPORT = "key.import"
    KEY_RECOVER = "key.recover"
    KEY_REVOKE = "key.revoke"
    KEY_ROTATE = "key.rotate"
    KEY_ROTATION_ACCEPT = "key.rotation-accept"
    KEY_ROTATION_APPLY = "key.rotation-apply"
    KEY_ROTATION_MAKE = "key.rotation-make"
    KEY_ROTATION_SIGN = "key.rotation-sign"
    KEY_ROTATION_TAKE = "key.rotation-take"
    KEY_TRUST = "key.trust"
    KEY_UNTRUST = "key.untrust"
    TRUST_EXPORT = "trust.export"
    TRUST_POLICY = "trust.policy"

    # The registry.
    PULL = "pull"
    PUSH_BLOB = "push-blob"
    PUSH_MANIFEST = "push-manifest"
    MOUNT_BLOB = "mount-blob"
    COPY_MANIFEST = "copy-manifest"
    CACHE_BLOB = "cache.blob"
    CACHE_MANIFEST = "cache.manifest"
    WARM = "warm"
    DELETE_BLOB = "delete-blob"
    DELETE_MANIFEST = "delete-manifest"
    DELETE_TAG = "delete-tag"
    REGISTRY_REFUSE = "registry.refuse"

    # Jobs.
    ADVISORIES_START = "advisories.start"
    BUILD_START = "build.start"
    COLLECT_START = "collect.start"
    DIODE_RECEIVE_START = "diode-receive.start"
    DIODE_SEND_START = "diode-send.start"
    GC_START = "gc.start"
    IMPORT_START = "import.start"
    INSPECT_START = "inspect.start"
    RECEIPT_START = "receipt.start"
    RECUT_START = "recut.start"
    REPLICA_START = "replica.start"
    SCAN_START = "scan.start"
    SCRUB_START = "scrub.start"
    SFTP_LIST_START = "sftp-list.start"
    SFTP_PULL_START = "sftp-pull.start"
    SFTP_PUSH_START = "sftp-push.start"
    WARM_START = "warm.start"
    JOB_CANCEL = "job.cancel"
    JOB_DISMISS = "job.dismiss"
    JOB_READ = "job.read"
    JOB_RESUME = "job.resume"
    JOB_SIGN = "job.sign"
    PATH_HAND_OVER = "path.hand-over"

    # Outgoing.
    COLLECT = "collect"
    SBOM_ATTACH = "sbom.attach"
    BUNDLE_BUILD = "bundle.build"
    BUNDLE_RECUT = "bundle.recut"
    BUNDLE_SIGN = "bundle.sign"
    BUNDLE_VOID = "bundle.void"
    BUNDLE_WRITE = "bundle.write"
    DIODE_DELIVER = "diode.deliver"
    DIODE_RECEIVE = "diode.receive"
    DIODE_SEND = "diode.send"
    RECEIPT_TAKE = "receipt.take"
    REPLICA_FOLLOW = "replica.follow"
    REPLICA_SYNC = "replica.sync"
    STANDBY_DEMOTE = "standby.demote"
    STANDBY_FENCE = "standby.fence"
    STANDBY_JOIN = "standby.join"
    STANDBY_PROMOTE = "standby.promote"
    SFTP_LIST = "sftp.list"
    SFTP_PULL = "sftp.pull"
    SFTP_PUSH = "sftp.push"
    SITE_ADD = "site.add"
    SITE_REMOVE = "site.remove"
    WANTS_TAKE = "wants.take"

    # Intake.
    INTAKE_RECEIVE = "intake.receive"
    INTAKE_VERIFY = "intake.verify"
    INTAKE_IMPORT = "intake.import"
    INTAKE_INSPECT = "intake.inspect"
    INTAKE_REINSPECT = "intake.reinspect"
    INTAKE_DECIDE = "intake.decide"
    INTAKE_APPROVE = "intake.approve"
    INTAKE_KEPT = "intake.kept"
    INTAKE_LEFT = "intake.left"
    INTAKE_REJECT = "intake.reject"
    INTAKE_RELEASE = "intake.release"
    INTAKE_WITHDRAW = "intake.withdraw"
    BREAK_GLASS_OPEN = "break-glass.open"
    BREAK_GLASS_RELEASE = "break-glass.release"
    CUSTODY_HAND_OVER = "custody.hand-over"
    RECEIPT_EXPORT = "receipt.export"
    LEDGER_REPAIR = "ledger.repair"
    STREAM_OVERRIDE = "stream.override"
    STREAM_RESET = "stream.reset"
    WANTS_WRITE = "wants.write"

    # The policy for images.
    IMAGE_POLICY_SIGN = "image-policy.sign"
    IMAGE_POLICY_APPLY = "image-policy.apply"
    IMAGE_POLICY_KEPT = "image-policy.kept"

    # Stages.
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    RETIRE = "retire"
    UNRETIRE = "unretire"

    # The signatures of images.
    SIGNATURE_ATTACH = "signature.attach"

    # Vulnerabilities.
    ADVISORIES_LOAD = "advisories.load"
    ADVISORIES_REMOVE = "advisories.remove"
    SCAN = "scan"

    # The store.
    BLOCK = "block"
    DESCRIBE_MANIFEST = "describe-manifest"
    UNBLOCK = "unblock"
    GC = "gc"
    GC_EMPTY = "gc.empty"
    METADATA_DAMAGED = "metadata.damaged"
    METADATA_REPAIR = "metadata.repair"
    GC_UNLINK = "gc.unlink"
    GC_UNTAGGED = "gc.untagged"
    RESTORE_DAMAGED = "restore-damaged"
    SCRUB = "scrub"
    WITHDRAW_DAMAGED = "withdraw-damaged"

    # What a caller was denied: the permission's word. `pull` and `collect` are above.
    DENIED_ACCOUNT = "account"
    DENIED_APPROVE = "approve"
    DENIED_AUDIT = "audit"
    DENIED_BUILD = "build"
    DENIED_CUSTODY = "custody"
    DENIED_DELETE = "delete"
    DENIED_IMPORT = "import"
    DENIED_MEDIA = "media"
    DENIED_OPERATE = "operate"
    DENIED_POLICY = "policy"
    DENIED_PUSH = "push"
    DENIED_QUARANTINE = "quarantine"
    DENIED_RECEIPT = "receipt"
    DENIED_REJECT = "reject"
    DENIED_RELEASE = "release"
    DENIED_RESET = "reset"
    DENIED_SIGN = "sign"
    DENIED_STATUS = "status"
    DENIED_TRUST = "trust"
    DENIED_WITHDRAW = "withdraw"


EXPLAINS: Final[Mapping[Act, Explains]] = MappingProxyType(
    {
        Act.PUSH_BLOB: Explains.LINK,
        Act.PUSH_MANIFEST: Explains.LINK,
        Act.MOUNT_BLOB: Explains.LINK,
        Act.COPY_MANIFEST: Explains.LINK,
        Act.CACHE_BLOB: Explains.LINK,
        Act.CACHE_MANIFEST: Explains.LINK,
        Act.DELETE_BLOB: Explains.LINK_ENDS,
        Act.DELETE_MANIFEST: Explains.LINK_ENDS,
        Act.GC_UNLINK: Explains.LINK_ENDS,
        Act.GC_UNTAGGED: Explains.LINK_ENDS,
        Act.COLLECT: Explains.CLOSURE,
        Act.REPLICA_FOLLOW: Explains.CLOSURE,
        Act.SBOM_ATTACH: Explains.CLOSURE,
        Act.SIGNATURE_ATTACH: Explains.CLOSURE,
        Act.INTAKE_RELEASE: Explains.RELEASE,
        Act.INTAKE_WITHDRAW: Explains.RELEASE_ENDS,
        Act.INTAKE_REJECT: Explains.RELEASE_ENDS,
    }
)
"""The acts that explain something; every other explains nothing."""

MOVES_TAGS: Final = frozenset(
    {
        Act.PUSH_MANIFEST, Act.COPY_MANIFEST, Act.DELETE_TAG, Act.DELETE_MANIFEST, Act.GC_UNTAGGED, Act.COLLECT,
        Act.SBOM_ATTACH, Act.SIGNATURE_ATTACH, Act.INTAKE_RELEASE, Act.INTAKE_WITHDRAW, Act.CACHE_MANIFEST,
        Act.REPLICA_FOLLOW,
    }
)  # fmt: skip
"""The acts that decide where a tag stands, or what it may go back to (appliance.release_check.replay)."""

TAKES_A_TAG: Final = frozenset({Act.COLLECT, Act.REPLICA_FOLLOW})
"""The acts that set the tag that `thing` names to `detail.digest`, and bring in what that reaches."""

FROM_ANOTHER: Final = frozenset({Act.MOUNT_BLOB, Act.COPY_MANIFEST})
"""The acts that explain a link only where an older act explains the same digest's link in `detail.source`."""

REPORTED: Final = frozenset({Act.INTAKE_INSPECT, Act.INTAKE_REINSPECT})
"""The acts that name the digest of a bundle's inspection report (`detail.report`)."""

COVERED: Final = frozenset(
    {
        Act.CLOSE, Act.ORIGIN, Act.METADATA_MOVE, Act.REBUILD, Act.RESTORE, Act.AUDIT_PRUNE, Act.TOKEN_REVOKE,
        Act.BUNDLE_SIGN, Act.BUNDLE_VOID, Act.BUNDLE_WRITE,
        Act.ACCOUNTS_BASE,
        Act.INTAKE_IMPORT, Act.INTAKE_APPROVE, Act.INTAKE_REJECT, Act.INTAKE_RELEASE, Act.INTAKE_WITHDRAW,
        Act.BREAK_GLASS_OPEN, Act.BREAK_GLASS_RELEASE, Act.LEDGER_REPAIR, Act.STREAM_OVERRIDE,
        Act.STREAM_RESET, Act.BLOCK, Act.UNBLOCK, Act.PROMOTE, Act.ROLLBACK,
        Act.RETIRE, Act.UNRETIRE,
        *(act for act in Act if act.startswith(("account.", "key.", "trust.", "image-policy.", "standby."))),
    }
)  # fmt: skip
"""The acts after which the station signs a checkpoint at once: acts of people, and none of a client's requests."""

ON_ACCOUNTS: Final = frozenset({Act.TOKEN_REVOKE, *(act for act in Act if act.startswith("account."))})
"""The acts that change an account or what it logs in with."""

STARTED_KIND: Final[Mapping[Act, str]] = MappingProxyType(
    {act: act.removesuffix(".start") for act in Act if act.endswith(".start")}
)
"""By the act that starts a job, the job's kind."""

OUTSIDE_THE_DATABASE: Final = frozenset(
    {
        Act.INIT, Act.REBUILD, Act.RESTORE, Act.ACCOUNT_CODE,
        Act.CLOCK_SET_AHEAD, Act.CLOCK_SET_BACK, Act.METRICS_REFUSE,
        *(
            act for act in Act
            if act.startswith(("station.", "key.", "trust.", "tls.", "audit.", "image-policy.", "standby."))
        ),
    }
)  # fmt: skip
"""The acts that leave nothing in the database."""

FILLING: Final = frozenset(
    {
        Act.PULL, Act.PUSH_BLOB, Act.PUSH_MANIFEST, Act.MOUNT_BLOB, Act.COPY_MANIFEST, Act.COLLECT, Act.SBOM_ATTACH,
        Act.SIGNATURE_ATTACH, Act.COLLECT_START, Act.IMPORT_START, Act.BUILD_START, Act.RECUT_START,
        Act.ADVISORIES_LOAD, Act.ADVISORIES_START, Act.CACHE_BLOB, Act.CACHE_MANIFEST,
        Act.WARM_START, Act.WARM,
        Act.REPLICA_FOLLOW, Act.REPLICA_START,
    }
)  # fmt: skip
"""Acts that clients do in numbers, or that fill the disk: none of the reserve is for them."""

_BY_VALUE: Final = {str(act): act for act in Act}


def read_act(text: object) -> Act | None:
    """The act that a written event names; None for a word that this version does not know."""
    return _BY_VALUE.get(text) if isinstance(text, str) else None


def explains(act: Act | None) -> Explains:
    """What an event with this act may explain: nothing, unless `EXPLAINS` says otherwise."""
    return Explains.NOTHING if act is None else EXPLAINS.get(act, Explains.NOTHING)


def mark(act: Act) -> bytes:
    """The act as it stands in an event's line; within a text its quotes would be escaped."""
    return f'"act":"{act}"'.encode()


def denied(permission: str) -> Act:
    """The act of an event about a permission that its caller lacks. Raises ValueError for a word that is none."""
    return Act(permission)


def started(kind: str) -> Act:
    """The act of starting a job of a kind. Raises ValueError for an unknown kind."""
    return Act(f"{kind}.start")


def decided(decision: str) -> Act:
    """The act of a signed decision about a bundle, `approve` or `reject`. Raises ValueError for another word."""
    return Act(f"intake.{decision}")


def account_changed(what: str) -> Act:
    """The act of a change to an account, by its last word. Raises ValueError for an unknown one."""
    return Act(f"account.{what}")
