"""Every metric of the reference page moves when its event happens; a metric without a proof here fails."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from aiohttp import web

from appliance import clock
from appliance.access.certificates import make_ca, make_server
from appliance.access.identity import Nobody
from appliance.api.scanning import Scan, ScannedImage
from appliance.control.api import Control
from appliance.control.budget_keeper import take
from appliance.control.callers import Callers
from appliance.control.canary import Probed
from appliance.control.canary_pull import Pulled
from appliance.control.measuring import ControlMeasures
from appliance.control.routes.gauges import counted, gauges
from appliance.control.routes.status import _graveyard
from appliance.diode import receiver_state
from appliance.jobs.documents import Job
from appliance.jobs.service import Jobs
from appliance.lifecycle import gc
from appliance.limits import store as limits
from appliance.measures.catalogue import layout
from appliance.measures.objectives import Objectives
from appliance.measures.slots import Slots
from appliance.metrics import render
from appliance.mounts import mounted_media
from appliance.registry.measuring import RegistryMeasures
from appliance.registry.services import OpenAccess, RegistryServices
from appliance.settings.diodes import DiodeSettings
from appliance.settings.quarantine import QuarantineSettings
from appliance.settings.syslog import SyslogSettings
from appliance.settings.webhooks import WebhookSettings
from appliance.store.blobs import BlobStore
from appliance.store.ports import Connection
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.registry import Metadata
from appliance.store.reserve import Reserve
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.components import IndexSbom
from appliance.store.writes.lifecycle import NoteUnread, RecordDamage
from appliance.store.writes.webhooks import Message, QueueWebhooks
from appliance.store.writes.write import Write
from tests.conformance.shapes import image
from tests.intake.inside import Inside, name_of, small_bundle
from tests.job_starter import NoStarter
from tests.observe.counted import parse
from tests.observe.test_metrics_page import on_page
from tests.observe.test_station_metrics import seen
from tests.registry_server import Server

AT = "2026-01-01T00:00:00Z"
DIGEST = "sha256:" + "0" * 64


class Gives(OpenAccess):
    """Gives a token to who asks so for one."""

    async def admit(self, request: web.Request) -> web.Response | None:  # type: ignore[override]
        return web.json_response({}) if request.headers.get("Authorization") == "Basic token" else None


class Rows(Write, frozen=True):
    """Rows as another part of the program makes them."""

    unrecorded: ClassVar[str] = "a write of this test alone"
    statements: tuple[tuple[str, tuple[Any, ...]], ...]

    def apply(self, db: Connection) -> None:
        for sql, values in self.statements:
            db.execute(sql, values)


class Watched:
    """A station and one worker of its registry, which count in the same slots."""

    def __init__(self, folder: Path) -> None:
        self.inside = Inside(folder / "bravo")
        config = msgspec.structs.replace(
            self.inside.station.config,
            diodes={"gap": DiodeSettings(address="127.0.0.1:7416")},
            webhooks={"deploy": WebhookSettings(url="https://hooks.example", acts=["block"], addresses=["10.0.0.1"])},
            quarantine=QuarantineSettings(source_bytes=10**9),
            syslog=SyslogSettings(host="logs.example:6514", ca="ca.pem"),
        )
        self.station = dataclasses.replace(self.inside.station, config=config)
        slots = Slots(layout())
        self.registry = RegistryMeasures(slots.open("worker-1"), Objectives())
        writer, callers = AsyncWriterService(self.inside.writer), Callers(config, Accounts(self.station.reader))
        self.control = Control(self.station, writer, Jobs(self.station, writer, NoStarter()), "", callers,
                               identity=Nobody(), measures=ControlMeasures(slots))  # fmt: skip
        self.slots, self.own = slots, self.control.measures
        services = RegistryServices(
            blobs=BlobStore(self.station.paths), metadata=Metadata(self.station.paths.database), writer=writer,
            uploads=UploadSessions(BlobStore(self.station.paths)), audit=self.station.audit, access=Gives(),
        )  # fmt: skip
        self.server = Server(services=services, measures=self.registry)

    def __enter__(self) -> Watched:
        self.server.__enter__()
        self.inside.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()
        self.inside.__exit__()

    def look(self) -> dict[str, float]:
        """Every sample."""
        _graveyard(self.control)
        take(self.control)
        state = gauges(self.control) | counted(self.station, self.control)
        return parse(render(state, self.slots).decode())

    def submit(self, *writes: Any) -> None:
        for write in writes:
            self.inside.writer.submit(write)


Proof = Callable[[Watched], Iterator[None] | None]
"""An event; where it yields, it has steps, and a metric is to move by one of them."""
PROOFS: list[tuple[Proof, frozenset[str]]] = []


def moves(*names: str) -> Callable[[Proof], Proof]:
    """The event moves each of these metrics."""

    def take_it(proof: Proof) -> Proof:
        PROOFS.append((proof, frozenset(f"lockgate_{name}" for name in names)))
        return proof

    return take_it


@moves(
    "registry_requests_total", "pulls_total", "pull_seconds", "pull_bytes_total", "pushes_total", "push_seconds",
    "push_bytes_total", "manifest_reads_total", "store_blobs", "store_bytes", "audit_events",
    "syslog_waiting_events",
)  # fmt: skip
def push_and_pull(on: Watched) -> None:
    image().push(on.server, "team/app", "v1")
    assert on.server.ask("GET", "/v2/team/app/manifests/v1").status == 200
    asyncio.run(on.control.follower.begin())


@moves("registry_collected_total", "tombstones", "graveyard_blobs", "graveyard_bytes")
def pull_what_was_collected(on: Watched) -> None:
    digest = on.server.push_blob("team/app", b"was shown once")
    on.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
    gc.run(on.inside.context())
    assert on.server.ask("GET", f"/v2/team/app/blobs/{digest}").status == 404


@moves("uploads")
def begin_an_upload(on: Watched) -> None:
    on.server.ask("POST", "/v2/team/app/blobs/uploads/")


@moves("authentications_total", "tokens_issued_total")
def log_in(on: Watched) -> None:
    assert on.server.ask("GET", "/v2/", None, {"Authorization": "Basic token"}).status == 200


@moves("cache_answers_total")
def ask_a_cache(on: Watched) -> None:
    on.registry.cached("blob", "hit")


@moves("connections_total")
def connect(on: Watched) -> None:
    on.registry.connection("accepted")


@moves("audit_unwritten_total")
def lose_an_act(on: Watched) -> None:
    on.own.unwritten()


@moves("spans_total")
def record_spans(on: Watched) -> None:
    on.own.spans("taken", 2)


@moves("acts_total")
def log_an_act(on: Watched) -> None:
    on.own.logged([{"act": "block", "outcome": "done"}])


@moves("jobs_ended_total", "job_seconds")
def end_a_job(on: Watched) -> None:
    on.own.job_ended(Job("job-1", "gc", {}, "done", "ada", AT, started=AT, finished="2026-01-01T00:00:02Z"))


@moves("promotion_seconds")
def promotion(on: Watched) -> None:
    on.own.promoted("rollback", "refused", 0.25)


@moves("webhook_deliveries_total")
def deliver(on: Watched) -> None:
    on.own.webhook("delivered")


@moves("webhook_messages")
def queue_a_message(on: Watched) -> None:
    on.submit(QueueWebhooks(endpoint="deploy", heads={1: 1}, messages=(Message("bravo-01-1", "{}"),), now=0, at=AT))


@moves("syslog_events_total")
def send_an_event(on: Watched) -> None:
    on.own.syslog(1, 0)


@moves("scanned_images_total")
def scan(on: Watched) -> None:
    on.own.scanned(
        Scan(reference="a:1", digest="a", complete=True, images=(ScannedImage(digest="a", state="scanned"),))
    )


@moves("probes_total", "probe_success", "probe_seconds", "probe_timestamp_seconds")
def probe(on: Watched) -> None:
    pulled = Pulled(door="listener", reason="ok", detail="", seconds=0.5, bytes=9)
    on.own.probed(pulled)
    on.control.canary.latest = Probed("base/canary:1", clock.now(), (pulled,))


@moves("store_damaged_blobs", "store_unread_blobs", "health", "alerts")
def damage(on: Watched) -> None:
    unread = on.server.push_blob("team/app", b"hangs")
    on.submit(RecordDamage(digest=DIGEST, why="rotted", at=AT), NoteUnread(digest=str(unread), why="it hangs", at=AT))


@moves("reserve_bytes", "reserve_inodes")
def keep_a_reserve(on: Watched) -> None:
    Reserve(on.station.paths.reserve).keep()


@moves(
    "quarantined_bundles", "quarantined_bytes", "quarantine_quota_bytes", "intake_bundles", "stream_sequence",
    "stream_last_timestamp_seconds", "stream_waiting_seconds", "stream_carried_seconds",
)  # fmt: skip
def bring_and_release(on: Watched) -> Iterator[None]:
    bundle = small_bundle(on.inside.root.parent / "carried", created=clock.after(-100))
    on.inside.trust(bundle.key.public)
    on.inside.bring(*bundle.folders)
    yield
    on.inside.decide(name_of(), on.inside.officer())
    on.inside.release(name_of())


@moves("bundles")
def order_a_bundle(on: Watched) -> None:
    sql = "INSERT INTO bundles_out (id, stream, sequence, state, job_id, created) VALUES (?, ?, 1, 'to-sign', 'j', ?)"
    on.submit(Rows(statements=((sql, ("bravo.charlie-000001", "bravo.charlie", AT)),)))


@moves("account_changes_waiting")
def ask_for_a_change(on: Watched) -> None:
    sql = ("INSERT INTO account_changes (id, account, what, detail, change, state, asked_by, asked, starts, decided_by,"
           " decided, how) VALUES ('1', 'ada', 'role', '{}', '{}', 'waits', 'bo', ?, ?, '', '', '')")  # fmt: skip
    account = "INSERT INTO accounts (name, kind, full_name, generation, created) VALUES ('ada', 'person', '', 1, ?)"
    on.submit(Rows(statements=((account, (AT,)), (sql, (AT, AT)))))


@moves("sboms")
def index_an_sbom(on: Watched) -> None:
    on.submit(IndexSbom(image=DIGEST, sbom=DIGEST, origin="own", state="indexed", at=AT, listed="", seal=""))


@moves("jobs", "signatures_waiting")
def wait_for_a_signature(on: Watched) -> None:
    made = Job("job-9", "build", {}, "to-sign", "ada", AT, to_sign={"since": AT, "keyids": []})
    on.control.jobs._live[made.id] = made


@moves("diode_datagrams", "diode_received_bytes", "diode_arriving_bundles", "diode_missing_blocks")
def receive_from_a_diode(on: Watched) -> None:
    arriving = receiver_state.ArrivingTransfer(
        id="alpha.bravo-000001", site="alpha", bytes=9, blocks=3, missing=2, code="x"
    )
    stands = receiver_state.ReceiverState(
        job="j", bytes=7, datagrams={receiver_state.COUNTED[0]: 5}, arriving=[arriving]
    )
    on.station.paths.diode("gap").write_bytes(msgspec.json.encode(stands))


@moves("store_read_only")
def fill_the_disk(on: Watched) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "READ_ONLY", 10**12)
        yield


@moves("slo_burn_rate", "slo_budget_left_ratio")
def fail_pulls(on: Watched) -> None:
    counts = on.own.slots.open("worker-7")
    counts.add(on.own.slots.layout.at("lockgate_pulls", "all", "blob", "station", "disk"), 50)


REPLICA = "../replication/test_told.py::test_a_lag_is_the_time_since_the_last_look_that_found_everything_equal_began"
STANDBY = "../standby/test_told.py::test_a_primary_tells_how_far_behind_its_stand_by_is"
ELSEWHERE = {
    "lockgate_up": "test_metrics_page.py::test_the_page_says_what_a_station_shows",
    "lockgate_store_free_bytes": "test_station_metrics.py::test_the_disk_and_its_use_are_measured",
    "lockgate_store_disk_bytes": "test_station_metrics.py::test_the_disk_and_its_use_are_measured",
    "lockgate_store_used_ratio": "test_station_metrics.py::test_the_disk_and_its_use_are_measured",
    "lockgate_slo_objective_ratio": "test_budgets.py::test_the_settings_of_a_station_say_what_is_counted_for_whom",
    "lockgate_certificate_seconds_left": "test_certificates_are_told",
    "lockgate_media_bytes": "test_mounted_media_are_told",
    "lockgate_replica_lag_seconds": REPLICA,
    "lockgate_replica_repository_lag_seconds": REPLICA,
    "lockgate_replica_behind_tags": REPLICA,
    "lockgate_replica_conflicts": REPLICA,
    "lockgate_replica_up": REPLICA,
    "lockgate_standby_lag_seconds": STANDBY,
    "lockgate_standby_up": STANDBY,
    "lockgate_standby_term": STANDBY,
}
"""Metrics that no event of the station moves, with the test that holds them against what they tell."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with Watched(tmp_path_factory.mktemp("watched")) as found:
        found.server.push_blob("team/first", b"first")  # without an event the log is missing, which is an alert
        yield found


def total(samples: dict[str, float], name: str) -> list[float]:
    """The samples of a metric."""
    own = (name, f"{name}_count")
    return [value for sample, value in sorted(samples.items()) if sample.partition("{")[0] in own]


@pytest.mark.parametrize(("event", "names"), PROOFS, ids=[event.__name__ for event, _ in PROOFS])
def test_a_metric_moves_by_its_event(watched: Watched, event: Proof, names: frozenset[str]) -> None:
    looks = [watched.look()]
    for _ in event(watched) or ():
        looks.append(watched.look())
    looks.append(watched.look())
    stood = {name for name in names if all(total(a, name) == total(b, name) for a, b in pairwise(looks))}
    assert stood == set()


def test_mounted_media_are_told(watched: Watched) -> None:
    media = list(mounted_media(may_list=lambda _: False))
    assert watched.look()['lockgate_media_bytes{state="size"}'] == sum(one.size for one in media)


def test_certificates_are_told(tmp_path: Path) -> None:
    with Inside(tmp_path / "closed", open_=False) as closed:
        name = 'lockgate_certificate_seconds_left{certificate="server"}'
        assert seen(closed)[name] < 0
        make_ca(closed.station.paths, "bravo")
        make_server(closed.station.paths, ["localhost"])
        assert seen(closed)[name] > 0


def test_no_metric_is_without_a_proof() -> None:
    proved = frozenset[str]().union(*(names for _, names in PROOFS))
    assert set(on_page()) == proved | set(ELSEWHERE)
    assert not proved & set(ELSEWHERE)
    for where in ELSEWHERE.values():
        file, _, name = where.rpartition("::")
        assert f"def {name}(" in (Path(__file__).parent / (file or Path(__file__).name)).read_text()
