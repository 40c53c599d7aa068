"""Whatever is released, withdrawn, pushed and deleted in whatever order: what clients see is what still stands.

A reference model keeps the history of every tag and every link, and reads what is visible off it: a withdrawn release
is struck out of the history, a deletion ends it. The station keeps claims instead (appliance.store.writes.claims).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.control.api import Control
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.intake.release import prepare_withdraw
from appliance.jobs.service import Jobs
from appliance.lifecycle import gc
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.limits import store as store_limits
from appliance.release_check import moved_tags as tags_moved
from appliance.release_check.moved_tags import moved, moved_tags
from appliance.release_check.unexplained import unexplained
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.intake import find_entry
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import DeleteBlob, DeleteManifest, DeleteTag, LinkBlob, PutManifest, PutTag
from appliance.store.writes.write import AsyncGuarded
from bundles import build
from bundles.errors import FailedError
from bundles.format.manifest import Artifact, Required
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey, create_private
from tests.bundles.small import MemoryStore, manifest_of, sign
from tests.control.test_who_may_call import served
from tests.intake.inside import Inside, name_of
from tests.job_starter import NoStarter

REPOSITORY = "team/arm"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


@dataclass(frozen=True)
class Image:
    """An image, or an index above some."""

    name: str
    raw: bytes = field(repr=False)
    blobs: tuple[bytes, ...] = field(default=(), repr=False)
    children: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        return str(Digest.of(self.raw))

    @property
    def named(self) -> set[str]:
        return {str(Digest.of(blob)) for blob in self.blobs}

    @property
    def media_type(self) -> str:
        return OCI_INDEX if self.children else OCI_MANIFEST

    def whole(self) -> list[bytes]:
        return [*self.blobs, self.raw]


def image(name: str, *layers: bytes) -> Image:
    config = canonical({"architecture": "arm64", "os": "linux", "name": name})
    manifest = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config, CONFIG),
        "layers": [descriptor(layer, LAYER) for layer in layers],
    }  # fmt: skip
    return Image(name, canonical(manifest), (config, *layers))


def index(*children: Image) -> Image:
    manifest = {
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [descriptor(child.raw, OCI_MANIFEST) for child in children],
    }  # fmt: skip
    return Image("index", canonical(manifest), (), children)


BASE, SHARED, OWN, NEXT, EXTRA, MORE = (
    bytes(8) + name for name in (b"base", b"shared", b"own", b"next", b"extra", b"more")
)
ONE, TWO, THREE = image("one", BASE), image("two", BASE, SHARED), image("three", BASE, NEXT)
BOTH = index(ONE, TWO)
PUSHED = image("pushed", OWN)
FOUR, FIVE = image("four", EXTRA), image("five", EXTRA, MORE)
EVERY = {one.digest: one for one in (ONE, TWO, THREE, BOTH, PUSHED, FOUR, FIVE)}
BUNDLES: dict[int, dict[Image, tuple[str, ...]]] = {
    1: {ONE: ("1",), TWO: ("2",)},
    2: {ONE: ("1", "latest")},
    3: {THREE: ("1",)},
    4: {BOTH: ("latest",), ONE: (), TWO: ("2",)},
    5: {TWO: ("1", "latest")},
    6: {FOUR: ("4",)},
    7: {FIVE: ("latest",), THREE: ()},
}
DELTAS = {3: (BASE,), 5: (BASE, SHARED), 7: (EXTRA, BASE)}
TAGS = ("1", "2", "4", "latest", "mine")
HELD = ("tags", "links")


def bundle(root: Path, number: int, previous: str | None, key: PrivateKey) -> build.Signed:
    """Bundle `number` of the stream, on one medium."""
    store, required = MemoryStore(), DELTAS.get(number, ())
    for one in BUNDLES[number]:
        for data in one.whole():
            if data not in required:
                store.add(data)
    artifacts = [
        Artifact(
            repository=REPOSITORY, digest=one.digest, mediaType=one.media_type,
            kind="index" if one.children else "image", size=len(one.raw), tags=sorted(tags),
        )
        for one, tags in BUNDLES[number].items()
    ]  # fmt: skip
    content = build.Content(
        sorted(artifacts, key=lambda artifact: artifact.digest),
        [(digest, len(data)) for digest, data in store.blobs.items()],
        requires=sorted(
            (Required(digest=str(Digest.of(data)), size=len(data)) for data in required), key=lambda one: one.digest
        ),
    )
    laid_out = build.lay_out(content, build.plan_volumes(content, 2_000_000, [None]), store, no_progress)
    manifest = manifest_of(
        content, laid_out, [key.public.keyid], sequence=number, previous=previous, created=clock.now(),
        not_after=clock.after(24 * 3600),
    )  # fmt: skip
    signed = sign(manifest, [key])
    root.mkdir()
    build.write(signed, store, [root], no_progress)
    return signed


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PrivateKey]:
    """A station with every bundle in quarantine, to be copied; and an officer's key."""
    folder = tmp_path_factory.mktemp("standing")
    key, previous = create_private(), None
    with Inside(folder / "bravo", approvals_needed=1) as inside:
        inside.trust(key.public)
        officer = inside.officer()
        for number in BUNDLES:
            signed = bundle(folder / f"medium{number}", number, previous, key)
            previous = str(Digest.of(signed.sums))
            inside.bring(folder / f"medium{number}")
    return folder / "bravo", officer


@dataclass
class Model:
    """The reference: histories. `None` in a tag's history, and `end` in a link's, are deletions."""

    tags: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    links: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    shown: dict[int, set[Image]] = field(default_factory=lambda: {number: set() for number in BUNDLES})
    rejected: set[int] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    def tag(self, tag: str) -> str | None:
        history = self.tags.get(tag, [])
        return history[-1][1] if history else None

    def stands(self, kind: str, digest: str) -> bool:
        history = self.links.get((kind, digest), [])
        return bool(history) and history[-1] != "end"

    def visible(self, kind: str) -> set[str]:
        return {digest for (of, digest) in self.links if of == kind and self.stands(of, digest)}

    def link(self, who: str, kind: str, digest: str) -> None:
        """A push of what is there says nothing new; every release stands for it."""
        history = self.links.setdefault((kind, digest), [])
        if who != "client" or not self.stands(kind, digest):
            history.append(who)

    def set_tag(self, who: str, tag: str, digest: str | None) -> None:
        if who != "client" or self.tag(tag) != digest:
            self.tags.setdefault(tag, []).append((who, digest))

    def end(self, kind: str, digest: str) -> None:
        if self.stands(kind, digest):
            self.links[kind, digest].append("end")
        if kind == "manifest":
            for tag in TAGS:
                if self.tag(tag) == digest:
                    self.set_tag("client", tag, None)

    def withdraw(self, number: int) -> None:
        who = str(number)
        followed = [tag for tag in TAGS if self.tags.get(tag, [])[-1:] and self.tags[tag][-1][0] == who]
        for tag, history in self.tags.items():
            self.tags[tag] = [event for event in history if event[0] != who]
        held = {self.tag(tag) for tag in TAGS if tag not in followed}
        for kind in ("manifest", "blob"):
            before = self.visible(kind)
            for key in [key for key in self.links if key[0] == kind]:
                self.links[key] = _without(self.links[key], who)
            while kept := {one for one in before - self.visible(kind) if one in held or one in self._named(kind)}:
                for digest in kept:
                    self.link(self._newest_release(kind, digest), kind, digest)
        for tag in followed:
            if self.tag(tag) is not None and self.tag(tag) not in self.visible("manifest"):
                self.set_tag("client", tag, None)
        self.shown[number] = set()

    def _newest_release(self, kind: str, digest: str) -> str:
        """Who stands for a link that stays for what names it: the newest release of it that is left."""
        releases = [event for event in self.links[kind, digest] if event not in ("client", "end")]
        return releases[-1] if releases else "client"

    def _named(self, kind: str) -> set[str]:
        """What the manifests that are visible are made of."""
        standing = [EVERY[digest] for digest in self.visible("manifest")]
        if kind == "manifest":
            return {child.digest for one in standing for child in one.children}
        return {digest for one in standing for digest in one.named}

    def release(self, number: int, some: Iterable[Image]) -> None:
        who = str(number)
        for one in some:
            for digest in one.named:
                self.link(who, "blob", digest)
            self.link(who, "manifest", one.digest)
            for tag in BUNDLES[number][one]:
                self.set_tag(who, tag, one.digest)
            self.shown[number].add(one)

    def stands_on(self, number: int, some: Iterable[Image]) -> bool:
        """Whether everything that some images of a delta require is visible."""
        required = {str(Digest.of(data)) for data in DELTAS.get(number, ())}
        return (required & {digest for one in some for digest in one.named}) <= self.visible("blob")

    def pinned(self) -> set[str]:
        return {
            str(Digest.of(data))
            for number, images in BUNDLES.items()
            if number not in self.rejected and self.shown[number] != set(images)
            for one in images
            for data in one.whole()
        }

    def collect(self) -> None:
        everything = {str(Digest.of(data)) for one in EVERY.values() for data in one.whole()}
        self.lost |= everything - self.pinned() - self.visible("manifest") - self.visible("blob")


def _without(history: list[str], who: str) -> list[str]:
    """A link's history without a bundle's releases. A life that nothing else stands for is over."""
    return [event for event in history if event != who]


class Standing(RuleBasedStateMachine):
    """People release, withdraw and reject bundles; clients push and delete; garbage is collected."""

    template: ClassVar[tuple[Path, PrivateKey]]
    folder: ClassVar[Path]
    runs: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.root = self.folder / f"run{self.runs}"
        shutil.copytree(self.template[0], self.root)
        self.inside, self.model = Inside(self.root), Model()
        self.pruned, self.released, self.pushed = 0, set[str](), set[str]()

    def teardown(self) -> None:
        self.inside.__exit__()
        shutil.rmtree(self.root)

    def _say(self, act: str, thing: str, **detail: object) -> None:
        self.inside.station.audit.record(AuditEvent(act, "tester(0)", thing, "done", detail))

    @rule(number=st.sampled_from(sorted(BUNDLES)))
    def release_whole(self, number: int) -> None:
        self.release(number, None)

    @rule(number=st.sampled_from(sorted(BUNDLES)), part=st.sampled_from([None, ONE, TWO, BOTH, FIVE]))
    def release(self, number: int, part: Image | None) -> None:
        images, shown = BUNDLES[number], self.model.shown[number]
        if number in self.model.rejected or shown == set(images):
            return
        name, key = name_of(number), self.template[1]
        if self.inside.state(name) in ("quarantined", "withdrawn"):
            self.inside.decide(name, key)
        chosen = set(images) if part is None or part not in images else {part, *part.children}
        if chosen <= shown:
            return
        only = [] if chosen == set(images) else [f"{REPOSITORY}@{one.digest}" for one in chosen]
        needed = {str(Digest.of(data)) for one in images for data in one.whole()}
        if needed & self.model.lost or not self.model.stands_on(number, chosen - shown):
            self._say("intake.release", name, digest=find_entry(self.inside.station.reader, name).digest)
            with pytest.raises(FailedError):
                self.inside.release(name, only)
            self._say_withdrawn(name)
            return
        self.inside.release(name, only)
        self.released.add(REPOSITORY)
        self.model.release(number, [one for one in images if one in chosen - shown])

    def _say_withdrawn(self, name: str) -> None:
        """What was recorded did not happen."""
        event = AuditEvent("intake.release", "tester(0)", name, "failed", {"takes_back": True})
        self.inside.station.audit.record(event)

    @rule(which=st.integers(0, len(BUNDLES) - 1))
    def withdraw(self, which: int) -> None:
        released = [number for number, shown in self.model.shown.items() if shown]
        if released:
            number = released[which % len(released)]
            before = {tag: self.model.tag(tag) for tag in TAGS}, self.model.visible("manifest")
            gone = self.inside.withdraw(name_of(number))
            self.model.withdraw(number)
            tags = {f"{REPOSITORY}:{tag}" for tag in TAGS if self.model.tag(tag) != before[0][tag]}
            manifests = {f"{REPOSITORY}@{one}" for one in before[1] - self.model.visible("manifest")}
            assert set(gone) == tags | manifests

    @rule(number=st.sampled_from(sorted(BUNDLES)))
    def reject(self, number: int) -> None:
        if not self.model.shown[number] and number not in self.model.rejected and number > 3:
            self.inside.decide(name_of(number), self.template[1], "reject", "not wanted")
            self.model.rejected.add(number)

    @rule(one=st.sampled_from([PUSHED, ONE, TWO, FOUR]), tag=st.sampled_from(TAGS))
    def push(self, one: Image, tag: str) -> None:
        at, station = clock.now(), self.inside.station
        for data in one.whole():
            digest = Digest.of(data)
            self.pushed.add(str(digest))
            if not station.blobs.has_blob(digest):
                writer = station.blobs.begin_blob(digest, len(data))
                writer.write(data)
                writer.commit()
            self.model.lost.discard(str(digest))
        for data in one.blobs:
            row = BlobRow(digest=str(Digest.of(data)), size=len(data), crc32=0)
            self._say("push-blob", f"{REPOSITORY}@{row.digest}")
            self.inside.writer.submit(LinkBlob(repository=REPOSITORY, blob=row, at=at))
            self.model.link("client", "blob", row.digest)
        row = BlobRow(digest=one.digest, size=len(one.raw), crc32=0)
        self._say("push-manifest", f"{REPOSITORY}@{one.digest}", tags=tag)
        self.inside.writer.submit(
            PutManifest(
                repository=REPOSITORY, manifest=ManifestRow(blob=row, media_type=OCI_MANIFEST), at=at, tags=(tag,)
            )
        )
        self.model.link("client", "manifest", one.digest)
        self.model.set_tag("client", tag, one.digest)

    @rule(tag=st.sampled_from(TAGS))
    def delete_tag(self, tag: str) -> None:
        self._say("delete-tag", f"{REPOSITORY}:{tag}")
        self.inside.writer.submit(DeleteTag(repository=REPOSITORY, tag=tag))
        self.model.set_tag("client", tag, None)

    @rule(one=st.sampled_from(list(EVERY.values())))
    def delete_manifest(self, one: Image) -> None:
        self._say("delete-manifest", f"{REPOSITORY}@{one.digest}")
        self.inside.writer.submit(DeleteManifest(repository=REPOSITORY, digest=one.digest))
        if one.digest in self.model.visible("manifest"):
            self.model.end("manifest", one.digest)

    @rule(data=st.sampled_from([BASE, SHARED, EXTRA]))
    def delete_blob(self, data: bytes) -> None:
        self._say("delete-blob", f"{REPOSITORY}@{Digest.of(data)}")
        self.inside.writer.submit(DeleteBlob(repository=REPOSITORY, digest=str(Digest.of(data))))
        self.model.end("blob", str(Digest.of(data)))

    @rule()
    def collect_garbage(self) -> None:
        gc.run(self.inside.context())  # type: ignore[arg-type]
        self.model.collect()

    @invariant()
    def clients_see_what_stands(self) -> None:
        visible = self.inside.visible()
        assert {row[1]: row[2] for row in visible["tags"]} == {
            tag: self.model.tag(tag) for tag in TAGS if self.model.tag(tag) is not None
        }
        for kind in ("manifest", "blob"):
            assert {row[1] for row in visible["links"] if row[2] == kind} == self.model.visible(kind), kind

    @invariant()
    def nothing_that_may_be_needed_is_swept(self) -> None:
        blobs = self.inside.station.blobs
        for digest in self.model.pinned() | self.model.visible("manifest") | self.model.visible("blob"):
            assert digest in self.model.lost or blobs.has_blob(Digest.parse(digest)), digest

    @rule()
    def prune(self) -> None:
        self.pruned += 1
        paths, target = self.inside.station.paths, self.root / f"export{self.pruned}"
        for number in range(3):
            self._say("job.read", f"{self.pruned} {number}", pad="x" * 6_000)
        export.export(paths, target, {}, site="bravo", at=clock.now())
        prune_log(paths, target)

    @rule(data=st.data(), how=st.sampled_from(["tag moved", "tag deleted", "tag invented", "manifest", "blob", "gone"]))
    def tamper(self, data: st.DataObject, how: str) -> None:
        """Whoever writes to the database's file is found, and what they did is undone."""
        with closing(sqlite3.connect(self.root / "metadata.sqlite")) as database:
            before = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in HELD}
            number = database.execute("SELECT id FROM repositories WHERE name = ?", (REPOSITORY,)).fetchone()
            if number is None or not self._ever_released():
                return
            if not self._edit(database, number[0], how, data):
                return
            database.commit()
            assert moved_tags(self.inside.station) + unexplained(self.inside.station), how
            for table, rows in before.items():
                database.execute(f"DELETE FROM {table}")
                for row in rows:
                    database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
            database.commit()

    def _ever_released(self) -> bool:
        return REPOSITORY in self.released

    def _edit(self, database: sqlite3.Connection, number: int, how: str, data: st.DataObject) -> bool:
        """Make one change by hand. Whether there was something to change."""
        tags = sorted(tag for tag in TAGS if self.model.tag(tag) is not None)
        if how.startswith("tag"):
            if how != "tag invented" and not tags:
                return False
            digest = data.draw(st.sampled_from(sorted(EVERY)))
            free = sorted({*TAGS, "new"} - set(tags))
            tag = data.draw(st.sampled_from(free if how == "tag invented" else tags)) if tags or free else ""
            if (how != "tag invented" and not tags) or self.model.tag(tag) == digest:
                return False
            database.execute("DELETE FROM tags WHERE repository_id = ? AND tag = ?", (number, tag))
            if how != "tag deleted":
                database.execute(
                    "INSERT INTO tags (repository_id, tag, digest, updated) VALUES (?, ?, ?, '')", (number, tag, digest)
                )
            return True
        if how == "gone":
            standing = {one.digest for shown in self.model.shown.values() for one in shown}
            visible = sorted(standing & self.model.visible("manifest"))
            if visible:
                database.execute("DELETE FROM links WHERE digest = ?", (data.draw(st.sampled_from(visible)),))
            return bool(visible)
        hidden = [one for one in EVERY.values() if one.digest not in self.model.visible("manifest")]
        digests = {one.digest for one in hidden} if how == "manifest" else {
            str(Digest.of(blob)) for one in hidden for blob in one.blobs
        } - self.model.visible("blob")  # fmt: skip
        if how == "blob":  # a client's push of it may explain it
            digests -= self.pushed
        if not digests:
            return False
        digest = data.draw(st.sampled_from(sorted(digests)))
        database.execute(
            "INSERT INTO links (repository_id, digest, kind, created) VALUES (?, ?, ?, ?)",
            (number, digest, how, clock.now()),
        )
        return True

    @invariant()
    def there_is_no_alarm(self) -> None:
        assert unexplained(self.inside.station) == []
        assert moved(self.inside.station) == []


def run(template: tuple[Path, PrivateKey], folder: Path, examples: int, steps: int) -> None:
    machine = type("StandingHere", (Standing,), {"template": template, "folder": folder})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tags_moved, "_SETTLES", 0)
        patch.setattr(limits, "AUDIT_SEGMENT", 6_000)
        _run(machine, examples, steps)


def _run(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate, Phase.shrink),
        ),
    )  # fmt: skip


def test_what_stands_is_what_the_reference_says(template: tuple[Path, PrivateKey], tmp_path: Path) -> None:
    run(template, tmp_path, examples=45, steps=25)


@pytest.mark.long
def test_what_stands_is_what_the_reference_says_for_long(template: tuple[Path, PrivateKey], tmp_path: Path) -> None:
    run(template, tmp_path, examples=1_000, steps=50)


Released = Callable[..., Inside]


@pytest.fixture
def released(template: tuple[Path, PrivateKey], tmp_path: Path) -> Iterator[Released]:
    """Approves and releases bundles, by number, in this order."""
    shutil.copytree(template[0], tmp_path / "bravo")
    with Inside(tmp_path / "bravo") as inside:

        def release(*numbers: int) -> Inside:
            for number in numbers:
                inside.decide(name_of(number), template[1])
                inside.release(name_of(number))
            return inside

        yield release


def tags(inside: Inside) -> dict[str, str]:
    return {row[1]: EVERY[row[2]].name for row in inside.visible()["tags"]}


def blobs(inside: Inside) -> set[str]:
    return {row[1] for row in inside.visible()["links"] if row[2] == "blob"}


def test_a_tag_that_a_later_release_set_to_the_same_digest_stays(released: Released) -> None:
    inside = released(1, 2)
    assert inside.withdraw(name_of(1)) == [f"{REPOSITORY}:2", f"{REPOSITORY}@{TWO.digest}"]
    assert tags(inside) == {"1": "one", "latest": "one"}
    assert inside.withdraw(name_of(2)) == [
        f"{REPOSITORY}:1", f"{REPOSITORY}:latest", f"{REPOSITORY}@{ONE.digest}",
    ]  # fmt: skip
    assert tags(inside) == {}
    assert blobs(inside) == set()


def test_a_tag_goes_back_to_the_newest_release_that_still_stands(released: Released) -> None:
    inside = released(1, 3, 5)
    assert tags(inside)["1"] == "two"
    inside.withdraw(name_of(3))
    assert tags(inside)["1"] == "two"
    inside.withdraw(name_of(5))
    assert tags(inside)["1"] == "one"


def test_a_delta_keeps_the_base_that_it_stands_on_when_the_bases_release_is_withdrawn(released: Released) -> None:
    inside = released(1, 3)
    inside.withdraw(name_of(1))
    assert blobs(inside) == THREE.named
    assert unexplained(inside.station) == []
    gc.run(inside.context())  # type: ignore[arg-type]
    assert blobs(inside) == THREE.named


def test_a_tag_that_a_client_deleted_is_not_set_again_by_a_withdrawal(released: Released) -> None:
    inside = released(1)
    inside.writer.submit(DeleteTag(repository=REPOSITORY, tag="1"))
    inside = released(3)
    inside.withdraw(name_of(3))
    assert "1" not in tags(inside)


def put_tag(inside: Inside, tag: str, one: Image) -> None:
    inside.writer.submit(PutTag(repository=REPOSITORY, tag=tag, digest=one.digest, at=clock.now()))


def test_a_tag_that_a_client_deleted_and_set_again_is_not_the_releases_any_more(released: Released) -> None:
    inside = released(1)
    inside.writer.submit(DeleteTag(repository=REPOSITORY, tag="1"))
    put_tag(inside, "1", ONE)
    assert f"{REPOSITORY}:1" not in inside.withdraw(name_of(1))
    assert tags(inside) == {"1": "one"}


def test_a_tag_that_a_client_moved_away_and_back_is_not_the_releases_any_more(released: Released) -> None:
    inside = released(1)
    put_tag(inside, "1", TWO)
    put_tag(inside, "1", ONE)
    inside.withdraw(name_of(1))
    assert tags(inside) == {"1": "one"}


def test_a_tag_that_a_client_sets_to_where_it_stands_is_still_the_releases(released: Released) -> None:
    inside = released(1)
    put_tag(inside, "1", ONE)
    inside.withdraw(name_of(1))
    assert tags(inside) == {}


def test_a_clients_tag_between_two_releases_is_where_it_goes_back_to(released: Released) -> None:
    """The client's own setting stands between the releases, also where it is to the older one's digest."""
    inside = released(1)
    inside.writer.submit(DeleteTag(repository=REPOSITORY, tag="1"))
    put_tag(inside, "1", ONE)
    put_tag(inside, "mine", ONE)
    released(3)
    inside.withdraw(name_of(1))
    inside.withdraw(name_of(3))
    assert tags(inside) == {"1": "one", "mine": "one"}


def test_a_blob_that_a_client_deleted_and_brought_again_is_not_the_releases_any_more(released: Released) -> None:
    inside = released(1)
    digest = str(Digest.of(BASE))
    inside.writer.submit(DeleteBlob(repository=REPOSITORY, digest=digest))
    row = BlobRow(digest=digest, size=len(BASE), crc32=0)
    inside.writer.submit(LinkBlob(repository=REPOSITORY, blob=row, at=clock.now()))
    inside.withdraw(name_of(1))
    assert blobs(inside) == {digest}


def test_a_blob_that_stayed_for_an_earlier_release_goes_with_that_one(released: Released) -> None:
    inside = released(1)
    inside.writer.submit(DeleteBlob(repository=REPOSITORY, digest=str(Digest.of(BASE))))
    released(2)
    inside.withdraw(name_of(2))
    assert blobs(inside) >= ONE.named
    inside.withdraw(name_of(1))
    assert blobs(inside) == set()
    assert unexplained(inside.station) == []


def record(inside: Inside, act: str, digest: str, **detail: object) -> None:
    inside.station.audit.record(AuditEvent(act, "tester(0)", f"{REPOSITORY}@{digest}", "done", detail))


def delete_blob(inside: Inside, digest: str) -> None:
    record(inside, "delete-blob", digest)
    inside.writer.submit(DeleteBlob(repository=REPOSITORY, digest=digest))


def push(inside: Inside, one: Image, mounted: Mapping[str, str] = MappingProxyType({})) -> None:
    """A client pushes an image, and mounts those of its blobs that `mounted` names from another repository."""
    for data in one.blobs:
        row = BlobRow(digest=str(Digest.of(data)), size=len(data), crc32=0)
        if row.digest in mounted:
            record(inside, "mount-blob", row.digest, source=mounted[row.digest])
        else:
            record(inside, "push-blob", row.digest)
        inside.writer.submit(LinkBlob(repository=REPOSITORY, blob=row, at=clock.now()))
    shown = ManifestRow(blob=BlobRow(digest=one.digest, size=len(one.raw), crc32=0), media_type=one.media_type)
    record(inside, "push-manifest", one.digest, tags="mine")
    inside.writer.submit(PutManifest(repository=REPOSITORY, manifest=shown, at=clock.now(), tags=("mine",)))


@pytest.mark.parametrize("pruned", ["never", "between", "before", "after"])
def test_a_layer_that_a_withdrawal_leaves_to_a_pushed_image_is_explained(
    released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pruned: str
) -> None:
    """The layer came back with the release, and stays for the image that was shown before."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 6_000)
    inside, layer = released(), str(Digest.of(SHARED))

    def prune() -> None:
        record(inside, "job.read", layer, pad="x" * 12_000)
        export.export(inside.station.paths, tmp_path / "export", {}, site="bravo", at=clock.now())
        prune_log(inside.station.paths, tmp_path / "export")
        assert not inside.events("push-blob")

    push(inside, TWO)
    if pruned == "between":
        prune()
    delete_blob(inside, layer)
    if pruned == "before":
        prune()
    released(4)
    inside.withdraw(name_of(4))
    assert inside.events("intake.withdraw")[0]["detail"]["stays"] == {REPOSITORY: [layer]}
    assert blobs(inside) == TWO.named
    if pruned == "after":
        prune()
    assert unexplained(inside.station) == []
    assert moved(inside.station) == []
    delete_blob(inside, layer)
    show_by_hand(inside, layer)
    assert [one["digest"] for one in unexplained(inside.station)] == [layer]


def test_a_layer_that_a_withdrawal_leaves_to_an_image_made_up_in_the_database_is_found(released: Released) -> None:
    inside, layer = released(4), str(Digest.of(SHARED))
    forged = image("forged", SHARED)
    store = inside.station.blobs.begin_blob(Digest.of(forged.raw), len(forged.raw))
    store.write(forged.raw)
    store.commit()
    shown = ManifestRow(blob=BlobRow(digest=forged.digest, size=len(forged.raw), crc32=0), media_type=OCI_MANIFEST)
    inside.writer.submit(PutManifest(repository=REPOSITORY, manifest=shown, at=clock.now()))  # no event
    inside.withdraw(name_of(4))
    inside.writer.submit(DeleteManifest(repository=REPOSITORY, digest=forged.digest))
    assert inside.events("intake.withdraw")[0]["detail"]["stays"] == {REPOSITORY: [layer]}
    assert [one["digest"] for one in unexplained(inside.station)] == [layer]


def show_by_hand(inside: Inside, digest: str, kind: str = "blob") -> None:
    """A row of `links`, by whoever has the database's file."""
    number = inside.station.reader.execute("SELECT id FROM repositories WHERE name = ?", (REPOSITORY,)).fetchone()[0]
    with closing(sqlite3.connect(inside.station.paths.database)) as database:
        row = (number, digest, kind, clock.now())
        database.execute("INSERT INTO links (repository_id, digest, kind, created) VALUES (?, ?, ?, ?)", row)
        database.commit()


@pytest.mark.parametrize(
    ("source", "pruned"),
    [
        *((source, pruned) for source in ("pushed", "collected") for pruned in ("never", "between", "before", "after")),
        ("mounted", "never"), ("mounted", "before"), ("nobody", "never"),
    ],
)  # fmt: skip
def test_a_mounted_layer_that_was_deleted_and_that_a_withdrawal_leaves_is_explained(
    released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pruned: str, source: str
) -> None:
    """As a pushed one, where the source of the mount was let in; by hand alone it is found."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 6_000)
    inside, layer = released(), str(Digest.of(SHARED))

    def say(act: Act, repository: str, **detail: object) -> None:
        inside.station.audit.record(AuditEvent(act, "tester(0)", f"{repository}@{layer}", "done", detail))

    def prune() -> None:
        record(inside, "job.read", layer, pad="x" * 12_000)
        export.export(inside.station.paths, tmp_path / "export", {}, site="bravo", at=clock.now())
        prune_log(inside.station.paths, tmp_path / "export")

    if source == "collected":
        inside.station.audit.record(AuditEvent(Act.COLLECT, "a", "team/base:1", "done", {"digest": layer}))
    elif source != "nobody":
        say(Act.PUSH_BLOB, "team/first")
        if source == "mounted":
            say(Act.MOUNT_BLOB, "team/base", source="team/first")
            say(Act.DELETE_BLOB, "team/base")
            say(Act.DELETE_BLOB, "team/first")
    push(inside, TWO, {layer: "team/first" if source == "pushed" else "team/base"})
    if pruned == "between":
        prune()
    delete_blob(inside, layer)
    if pruned == "before":
        prune()
    released(4)
    inside.withdraw(name_of(4))
    if pruned == "after":
        prune()
    assert blobs(inside) == TWO.named
    assert [one["digest"] for one in unexplained(inside.station)] == ([layer] if source == "nobody" else [])
    delete_blob(inside, layer)
    show_by_hand(inside, layer)
    assert [one["digest"] for one in unexplained(inside.station)] == [layer]


@pytest.mark.parametrize("told", [1, 2])
def test_what_a_withdrawal_leaves_is_told_however_much_it_is(
    released: Released, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    monkeypatch.setattr(store_limits, "LEFT_TOLD", told)
    inside, layers = released(), sorted(TWO.named)
    push(inside, TWO)
    for layer in layers:
        delete_blob(inside, layer)
    released(4)
    inside.withdraw(name_of(4))
    said = [event["detail"]["stays"][REPOSITORY] for event in inside.events("intake.left")]
    first = inside.events("intake.withdraw")[0]["detail"]["stays"][REPOSITORY]
    assert [first, *said] == [layers[at : at + told] for at in range(0, len(layers), told)]
    assert unexplained(inside.station) == []
    for layer in layers:
        delete_blob(inside, layer)
        show_by_hand(inside, layer)
    assert {one["digest"] for one in unexplained(inside.station)} == set(layers)


async def test_the_control_api_tells_all_that_a_withdrawal_leaves_before_it_does_it(
    released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store_limits, "LEFT_TOLD", 2)
    inside, layers = released(), sorted(TWO.named)
    push(inside, TWO)
    for layer in layers:
        delete_blob(inside, layer)
    released(4)
    writer = AsyncGuarded(AsyncWriterService(inside.writer))
    callers = Callers(inside.station.config, Accounts(inside.station.reader))
    control = Control(inside.station, writer, Jobs(inside.station, writer, NoStarter()), "", callers)
    async with (
        served(application(control), tmp_path) as client,
        client.post(f"/v1/intake/{name_of(4)}/withdraw", json={"why": "recalled"}) as answer,
    ):
        assert answer.status == 200, await answer.text()
    (first,), (second,) = inside.events("intake.withdraw"), inside.events("intake.left")
    assert [event["detail"]["stays"][REPOSITORY] for event in (first, second)] == [layers[:2], layers[2:]]
    assert first["seq"] < second["seq"]
    assert blobs(inside) == TWO.named
    assert unexplained(inside.station) == []


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_withdrawal_that_failed_would_have_left_explains_nothing(released: Released, fails: bool) -> None:
    """Its parts stand in the log between its event and the one that takes it back."""
    inside, layer = released(), str(Digest.of(SHARED))
    push(inside, TWO)
    delete_blob(inside, layer)
    name = name_of(4)
    digest = find_entry(inside.station.reader, name).digest
    event = AuditEvent(Act.INTAKE_WITHDRAW, "tester(0)", name, "done", {"digest": digest})
    inside.station.audit.record(event)
    part = {"bundle": name, "stays": {REPOSITORY: [layer]}}
    inside.station.audit.record(AuditEvent(Act.INTAKE_LEFT, "tester(0)", digest, "done", part))
    if fails:
        inside.station.audit.record(refusal(event.act, event.actor, event.thing, FailedError("no"), recorded=True))
    show_by_hand(inside, layer)
    assert [one["digest"] for one in unexplained(inside.station)] == ([layer] if fails else [])


@pytest.mark.parametrize("pruned", [False, True])
def test_a_manifest_that_a_withdrawal_leaves_to_a_pushed_index_is_explained(
    released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pruned: bool
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 6_000)
    inside = released()
    push(inside, TWO)
    push(inside, ONE)
    push(inside, BOTH)
    record(inside, "delete-manifest", TWO.digest)
    inside.writer.submit(DeleteManifest(repository=REPOSITORY, digest=TWO.digest))
    released(4)
    inside.withdraw(name_of(4))
    if pruned:
        record(inside, "job.read", TWO.digest, pad="x" * 12_000)
        export.export(inside.station.paths, tmp_path / "export", {}, site="bravo", at=clock.now())
        prune_log(inside.station.paths, tmp_path / "export")
    assert TWO.digest in {row[1] for row in inside.visible()["links"]}
    assert unexplained(inside.station) == []
    assert moved(inside.station) == []


def test_a_withdrawal_that_would_leave_something_else_than_its_event_says_is_not_done(released: Released) -> None:
    inside = released(4)
    write = prepare_withdraw(inside.station, find_entry(inside.station.reader, name_of(4)), "recalled", "tester(0)")
    before = inside.visible()
    for leaves in (
        "0" * 64,
        msgspec.structs.replace(write, keep=((REPOSITORY, ONE.digest),)).look(inside.station.reader).seal(),
    ):
        with pytest.raises(FailedError, match="changed meanwhile"):
            inside.writer.submit(msgspec.structs.replace(write, leaves=leaves))
        assert inside.visible() == before
    inside.writer.submit(msgspec.structs.replace(write, leaves=write.look(inside.station.reader).seal()))
    assert inside.visible()["links"] == []


def test_a_layer_that_stays_for_an_earlier_release_after_it_was_deleted_is_explained(released: Released) -> None:
    inside = released(1)
    delete_blob(inside, str(Digest.of(SHARED)))
    released(4)
    inside.withdraw(name_of(4))
    assert blobs(inside) == ONE.named | TWO.named
    assert unexplained(inside.station) == []


def test_a_withdrawal_says_of_no_layer_that_it_stays_where_it_goes(released: Released) -> None:
    inside = released(1, 2)
    inside.withdraw(name_of(1))
    inside.withdraw(name_of(2))
    assert not any("stays" in event["detail"] for event in inside.events("intake.withdraw"))
    assert blobs(inside) == set()


def test_a_delta_is_not_released_once_the_bundle_that_it_stands_on_is_rejected(released: Released) -> None:
    inside = released()
    inside.decide(name_of(6), inside.officer("Second"), "reject", "not wanted")
    with pytest.raises(FailedError, match=r"alpha\.bravo-000006, which brought it, was rejected"):
        released(7)
    assert inside.visible()["links"] == []


def test_what_a_clients_tag_keeps_is_kept_whole(released: Released) -> None:
    inside = released(4)
    inside.writer.submit(PutTag(repository=REPOSITORY, tag="mine", digest=BOTH.digest, at=clock.now()))
    inside.withdraw(name_of(4))
    assert tags(inside) == {"mine": "index"}
    assert {row[1] for row in inside.visible()["links"]} == {
        BOTH.digest,
        ONE.digest,
        TWO.digest,
    } | ONE.named | TWO.named


def test_a_release_after_a_withdrawal_counts_as_the_newest(released: Released) -> None:
    inside = released(1, 3)
    inside.withdraw(name_of(1))
    released(1)
    assert tags(inside)["1"] == "one"
    inside.withdraw(name_of(1))
    assert tags(inside)["1"] == "three"
