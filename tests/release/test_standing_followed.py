"""Whatever people and clients do: a stand-by that takes states now and then holds what stands, with its content."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis.stateful import rule

from appliance.paths import StationPaths
from appliance.standby.joining import join
from appliance.standby.sending import Sender
from appliance.standby.taking import Taker
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey
from tests.intake.inside import INTAKE, VISIBLE, Inside, dump
from tests.release.test_standing import TAGS, Standing, run

FOLLOWED = (*VISIBLE, *INTAKE, "retirements")


class Followed(Standing):
    """And a stand-by takes states of it, now and then."""

    joined = False

    @rule()
    def follow(self) -> None:
        exchange, copy = self.root / "exchange", self.root / "standby-copy"
        exchange.mkdir(exist_ok=True)
        Sender(self.root, exchange).send()
        if not self.joined:
            self.inside.__exit__()
            shutil.copytree(self.root, copy, ignore=shutil.ignore_patterns("*.sock", exchange.name, copy.name))
            self.inside, self.joined = Inside(self.root), True
            join(copy, exchange)
        role = Taker(copy, exchange).take()[0]
        assert role.fault == ""
        held = StationPaths(StationPaths(copy).standby_state(role.term, role.number))
        with closing(open_reader(held.database)) as reader:
            assert dump(reader, FOLLOWED) == dump(self.inside.station.reader, FOLLOWED)
            visible = dump(reader, VISIBLE)
        assert {row[1]: row[2] for row in visible["tags"]} == {
            tag: self.model.tag(tag) for tag in TAGS if self.model.tag(tag) is not None
        }
        assert {row[1] for row in visible["links"] if row[2] == "blob"} == self.model.visible("blob")
        store = BlobStore(StationPaths(copy))
        for digest in self.model.visible("manifest") | self.model.visible("blob") | self.model.pinned():
            assert digest in self.model.lost or store.has_blob(Digest.parse(digest))


def test_a_stand_by_shows_what_stands(template: tuple[Path, PrivateKey], tmp_path: Path) -> None:
    run(template, tmp_path, examples=2, steps=16, of=Followed)


@pytest.mark.long
def test_a_stand_by_shows_what_stands_for_long(template: tuple[Path, PrivateKey], tmp_path: Path) -> None:
    run(template, tmp_path, examples=60, steps=40, of=Followed)
