"""What the control API shows is what its caller may pull: lists leave the rest out, and nothing hints that it is there.

One station: team/app and vault/app with an SBOM each, a bundle in quarantine, a damaged and a blocked blob of
vault/app, and a job of each kind that names it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from appliance import clock
from appliance.advisories.record import read_record
from appliance.advisories.seals import index_key
from appliance.audit.port import MemoryAudit
from appliance.control.api import ANYBODY, CONTROL, Control
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.jobs.service import Jobs
from appliance.outgoing.sbom.index import index_write
from appliance.paths import StationPaths
from appliance.permissions import Caller, Grant
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.advisories import (
    AddAdvisories,
    BeginAdvisories,
    EntryRow,
    SourceFacts,
)
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.jobs import CreateJob, MoveJob
from appliance.store.writes.lifecycle import Block, RecordDamage
from appliance.store.writes.registry import PutManifest
from appliance.store.writes.write import under_event
from bundles.oci.digest import Digest
from bundles.oci.kinds import CYCLONEDX
from tests.conformance.shapes import Content, artifact, image
from tests.control.described import require_described, template_of
from tests.control.test_who_may_call import each_route, served
from tests.intake.inside import Inside, small_bundle
from tests.job_starter import NoStarter
from tests.scanning.exports import cyclonedx, record
from tests.scanning.rows import switched

OURS, THEIRS = "team/app", "vault/app"
JOBS: dict[str, dict[str, Any]] = {
    "build": {"references": [f"{THEIRS}:1"], "to": "vault-site"},
    "collect": {"sources": [{"kind": "file", "path": "/srv/vault/app"}], "as": f"{THEIRS}:1"},
    "import": {"paths": ["/media/vault/app"]},
    "gc": {"dry_run": False, "note": THEIRS},
}


class Anyone(Callers):
    """Callers that are whoever the test says."""

    def __init__(self) -> None:
        self.now = Caller("alice")

    def identify(self, request: web.Request) -> Caller:
        return self.now

    def still_here(self, request: web.Request) -> None:
        """There are no sessions to keep."""


@dataclasses.dataclass
class Desk:
    """The station's control API, and what nobody may learn of it."""

    client: aiohttp.ClientSession
    app: web.Application
    callers: Anyone
    audit: MemoryAudit
    images: dict[str, Content]
    sboms: dict[str, Content]
    bundle: str

    def be(self, *grants: str, name: str = "alice") -> None:
        """Be somebody with roles, each `role` or `role pattern`."""
        held = (text.partition(" ") for text in grants)
        self.callers.now = Caller(name, grants=tuple(Grant(role, where or "**") for role, _, where in held))  # type: ignore[arg-type]

    async def get(self, path: str, **query: Any) -> tuple[int, Any]:
        async with self.client.get(path, params=query) as answer:
            document = await answer.json(content_type=None)
        if answer.content_type == "application/json":
            require_described(self.app, "GET", template_of(self.app, path), answer.status, document)
        return answer.status, document

    async def items(self, path: str, **query: Any) -> list[Any]:
        status, document = await self.get(path, **query)
        assert status == 200, document
        return list(document["items"])


def put(inside: Inside, repository: str, content: Content, tag: str, **more: Any) -> None:
    rows = [_row(inside, body) for body in (*content.blobs, content.manifest)]
    manifest = ManifestRow(blob=rows[-1], media_type=content.media_type, **more)
    inside.writer.submit(PutManifest(repository=repository, manifest=manifest, at=clock.now(), tags=(tag,)))


def _row(inside: Inside, body: bytes) -> BlobRow:
    digest = Digest.of(body)
    return BlobRow(digest=str(digest), size=len(body), crc32=inside.station.blobs.put(body, digest))


def sbom_of(content: Content) -> Content:
    components = {"components": [{"name": "vaultlib", "version": "1"}]}
    made = artifact(CYCLONEDX, (CYCLONEDX,), subject=content.described())
    document = json.loads(made.manifest)
    body = json.dumps(components).encode()
    document["layers"] = [{"mediaType": CYCLONEDX, "digest": str(Digest.of(body)), "size": len(body)}]
    return Content(json.dumps(document).encode(), [made.blobs[0], body])


@asynccontextmanager
async def a_desk(root: Path, **settings: Any) -> AsyncIterator[Desk]:
    images = {name: image(config_body=json.dumps({"of": name}).encode()) for name in (OURS, THEIRS)}
    sboms = {name: sbom_of(content) for name, content in images.items()}
    with Inside(root / "bravo", **settings) as inside:
        for name, content in images.items():
            put(inside, name, content, "1")
            put(inside, name, sboms[name], "sbom", artifact_type=CYCLONEDX, subject=str(content.digest))
        carried = small_bundle(root / "carried")
        inside.trust(carried.key.public)
        result = inside.bring(carried.folder)
        secret = [str(Digest.of(body)) for body in images[THEIRS].blobs]
        inside.writer.submit(Block(digest=secret[0], why="for the vault", actor="bob", at=clock.now()))
        inside.writer.submit(RecordDamage(digest=str(images[THEIRS].digest), why="rotted", at=clock.now()))
        for number, (kind, params) in enumerate(JOBS.items(), 100):
            job = CreateJob(id=f"job-{number}", kind=kind, params=json.dumps(params), actor="bob", at=clock.now())
            inside.writer.submit(job)
            inside.writer.submit(
                MoveJob(
                    id=job.id, state="done", phase=f"reading {THEIRS}", done=1, total=1, at=clock.now(),
                    result=json.dumps(result | ({"references": [f"{THEIRS}:1"]} if kind == "collect" else {})),
                )
            )  # fmt: skip
            folder = inside.station.paths.job(job.id)
            folder.mkdir()
            (folder / "log").write_text(f"{THEIRS} was read\n")
        audit, callers = MemoryAudit(), Anyone()
        station = dataclasses.replace(inside.station, audit=audit)
        writer = AsyncWriterService(inside.writer)
        control = Control(station, writer, Jobs(station, writer, NoStarter()), "127.0.0.1:0", callers)
        app = application(control)
        async with served(app, root) as client:
            yield Desk(client, app, callers, audit, images, sboms, result["id"])


def words_of(desk: Desk) -> list[str]:
    """What gives something away: names, digests, ids, and what people said."""
    secret = [desk.images[THEIRS], desk.sboms[THEIRS]]
    digests = [Digest.of(body).hex for content in secret for body in (*content.blobs[:1], content.manifest)]
    return ["vault", "bob", desk.bundle, *digests]


VALUES = {
    "name": THEIRS.replace("/", "%2F"), "id": "job-100", "stream": "alpha.bravo", "digest": "0" * 8,
}  # fmt: skip


@pytest.mark.parametrize("who", ["reader team/**", "writer team/**", "maintainer team/**", "administrator", "nobody"])
async def test_no_route_gives_away_what_its_caller_may_not_see(who: str, tmp_path: Path) -> None:
    """Every GET there is, asked bare and for each secret thing by its name."""
    async with a_desk(tmp_path) as desk:
        desk.be(*([] if who == "nobody" else [who]))
        secrets = words_of(desk)
        things = [f"{THEIRS}:1", f"{THEIRS}@{desk.images[THEIRS].digest}", str(desk.images[THEIRS].digest), desk.bundle]
        asked = 0
        for method, path, permission in each_route(desk.app):
            if method != "GET" or permission == ANYBODY:
                continue
            for thing in ("", *things):
                values = VALUES if thing != desk.bundle else VALUES | {"id": desk.bundle}
                url = re.sub(r"\{(\w+)[^}]*\}", lambda match, known=values: known[match[1]], path)  # type: ignore[misc]
                query = dict.fromkeys(("ref", "digest", "q", "thing", "filter"), thing) if thing else {}
                async with desk.client.get(url, params=query, timeout=aiohttp.ClientTimeout(30)) as answer:
                    text = (await answer.read()).decode()
                if answer.status >= 400:  # an error names what was asked for, as it was sent
                    for said in filter(None, (thing, thing.partition("@")[0], *values.values(), THEIRS)):
                        text = text.replace(said, "")
                told = [word for word in secrets if word in text]
                assert (who, path) in ALLOWED or not told, (path, thing, answer.status, told, text[:300])
                asked += 1
        assert asked > 100


ALLOWED = {
    ("administrator", "/v1/damage"),  # who looks after the store is told what is damaged, and where it was shown
    ("administrator", "/v1/jobs/{id}"), ("administrator", "/v1/jobs"),
}  # fmt: skip


@pytest.mark.parametrize("name", [THEIRS, "vault/no-such-thing"])
async def test_a_repository_one_may_not_pull_is_refused_in_the_same_words_whether_it_exists(
    name: str, tmp_path: Path
) -> None:
    async with a_desk(tmp_path) as desk:
        desk.be("reader team/**")
        for path, query in (
            (f"/v1/repositories/{name.replace('/', '%2F')}/tags", {}),
            ("/v1/artifact", {"ref": f"{name}:1"}),
            ("/v1/file", {"ref": f"{name}:1"}),
            ("/v1/file/content", {"ref": f"{name}:1"}),
            ("/v1/file/content", {"ref": f"{name}@sha256:{'0' * 64}"}),
        ):
            status, document = await desk.get(path, **query)
            said = json.dumps(document).replace(name, "NAME")
            assert status == 403
            assert said == json.dumps(
                {
                    "error": "RefusedError", "code": "refused",
                    "what": "alice may not pull (no role of it may pull on NAME)", "thing": "NAME",
                    "remedy": "it takes a reader, a writer, a maintainer, a security-officer or a collector; an"
                    " administrator grants it: lockgate role grant alice reader --on NAME", "exit_status": 3,
                }
            )  # fmt: skip
            assert desk.audit.events[-1].outcome == "refused"


async def test_lists_hold_what_one_may_pull_and_pages_do_not_tell_what_lies_between(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.be("reader")
        assert [entry["name"] for entry in await desk.items("/v1/repositories")] == [OURS, THEIRS]
        desk.be("reader team/**")
        status, document = await desk.get("/v1/repositories", limit=1)
        assert (status, [entry["name"] for entry in document["items"]]) == (200, [OURS])
        assert document["items"][0]["tags"] == 2
        assert [entry["tag"] for entry in await desk.items(f"/v1/repositories/{OURS}/tags")] == ["1", "sbom"]
        status, document = await desk.get("/v1/artifact", ref=f"{OURS}:1")
        assert status == 200, document
        assert (status, [entry["digest"] for entry in document["sboms"]]) == (200, [str(desk.sboms[OURS].digest)])


async def test_an_sbom_is_shown_to_whoever_may_pull_its_image(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        theirs, ours = (str(desk.images[name].digest) for name in (THEIRS, OURS))
        desk.be("reader team/**")
        assert [entry["name"] for entry in await desk.items("/v1/sbom", digest=ours)] == ["vaultlib"]
        assert (await desk.get("/v1/sbom", digest=theirs))[0] == 404
        assert (await desk.get("/v1/sbom", digest=str(desk.sboms[THEIRS].digest)))[0] == 404
        desk.be("reader")
        assert [entry["name"] for entry in await desk.items("/v1/sbom", digest=theirs)] == ["vaultlib"]


async def test_a_search_finds_what_one_may_pull_and_the_quarantine_for_officers_alone(tmp_path: Path) -> None:
    async def found(query: str) -> set[str]:
        return {entry["kind"] for entry in await desk.items("/v1/find", q=query)}

    async with a_desk(tmp_path) as desk:
        prefix = str(desk.images[THEIRS].digest)[:20]
        seen = {}
        for who in ("reader team/**", "reader", "security-officer", "courier", "administrator", "auditor"):
            desk.be(who)
            seen[who] = [await found(text) for text in ("vault", f"{THEIRS}:", prefix, "alpha.bravo")]
        nothing: list[set[str]] = [set()] * 4
        assert seen == {
            "reader team/**": nothing, "administrator": nothing,
            **{who: [set(), set(), set(), {"bundle"}] for who in ("courier", "auditor")},  # as GET /v1/custody lists it
            "reader": [{"repository"}, {"tag"}, {"digest"}, set()],
            "security-officer": [{"repository"}, {"tag"}, {"digest"}, {"intake"}],
        }  # fmt: skip


@pytest.mark.parametrize(
    ("who", "reads"),
    [
        ("reader", set()),
        ("administrator", {"gc"}),
        ("collector", {"build", "collect"}),
        ("courier", {"import"}),
        ("security-officer", {"build", "import"}),
        ("collector team/**", set()),
        ("auditor", set()),
    ],
)
async def test_a_jobs_words_are_for_those_it_concerns(who: str, reads: set[str], tmp_path: Path) -> None:
    """Whoever may start its kind (a co-signer: a build; an officer: an import) and may pull what it names."""
    async with a_desk(tmp_path) as desk:
        desk.be(who)
        listed = await desk.items("/v1/jobs")
        assert [entry["state"] for entry in listed] == ["done"] * len(JOBS)
        for number, kind in enumerate(JOBS, 100):
            one = (await desk.get(f"/v1/jobs/job-{number}"))[1]
            log, _ = await desk.get(f"/v1/jobs/job-{number}/log")
            words = bool(one["params"]), one["actor"] == "bob", one["result"] is not None, log == 200
            assert words == (kind in reads,) * 4, kind
            assert (THEIRS in json.dumps(one)) is (kind in reads)
        desk.be(who, name="bob")
        assert all(entry["params"] for entry in await desk.items("/v1/jobs")), "one's own"


async def test_a_bundle_whose_manifest_is_damaged_hides_no_other(tmp_path: Path) -> None:
    async with a_desk(tmp_path, open_=False) as desk:
        desk.be("security-officer")
        (tmp_path / "bravo" / "approvals.toml").write_text("[[rule]]\napprovals = 3\n")
        (whole,) = await desk.items("/v1/intake")
        assert (whole["id"], whole["damaged"], whole["needed"]) == (desk.bundle, "", 3)
        other = {"digest": str(Digest.of(b"another")), "id": "alpha.bravo-000002"}
        with contextlib.closing(sqlite3.connect(StationPaths(tmp_path / "bravo").database)) as database, database:
            for table in ("intake", "intake_documents"):
                columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[1] != "entry"]
                chosen = [f":{name}" if name in other else name for name in columns]
                database.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(chosen)} FROM {table}", other
                )
            database.execute("UPDATE intake_documents SET manifest = '{}' WHERE digest = ?", (whole["digest"],))
        first, second = await desk.items("/v1/intake")
        assert (first["id"], second["id"], second["damaged"], second["needed"]) == (desk.bundle, other["id"], "", 3)
        assert first["damaged"]
        status, document = await desk.get(f"/v1/intake/{whole['digest']}")
        assert (status >= 400, document["error"] != "LockgateError") == (True, True)


async def test_a_stream_counts_its_bundles_and_not_the_states_they_came_through(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.be("security-officer")
        with contextlib.closing(sqlite3.connect(StationPaths(tmp_path / "bravo").database)) as database, database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(ledger)") if row[1] != "entry"]
            chosen = ["'rejected'" if name == "state" else name for name in columns]
            database.execute(f"INSERT INTO ledger ({', '.join(columns)}) SELECT {', '.join(chosen)} FROM ledger")
        (stream,) = await desk.items("/v1/streams")
        assert (stream["stream"], stream["bundles"]) == ("alpha.bravo", 1)
        assert stream["entries"] >= 1  # rows of the ledger: scripts read this field
        assert len(await desk.items("/v1/ledger")) == 2


@pytest.mark.parametrize(
    ("pattern", "who", "shown"),
    [
        ("**", "collector", True),
        ("**", "collector vault/**", False),
        ("vault/**", "collector vault/**", True),
        ("vault/app/*", "collector vault/**", True),
        ("va*/app", "collector vault/**", False),
        ("vault/*", "collector vault/*", True),
        ("vault/**", "collector vault/*", False),
        ("vault", "collector team/**", False),
        ("vault/*:1", "collector team/**", False),
    ],
)
async def test_a_job_of_a_pattern_is_shown_to_who_may_pull_all_that_it_covers(
    pattern: str, who: str, shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(JOBS, "build", {"references": [pattern], "to": "vault-site"})
    async with a_desk(tmp_path) as desk:
        desk.be(who)
        assert bool((await desk.get("/v1/jobs/job-100"))[1]["params"]) is shown
        assert ((await desk.get("/v1/jobs/job-100/log"))[0] == 200) is shown


REGISTRY: dict[str, Any] = {"kind": "registry", "reference": "registry.example/vault/app:1"}


COLLECTS: list[tuple[list[Any], str, bool]] = [
    ([REGISTRY], "collector vault/**", True),
    ([REGISTRY], "collector team/**", False),
    ([REGISTRY | {"as": "team/app:1"}], "collector team/**", True),
    ([REGISTRY | {"as": "team/app:1"}], "collector vault/**", False),
    ([REGISTRY | {"as": "team/app:1"}, REGISTRY], "collector team/**", False),
    ([{"kind": "file", "path": "/srv/x", "as": "team/x:1"}], "collector team/**", True),
    ([{"kind": "url", "url": "https://vault.example/x", "as": "vault/x:1"}], "collector team/**", False),
    ([{"kind": "layout", "path": "/srv/vault/app"}], "collector team/**", False),
    ([{"kind": "layout", "path": "/srv/vault/app"}], "collector", True),
    ([{"kind": "registry", "reference": "https://vault:pw@h/a"}], "collector team/**", False),
    ([{"kind": "registry"}], "collector team/**", False),
    (["vault/app"], "collector team/**", False),
]


async def test_a_collect_is_shown_to_who_may_pull_all_that_its_sources_go_to(tmp_path: Path) -> None:
    """Also where it failed, so that no result names them; a source that says no name may go anywhere."""
    async with a_desk(tmp_path) as desk:
        for sources, who, shown in COLLECTS:
            desk.be(who)
            with contextlib.closing(sqlite3.connect(StationPaths(tmp_path / "bravo").database)) as database, database:
                failed = json.dumps({"sources": sources})
                database.execute(
                    "UPDATE jobs SET state = 'failed', result = NULL, params = ? WHERE id = 'job-101'", (failed,)
                )
            one = (await desk.get("/v1/jobs/job-101"))[1]
            assert one["state"] == "failed"
            assert bool(one["params"]) is shown, (sources, who)
            assert ((await desk.get("/v1/jobs/job-101/log"))[0] == 200) is shown


async def test_packages_and_vulnerabilities_are_found_in_what_one_may_pull(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        writer = desk.app[CONTROL].station.writer
        for content in desk.images.values():
            image = str(content.digest)
            writer.submit(
                index_write(
                    index_key(desk.app[CONTROL].station.paths), image, image, cyclonedx("pkg:pypi/requests@2.19"), "own"
                )
            )
        load_rows(
            writer,
            desk.app[CONTROL].station.paths,
            "PYSEC-1",
            [str(content.digest) for content in desk.images.values()],
        )
        for grants, seen in ((("reader team/**",), [OURS]), (("reader",), [OURS, THEIRS])):
            desk.be(*grants)
            _, found = await desk.get("/v1/scan/find", id="PYSEC-1")
            assert sorted(one["use"]["references"][0] for one in found["items"]) == [f"{name}:1" for name in seen]
            assert found["not_scanned"] == 0
            _, new = await desk.get("/v1/scan/new")
            assert sorted(one["use"]["references"][0] for one in new["items"]) == [f"{name}:1" for name in seen]
            _, where = await desk.get("/v1/components", name="requests")
            assert sorted(one["references"][0] for one in where["items"]) == [f"{name}:1" for name in seen]
        desk.be("reader team/**")
        assert (await desk.get("/v1/packages", ref=f"{OURS}:1"))[1]["images"][0]["packages"][0]["name"] == "requests"
        theirs = {"ref": f"{THEIRS}:1"}
        for path, query in (("/v1/scan", theirs), ("/v1/scan", {"ref": f"{THEIRS}:9"}), ("/v1/packages", theirs)):
            assert (await desk.get(path, **query))[0] == 403
        wanted: tuple[dict[str, Any], ...] = (
            {"kind": "scan", "params": {"references": [f"{THEIRS}:1"]}},
            {"kind": "advisories", "params": {"reference": f"{OURS}:1"}},
        )
        for body in wanted:
            async with desk.client.post("/v1/jobs", json=body) as answer:
                assert answer.status == 403, body
        async with desk.client.delete("/v1/advisories/osv-pypi") as answer:
            assert answer.status == 403
        desk.be("security-officer team/**")
        async with desk.client.post(
            "/v1/jobs", json={"kind": "advisories", "params": {"reference": f"{THEIRS}:1"}}
        ) as answer:
            assert answer.status == 403


def load_rows(writer: Any, paths: StationPaths, name: str, images: list[str]) -> None:
    """One advisory about requests, as a load keeps it, with its news."""
    made = read_record(json.dumps(record(name)).encode())
    rows = tuple(
        EntryRow(ecosystem="PyPI", name="requests", id=name, ids=(name,), entry=msgspec.msgpack.encode(entry))
        for entry in made.entries
    )
    facts = SourceFacts(
        source="osv-pypi", digest="", dated="2024-01-01T00:00:00Z", records=1, withdrawn=0, malformed=0, entries=1
    )
    with under_event():
        generation = writer.submit(BeginAdvisories(source="osv-pypi", job="job-100", at=clock.now()))
        writer.submit(AddAdvisories(generation=generation, rows=rows))
        switched(writer.submit, paths, generation, facts, "PyPI", rows, news=(((1, name),), tuple(images)))
