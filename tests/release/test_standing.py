"""Whatever is released, withdrawn, pushed and deleted in whatever order: what clients see is what still stands.

A reference model keeps the history of every tag and every link, and reads what is visible off it: a withdrawn release
is struck out of the history, a deletion ends it. The station keeps claims instead (appliance.store.writes.claims).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance import clock
from appliance.audit import export
from appliance.audit.event import AuditEvent
from appliance.lifecycle import gc
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.release_check import moved_tags as tags_moved
from appliance.release_check.changed_retirements import changed_retirements
from appliance.release_check.moved_tags import moved, moved_tags
from appliance.release_check.unexplained import unexplained
from appliance.store.reads.intake import find_entry
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import DeleteBlob, DeleteManifest, DeleteTag, LinkBlob, PutManifest
from appliance.store.writes.retirements import Retire, Unretire
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST, parse_manifest
from bundles.signing.keys import PrivateKey
from tests.intake.inside import Inside, name_of
from tests.release.standing import (
    BASE,
    BOTH,
    BUNDLES,
    DELTAS,
    EVERY,
    EXTRA,
    FIVE,
    FOUR,
    ONE,
    PUSHED,
    REPOSITORY,
    SHARED,
    TWO,
    Image,
)

TAGS = ("1", "2", "4", "latest", "mine")
HELD = ("tags", "links")


@dataclass
class Model:
    """The reference: histories. `None` in a tag's history, and `end` in a link's, are deletions."""

    tags: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    links: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    shown: dict[int, set[Image]] = field(default_factory=lambda: {number: set() for number in BUNDLES})
    rejected: set[int] = field(default_factory=set)
    retired: dict[str, str] = field(default_factory=dict)
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

    def end_retired(self) -> None:
        """A collection takes a tag that is retired, where it stands where it stood, and nothing is released here."""
        if not any(self.shown.values()):
            for tag, digest in self.retired.items():
                if self.tag(tag) == digest:
                    self.set_tag("client", tag, None)

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
        manifest = ManifestRow(
            blob=row, media_type=OCI_MANIFEST, artifact_type=parse_manifest(one.raw).artifact_type
        )  # fmt: skip
        self.inside.writer.submit(PutManifest(repository=REPOSITORY, manifest=manifest, at=at, tags=(tag,)))
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

    @rule(tag=st.sampled_from(TAGS), after=st.sampled_from(["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]))
    def retire(self, tag: str, after: str) -> None:
        digest, reference = self.model.tag(tag), f"{REPOSITORY}:{tag}"
        if digest is None:
            return
        said = {
            "repository": REPOSITORY, "tag": tag, "digest": digest, "successor": f"{REPOSITORY}:new", "after": after,
            "reason": "", "at": clock.now(),
        }  # fmt: skip
        self._say("retire", reference, **said)
        self.inside.writer.submit(Retire(reference=reference, actor="tester(0)", **said))
        self.model.retired.pop(tag, None)
        if after < clock.now():
            self.model.retired[tag] = digest

    @rule(tag=st.sampled_from(TAGS))
    def unretire(self, tag: str) -> None:
        reference = f"{REPOSITORY}:{tag}"
        self._say("unretire", reference)
        self.inside.writer.submit(Unretire(reference=reference))
        self.model.retired.pop(tag, None)

    @rule()
    def collect_garbage(self) -> None:
        self.model.end_retired()
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
        assert changed_retirements(self.inside.station) == []


def run(
    template: tuple[Path, PrivateKey], folder: Path, examples: int, steps: int, of: type[Standing] = Standing
) -> None:
    machine = type("StandingHere", (of,), {"template": template, "folder": folder})
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
