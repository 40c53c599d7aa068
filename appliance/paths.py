"""The one module that builds paths inside a station's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.oci.digest import Digest

STATION_KEYS: Final = ("receipt", "audit", "verdict")
"""Keys that every station is made with, and signs with itself, without a passphrase and without a person."""


@dataclass(frozen=True, slots=True)
class StationPaths:
    """Every path of the station in `root`."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    @property
    def origin(self) -> Path:
        """How the station was made, signed by its audit key (appliance.origin)."""
        return self.root / "origin.json"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the running station, and by folder commands while they change keys or trust."""
        return self.root / "lock"

    @property
    def lease(self) -> Path:
        """Locked (flock) by the control process, and through an inherited descriptor by each of its jobs."""
        return self.root / "lease"

    @property
    def trust(self) -> Path:
        """Pinned keys: `<keyid>.pem` and `<keyid>.json` each, and `site.json`, which names the site."""
        return self.root / "trust"

    @property
    def keys(self) -> Path:
        """Private keys, mode 0700: `<name>.pem` (PKCS#8) and `<name>.pub.pem`."""
        return self.root / "keys"

    @property
    def token_keys(self) -> Path:
        """The keys that sign bearer tokens: `<kid>.pem`, mode 0600, made and taken away by the control process."""
        return self.keys / "tokens"

    @property
    def first_code(self) -> Path:
        """The hash of the one-time code that makes the first administrator, while there is none."""
        return self.keys / "first-administrator"

    @property
    def findings_key(self) -> Path:
        """The key that authenticates cached findings of inspections, mode 0600, made by the first inspection."""
        return self.keys / "findings.key"

    @property
    def outbox_key(self) -> Path:
        """The key that authenticates messages that wait for webhooks, mode 0600, made by the first."""
        return self.keys / "outbox.key"

    @property
    def index_key(self) -> Path:
        """The key that authenticates the index of packages, mode 0600, made by the first scan."""
        return self.keys / "index.key"

    @property
    def probe_secret(self) -> Path:
        """The secret of the robot that pulls the canary (appliance.control.canary); optional."""
        return self.keys / "probe.secret"

    @property
    def refresh_key(self) -> Path:
        """The key that authenticates refresh tokens, mode 0600, made by the first start with accounts."""
        return self.keys / "refresh.key"

    @property
    def metadata_secret(self) -> Path:
        """The password of the station's account in PostgreSQL (appliance.store.whereabouts); optional."""
        return self.keys / "metadata.secret"

    @property
    def blobs_secret(self) -> Path:
        """The access key of the bucket that has the blobs (appliance.store.bucket_note); optional."""
        return self.keys / "blobs.secret"

    @property
    def blobs_note(self) -> Path:
        """Which bucket has the blobs (appliance.store.bucket_note); only where one has."""
        return self.root / "blobs.json"

    @property
    def tls(self) -> Path:
        """The site's own CA and the server's certificate: `ca.pem`, `ca.key`, `server.pem`, `server.key`."""
        return self.root / "tls"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def blobs(self) -> Path:
        return self.store / "blobs"

    @property
    def store_id(self) -> Path:
        """Which store is the station's own (appliance.store.presence)."""
        return self.root / "store-id"

    @property
    def store_mark(self) -> Path:
        """The same id, in the store itself."""
        return self.blobs / "store-id"

    @property
    def uploads(self) -> Path:
        """Everything on its way in, on the same file system as `blobs`."""
        return self.store / "uploads"

    @property
    def joins(self) -> Path:
        """Blobs larger than a volume, growing from their parts. A folder of its own: the next medium may take weeks,
        and what lies in `uploads` itself is swept after a day."""
        return self.uploads / "joins"

    @property
    def partials(self) -> Path:
        """Blobs that a collect has fetched in part, `<algorithm>-<hex>-<repository>`. A folder of its own: they are
        kept for longer than what lies in `uploads` itself."""
        return self.uploads / "partials"

    @property
    def delivered(self) -> Path:
        """Notes of blobs that came whole for a repository which does not show them yet."""
        return self.uploads / "delivered"

    @property
    def damaged(self) -> Path:
        """What was found damaged and withdrawn, `<algorithm>-<hex>`, until its bytes came again."""
        return self.store / "damaged"

    @property
    def graveyard(self) -> Path:
        """What garbage collection took, until its time of grace is over (appliance.store.graveyard)."""
        return self.store / "graveyard"

    @property
    def graves_waited(self) -> Path:
        """How long each grave has waited (appliance.store.grave_age)."""
        return self.store / "graveyard.waited"

    @property
    def incoming_lock(self) -> Path:
        """Locked (flock) together by jobs that bring blobs in, alone by each batch of garbage collection."""
        return self.store / "incoming.lock"

    @property
    def incoming_queue(self) -> Path:
        """Locked (flock) together by jobs that wait for `incoming_lock`; garbage collection gives way to them."""
        return self.store / "incoming-queue.lock"

    @property
    def database(self) -> Path:
        return self.root / "metadata.sqlite"

    @property
    def rebuilding(self) -> Path:
        """The database that `lockgate rebuild` makes, until it takes the place of the one that was lost."""
        return self.root / "rebuilding.sqlite"

    @property
    def rebuilt(self) -> Path:
        """What the last rebuild restored, and what it could not."""
        return self.root / "rebuilt.json"

    @property
    def approvals(self) -> Path:
        """Who must agree before a release; optional."""
        return self.root / "approvals.toml"

    @property
    def image_policy(self) -> Path:
        """The policy for images that was applied, and one that waits (appliance.image_signatures.applied)."""
        return self.root / "image-policy"

    @property
    def rotations(self) -> Path:
        """Key rotations that were made here, came, and were accepted (appliance.rotations.folder)."""
        return self.root / "rotations"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    @property
    def handles_socket(self) -> Path:
        """Where clients hand folders and files over, as descriptors."""
        return self.run / "handles.sock"

    @property
    def metrics(self) -> Path:
        """Counters of the processes that run, one file each; emptied when the station starts."""
        return self.run / "metrics"

    @property
    def budgets(self) -> Path:
        """What the registry failed and answered, by objective and hour (appliance.control.budgets)."""
        return self.root / "budgets.json"

    @property
    def syslog(self) -> Path:
        """How far the collector has got with the audit log (appliance.control.syslog)."""
        return self.root / "syslog.json"

    @property
    def log_outbox(self) -> Path:
        """Lines of the program's log that wait for the collector (appliance.log_outbox)."""
        return self.root / "log-outbox"

    @property
    def log_outbox_sent(self) -> Path:
        """How far the collector has got with these (appliance.control.program_log_sending)."""
        return self.root / "log-outbox.json"

    @property
    def traces(self) -> Path:
        """Spans of requests and jobs, where the site wants them (appliance.tracing.files)."""
        return self.root / "traces"

    @property
    def drop_folders(self) -> Path:
        """Which imports were begun from drop folders (appliance.control.drop_folders)."""
        return self.root / "drop-folders.json"

    @property
    def diodes_sent(self) -> Path:
        """How many rounds were sent of which transfers (appliance.outgoing.diode_send)."""
        return self.root / "diodes-sent.json"

    def replica(self, name: str) -> Path:
        """How this station stands to a primary that it follows (appliance.replication.replica_state)."""
        return self.root / f"replica-{name}.json"

    def replica_lock(self, name: str) -> Path:
        """Held by whoever compares this station with that primary."""
        return self.run / f"replica-{name}.lock"

    @property
    def standby_role(self) -> Path:
        """What this folder is in its pair (appliance.standby.role)."""
        return self.root / "standby.json"

    @property
    def standby(self) -> Path:
        """What a stand-by holds of its primary, and a promoted one replaced (appliance.standby)."""
        return self.root / "standby"

    def standby_state(self, term: int, number: int) -> Path:
        """A state that was taken, as a station's folder; its document is beside it, with `.json` behind the name."""
        return self.standby / f"state-{term}-{number}"

    def diode(self, name: str) -> Path:
        """How the receiving end of a diode stands (appliance.diode.receiver_state)."""
        return self.root / f"diode-{name}.json"

    @property
    def listening(self) -> Path:
        """The process that runs the station, and where its registry listens (appliance.station.note_listening)."""
        return self.run / "listening"

    @property
    def writer_socket(self) -> Path:
        """Where workers and jobs hand their writes to the control process."""
        return self.run / "writer.sock"

    @property
    def cache_socket(self) -> Path:
        """Where workers and jobs ask for what an upstream has (appliance.caching)."""
        return self.run / "cache.sock"

    def pull_journal(self, number: int) -> Path:
        """What a worker counted of repeated pulls, until the audit log has it (appliance.audit.pull_journal)."""
        return self.run / f"worker-{number}.pulls"

    @property
    def live_wanted(self) -> Path:
        """Touched by who looks at what the registry is doing (appliance.registry.live)."""
        return self.run / "live"

    def live(self, number: int) -> Path:
        """What a worker is doing, while somebody looks."""
        return self.run / f"worker-{number}.live"

    def worker_socket(self, number: int) -> Path:
        """Where a worker itself answers the registry's requests, for probes of the station's own account."""
        return self.run / f"worker-{number}.sock"

    def import_lock(self, stream: str) -> Path:
        """Locked (flock) by the one import of a stream that runs."""
        return self.run / f"import-{stream}.lock"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def wants(self) -> Path:
        """Want-lists: what deltas stood on and this station did not hold, to be carried back."""
        return self.root / "wants"

    @property
    def imported(self) -> Path:
        """The signed manifest of each bundle that came in, as HEX.json by the bundle's digest; the audit log's event
        of its import names the file's digest."""
        return self.root / "imported"

    @property
    def audit(self) -> Path:
        return self.root / "audit"

    @property
    def audit_head(self) -> Path:
        """The head of the last checkpoint that the station signed (appliance.audit.noted_head)."""
        return self.root / "audit-head"

    @property
    def reserve(self) -> Path:
        """Disk that is given back when nothing else is left (appliance.store.reserve)."""
        return self.root / "reserve"

    def blob(self, digest: Digest) -> Path:
        return self.blobs / digest.algorithm / digest.hex

    def job(self, job_id: str) -> Path:
        """A job's own folder: its log, and what it needs to resume."""
        return self.jobs / job_id

    def job_log(self, job_id: str) -> Path:
        return self.job(job_id) / "log"
