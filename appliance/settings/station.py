"""A station's config.toml, strictly read: an unknown key or a wrong type names itself."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from appliance.settings.access import AccessSettings, RegistrySettings, TlsSettings
from appliance.settings.admission import AdmissionSettings
from appliance.settings.blobs import BlobsSettings
from appliance.settings.caches import CacheSettings
from appliance.settings.diodes import DiodeSettings
from appliance.settings.directory import DirectorySettings
from appliance.settings.drop_folders import DropFolderSettings
from appliance.settings.faults import Fault, faults
from appliance.settings.log import LogSettings
from appliance.settings.malware import MalwareSettings
from appliance.settings.metadata import MetadataSettings
from appliance.settings.probe import ProbeSettings
from appliance.settings.quarantine import QuarantineSettings
from appliance.settings.redirects import CollectSettings
from appliance.settings.replicas import ReplicaSettings
from appliance.settings.sbom import SbomSettings
from appliance.settings.slo import SloSettings
from appliance.settings.standby import StandbySettings
from appliance.settings.syslog import SyslogSettings
from appliance.settings.traces import TraceSettings
from appliance.settings.transfer_hosts import TransferHostSettings
from appliance.settings.upstreams import UpstreamSettings
from appliance.settings.webhooks import WebhookSettings
from appliance.settings.workload_issuers import WorkloadIssuerSettings
from bundles import limits
from bundles.errors import UsageError
from bundles.io import toml
from bundles.io.files import read_small, write_atomic

MEDIA_ROOTS: Final = ("/media", "/mnt", "/run/media")
"""Where media are mounted (Filesystem Hierarchy Standard 3.0, 3.11 and 3.12; udisks)."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What config.toml may say (docs/reference/configuration.md)."""

    site: str
    side: Literal["outside", "inside"]
    open: bool = False
    listen: str = "127.0.0.1:5000"
    workers: int = 2
    approvals_needed: int = 2
    approval_hours: int = 72
    partial_imports: list[str] = msgspec.field(default_factory=list)
    sparse_indexes: bool = False
    chunk_minimum: int = 0
    reverify_hours: int = 24
    gc_grace_hours: int = 7 * 24
    metrics_listen: str = ""
    media_roots: list[str] = msgspec.field(default_factory=lambda: list(MEDIA_ROOTS))
    access: AccessSettings = AccessSettings()
    tls: TlsSettings = TlsSettings()
    metadata: MetadataSettings = MetadataSettings()
    blobs: BlobsSettings = BlobsSettings()
    registry: RegistrySettings = RegistrySettings()
    collect: CollectSettings = CollectSettings()
    sbom: SbomSettings = SbomSettings()
    malware: MalwareSettings = MalwareSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    admission: AdmissionSettings = AdmissionSettings()
    upstreams: dict[str, UpstreamSettings] = {}
    transfer_hosts: dict[str, TransferHostSettings] = {}
    drop_folders: dict[str, DropFolderSettings] = {}
    diodes: dict[str, DiodeSettings] = {}
    caches: dict[str, CacheSettings] = {}
    replicas: dict[str, ReplicaSettings] = {}
    standby: StandbySettings = StandbySettings()
    slo: SloSettings = SloSettings()
    log: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()
    webhooks: dict[str, WebhookSettings] = {}
    probe: ProbeSettings = ProbeSettings()
    syslog: SyslogSettings = SyslogSettings()
    directory: DirectorySettings = DirectorySettings()
    workload_issuers: dict[str, WorkloadIssuerSettings] = {}

    @property
    def threshold(self) -> int:
        """How many people's approvals a release takes: one on an open station, else two at least."""
        return 1 if self.open else max(2, self.approvals_needed)


def load_config(path: Path) -> Config:
    """Read and check. Raises UsageError naming the file and the field, FailedError where it cannot be read."""
    if not path.is_file():
        raise UsageError(
            "not a station", thing=str(path.parent), remedy="make one with: lockgate init DIR --site NAME --side SIDE"
        )
    raw = read_small(path, limits.KEY_FILE)
    found, document = _read(raw)
    if found:
        raise wrong(path, found)
    try:
        return msgspec.convert(document, Config, strict=True)
    except msgspec.ValidationError as error:
        raise UsageError("config.toml cannot be used", thing=str(error)[:160], remedy=f"correct {path}") from None


@functools.lru_cache(maxsize=4)
def _read(raw: bytes) -> tuple[Sequence[Fault], dict[str, Any]]:
    """The faults of a config.toml, and the document of one without any. Kept by the file's bytes: whoever looks at the
    audit log or at what is visible asks for the configuration many times, and reading TOML takes milliseconds."""
    found = faults(raw)
    return found, {} if found else toml.loads(raw)


def wrong(path: Path, found: Sequence[Fault]) -> UsageError:
    """The error for a file with faults: the first of them, and how many more there are."""
    first = found[0]
    more = f", and {len(found) - 1} more: see lockgate config check" if found[1:] else ""
    return UsageError(first.what, thing=f"{first.thing} in {path}".lstrip(), remedy=first.remedy + more)


_TEMPLATE: Final = """\
# A Lockgate station (docs/reference/configuration.md).
site = "{site}"
side = "{side}"

# For trying it out: anonymous push and pull on loopback, one approval suffices.
open = {open}

# Where the registry listens, and how many processes serve it.
listen = "{listen}"
workers = {workers}

# People whose approvals a release takes, and hours an approval is good for.
approvals_needed = {approvals_needed}
approval_hours = {approval_hours}

# Streams whose bundles may be taken in without volumes that are lost (intake import --partial), as ["alpha.*"].
partial_imports = {partial_imports}

# Whether an index may name manifests that its repository does not show.
sparse_indexes = {sparse_indexes}

# The least bytes of a chunk that clients are asked for; 0 asks for nothing.
chunk_minimum = {chunk_minimum}

# Hours after which each blob is read from the disk again, and held against its digest.
reverify_hours = {reverify_hours}

# Hours for which a collected blob waits in the graveyard; it goes earlier where the disk needs the space.
gc_grace_hours = {gc_grace_hours}

# Where monitoring reads the metrics, without a password; empty: on the control socket alone.
metrics_listen = "{metrics_listen}"

# Below these folders a job finds its medium again after a restart; elsewhere it waits for: lockgate job resume ID.
media_roots = {media_roots}

[access]
# Repositories that anybody may pull, for example ["public/**"].
anonymous_pull = []
# Networks the registry may be spoken to from, for example ["10.0.0.0/8"]; empty: from everywhere.
addresses = []
# The same for metrics_listen.
metrics_addresses = []
# Requests a second of one account or address on one worker; 0: as docs/reference/configuration.md says.
requests_per_second = 0.0
# The group whose system accounts may reach the control socket, each with its own account here; empty: the owner alone.
socket_group = ""
# Minutes without a call after which a log-in is over, and without a key after which the console locks.
session_minutes = 15

[access.role_addresses]
# Networks from which a role counts, for example writer = ["10.1.0.0/16"].

[tls]
# The server's certificate chain and key, and what clients are to trust.
certificate = "tls/server.pem"
key = "tls/server.key"
ca = "tls/ca.pem"
# Whether clients show certificates, and whose: "off", "optional" or "required".
clients = "off"
client_ca = ""
minimum = "1.2"

[metadata]
# The PostgreSQL database that has the metadata (docs/howto/scale-out.md); "": the file metadata.sqlite has it. It is
# chosen when the station is made. A password is never written here.
url = {metadata_url}

[blobs]
# The bucket that has the blobs (docs/howto/scale-out.md), for example "s3://lockgate/alpha"; "": the folder store has
# them. It is chosen when the station is made. The access key is never written here.
url = {blobs_url}
# The address of its server, the bucket's region, and a file of certificates that the server's is trusted by, too.
endpoint = {blobs_endpoint}
region = {blobs_region}
ca = {blobs_ca}

[registry]
# Repositories of an inside station that clients may push to and delete from, for example ["team/scratch/**"]. A
# repository that holds released content is never written to.
push = {push}

[sbom]
# A syft binary in the place of the installed one, and its sha256, which is checked before each run.
syft = {syft}
sha256 = {sha256}
# Whether images that are pushed, collected or released get an SBOM by themselves, soon after.
on_push = {on_push}

[malware]
# The socket of clamd, as "/run/clamav/clamd.ctl"; empty: nothing is scanned for malware. And how many days old its
# signatures may be; 0: any age, and signatures without a date.
clamd = {clamd}
signature_days = {signature_days}
# A program that looks at each file, too, with its arguments, and the seconds that it may take for each; empty: none.
command = {command}
command_seconds = {command_seconds}
# A file or folder of YARA rules that each file is held against, too, as "/srv/yara"; empty: none.
yara = {yara}

[quarantine]
# Bytes of a source's bundles that nobody has decided about at most, on an inside station; 0: any number.
source_bytes = {source_bytes}
# For single sites in the place of it:
#   [quarantine.sites.alpha]
#   bytes = 500000000000

[upstreams]
# How a registry is reached, a table for each, for example:
#   [upstreams."registry.example:5000"]
#   ca = "tls/registry-ca.pem"        # the authorities that count for it, in the place of the machine's
#   client_cert = "tls/client.pem"    # what this station shows there, with its client_key
#   proxy = "http://proxy.example:3128"
#   mirrors = ["mirror.example/hub"]  # asked before it
#   concurrency = 4                   # requests at once
#   plain_http = true                 # HTTP, without a certificate
# Accounts are never written here: `collect` takes them from whoever runs it (docs/howto/collect-with-an-account.md).

[transfer_hosts]
# Where bundles are carried by SFTP (docs/howto/carry-by-sftp.md). Secrets are never written here.
#   [transfer_hosts.dropzone]
#   address = "sftp.example"          # with :PORT, if that is not 22
#   user = "lockgate"
#   host_keys = ["SHA256:…"]          # as ssh-keygen -l prints them: no other key is spoken to
#   folder = "/incoming"
#   key = "keys/dropzone"             # a private key; or agent = SOCKET, or password = true

[drop_folders]
# Folders of an inside station whose bundles are imported into quarantine by themselves, once they are whole.
#   [drop_folders.incoming]
#   path = "/srv/incoming"

[diodes]
# One-way links (docs/howto/carry-by-diode.md). A link's key is never written here.
#   [diodes.gap]
#   address = "10.9.0.2:7416"         # outside: where it is sent to; inside: where it comes in
#   rate = 20000000                   # outside: bytes a second
#   drop_folder = "incoming"          # inside: where whole bundles get their names

[caches]
# Registries whose content is fetched when a client asks for it, and kept (docs/howto/cache-a-registry.md).
#   [caches.hub]
#   upstream = "docker.io"            # reached as [upstreams] says; here it stands below cache/hub/
#   repositories = ["library/*"]      # what may be asked for there; none: everything
#   tag_minutes = 60                  # for so long a tag stands; digests are kept

[replicas]
# Stations that this one follows (docs/howto/follow-a-station.md). Secrets are never written here.
#   [replicas.north]
#   url = "https://north.example:5000"
#   ca = "tls/north-ca.pem"           # no other authority counts for it
#   account = "robot-follower"        # its secret: the systemd credential replica-north, or keys/replica-north.secret
#   repositories = ["**"]
#   every = 10                        # seconds between two looks

[standby]
# Inside: the folder that this station writes its states into, for its stand-by (docs/howto/stand-by.md). "" for none.
exchange = ""
every = 10                            # seconds between two states

[log]
# Lines of the program's log: "text" or "json"; whether each request to the registry has one (json alone), and whether
# that says how long each of its phases took.
format = "text"
requests = false
phases = false

[traces]
# Spans of requests and jobs for an OpenTelemetry collector, in the folder traces/ (docs/howto/observe.md): of how many
# percent of requests, 0 for none at all; and what the files may have together.
percent = 0.0
megabytes = 100

[slo]
# Days of an error budget, and the shares in percent of the disk and of failed log-ins that alarms begin at.
days = 30
storage = 70.0
authentication_errors = 0.01

[slo.objectives]
# What is promised of which repositories, the first that covers one; none: of all of them what stands here.
#   [slo.objectives.production]
#   repositories = ["prod/**"]
#   pulls = 99.9                      # percent of pulls that the station does not fail
#   pushes = 99.95
#   fast_pulls = 99.0                 # percent of pulls of up to 1 MB that take at most pull_seconds
#   pull_seconds = 2.0
#   owner = "platform"                # in alarms, with how to reach them
#   contact = "platform@example"

[probe]
# A small image that is served here and that the station pulls from itself through its listener and every worker, and
# the minutes between two probes (docs/howto/observe.md). "" for none.
image = ""
minutes = 5
# The robot that pulls it (its secret is never written here), "" for nobody; and a name that the certificate must be
# for, "" for none.
account = ""
host = ""

[syslog]
# The collector that the audit log is sent to by syslog over TLS (docs/howto/observe.md), as "logs.example:6514"; "" for
# none. Only certificates of `ca` count.
host = ""
#   ca = "tls/syslog-ca.pem"
#   client_cert = "tls/client.pem"    # what this station shows there, with its client_key
#   program = true    # it gets the program's log too

[webhooks]
# Whom the station tells of acts (docs/howto/observe.md). The secret is never written here.
#   [webhooks.deploy]
#   url = "https://hooks.example/lockgate"
#   addresses = ["10.0.7.0/24"]       # where that may be; nothing else is connected to
#   acts = ["intake.release", "block"]
#   repositories = ["prod/**"]        # only events about these; none: about anything

[admission]
# Registries, as images of a cluster name them, whose images are this station's, for example
# ["registry.example:5000", "docker.io"]; empty: no admission webhook is answered (docs/howto/serve-a-cluster.md).
registries = []

[directory]
# Where people's passwords and groups are looked up (docs/howto/directory.md); "" for none.
address = ""
#   ca = "tls/directory-ca.pem"       # the authorities that count for it: plain LDAP is not spoken
#   bind_dn = "cn=lockgate,ou=services,dc=example"
#   user_base = "ou=people,dc=example"
#   group_base = "ou=groups,dc=example"
#   [directory.roles]
#   "cn=builders,ou=groups,dc=example" = ["collector", "reader team/**"]

[workload_issuers]
# Whose tokens workloads log in with, as the robot that each is (docs/howto/workload-identity.md).
#   [workload_issuers.cluster]
#   issuer = "https://kubernetes.default.svc.cluster.local"
#   jwks = "identity/cluster.json"    # its public keys, as it publishes them
#   audience = "registry.bravo.example"
#   robots = {{ "system:serviceaccount:prod:*" = "robot-prod" }}

[collect]
# Whether `collect` also goes by the machine's registries.conf and certs.d (containers-registries.conf(5)).
use_host_configuration = false

[collect.redirects]
# Hosts that a registry may send `collect` on to, for example "registry.example" = ["cdn.example", "*.store.example"].
# A registry that is not named here may send on to every public host, by HTTPS.
"""


def save_config(path: Path, config: Config) -> None:
    """Write a new config.toml with every setting, so that it documents itself."""
    fields = msgspec.structs.asdict(config) | {
        "open": str(config.open).lower(),
        "sparse_indexes": str(config.sparse_indexes).lower(),
        "push": json.dumps(config.registry.push),
        "metadata_url": json.dumps(config.metadata.url),
        **{f"blobs_{key}": json.dumps(value) for key, value in msgspec.structs.asdict(config.blobs).items()},
        "media_roots": json.dumps(config.media_roots),
        "syft": json.dumps(config.sbom.syft),
        "sha256": json.dumps(config.sbom.sha256),
        "on_push": str(config.sbom.on_push).lower(),
        "clamd": json.dumps(config.malware.clamd),
        "signature_days": str(config.malware.signature_days),
        "command": json.dumps(config.malware.command),
        "yara": json.dumps(config.malware.yara),
        "command_seconds": str(config.malware.command_seconds),
        "source_bytes": str(config.quarantine.source_bytes),
    }
    write_atomic(path, _TEMPLATE.format(**fields).encode(), 0o600, replace=False)
