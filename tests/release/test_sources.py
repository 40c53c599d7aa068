"""Which source may write to which repositories, and whose a tag is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.intake import import_job, release
from appliance.settings.approvals import load_policy
from appliance.store.reads.intake import find_entry, report_text
from appliance.store.writes.registry import DeleteTag
from bundles.documents import report_page
from bundles.errors import RefusedError, UsageError
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Carried, Inside, carry

OURS, THEIRS = b"what alpha made", b"what gamma made"


class Yard:
    """A station that trusts sites alpha and gamma, and bundles of either."""

    def __init__(self, root: Path, inside: Inside) -> None:
        self.root, self.inside = root, inside
        self.officer: PrivateKey = inside.officer()
        self._last: dict[str, Carried] = {}
        self._made: dict[str, int] = {}

    def policy(self, text: str) -> None:
        self.inside.station.paths.approvals.write_text(text)

    def bring(self, site: str, data: bytes, *repositories: str, tag: str = "1") -> str:
        """A bundle with a file of `data` in each repository."""
        number = self._made[site] = self._made.get(site, 0) + 1
        store, last = MemoryStore(), self._last.get(site)
        artifacts = [file_artifact(store, data, repository, tag) for repository in repositories]
        made = carry(
            self.root / f"{site}{number}", store, artifacts, stream=f"{site}.bravo", sequence=number,
            previous=None if last is None else last.digest,
        )  # fmt: skip
        self._last[site] = made
        trust_key(self.inside.station.paths.trust, made.key.public, purpose="bundle", owner=f"{site} {number}",
                  sites=[site])  # fmt: skip
        return str(self.inside.bring(made.folder)["id"])

    def let_out(self, name: str, *only: str) -> None:
        if self.inside.state(name) != "released":
            self.inside.decide(name, self.officer)
        self.inside.release(name, only)

    def released(self, site: str, data: bytes, *repositories: str) -> str:
        name = self.bring(site, data, *repositories)
        self.let_out(name)
        return name

    def changes(self, name: str) -> dict[str, Any]:
        report = json.loads(report_text(self.inside.station.reader, find_entry(self.inside.station.reader, name).digest)
                            or "")  # fmt: skip
        return next(section for section in report["sections"] if section["inspector"] == "changes")

    def target(self, repository: str = "team/app", tag: str = "1") -> str | None:
        return self.inside.station.metadata.tag_target(repository, tag)


def text_of(section: dict[str, Any]) -> str:
    """A section as officers read it."""
    return "\n".join(report_page.lines(report_page.page({"sections": [section]})))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        yield Yard(tmp_path, inside)


def test_a_moved_tag_names_the_bundle_and_the_source_that_put_it_there(yard: Yard) -> None:
    first = yard.released("alpha", OURS, "team/app")
    before = yard.target()
    second = yard.bring("alpha", THEIRS, "team/app")
    section = yard.changes(second)
    (moved,) = section["details"]["moved"]
    assert (section["outcome"], moved["source"], moved["bundle"], moved["from"]) == ("note", "alpha", first, before)
    assert f"was {before}" in text_of(section)
    assert f"put there by {first} of alpha" in text_of(section)
    yard.let_out(second)


def test_a_tag_of_another_source_is_not_moved_where_no_policy_names_its_repository(yard: Yard) -> None:
    first = yard.released("alpha", OURS, "team/app")
    before = yard.target()
    theirs = yard.bring("gamma", THEIRS, "team/app")
    section = yard.changes(theirs)
    (foreign,) = section["details"]["of_another_source"]
    assert section["outcome"] == "fail"
    assert foreign == {"reference": "team/app:1", "from": before, "source": "alpha", "bundle": first}
    assert f"alpha put it where it is with {first}" in text_of(section)
    assert f"at {before}" in text_of(section)
    with pytest.raises(RefusedError, match="released from another source") as caught:
        yard.let_out(theirs)
    assert first in caught.value.thing
    assert yard.target() == before


def test_the_remedy_of_a_refused_move_works(yard: Yard) -> None:
    yard.released("alpha", OURS, "team/app")
    before, theirs = yard.target(), yard.bring("gamma", THEIRS, "team/app", "gamma/own")
    with pytest.raises(RefusedError, match=r"name team/app for gamma under \[\[sources\]\]"):
        yard.let_out(theirs)
    yard.let_out(theirs, "gamma/own")
    assert (yard.target(), yard.target("gamma/own") is None) == (before, False)
    yard.policy('[[sources]]\nsite = "gamma"\nrepositories = ["team/app", "gamma/**"]\n')
    yard.let_out(theirs)
    assert yard.target() != before


def test_a_source_that_sets_a_tag_to_the_same_digest_does_not_own_it(yard: Yard) -> None:
    yard.released("alpha", OURS, "team/app")
    yard.released("gamma", OURS, "team/app")
    theirs = yard.bring("gamma", THEIRS, "team/app")
    with pytest.raises(RefusedError, match="another source"):
        yard.let_out(theirs)
    yard.released("alpha", b"the next of alpha", "team/app")


def test_a_tag_that_its_source_lost_by_withdrawal_is_free(yard: Yard) -> None:
    first = yard.released("alpha", OURS, "team/app")
    theirs = yard.bring("gamma", THEIRS, "team/app")
    yard.inside.withdraw(first)
    yard.let_out(theirs)
    with pytest.raises(RefusedError, match="another source"):
        yard.let_out(first)


def test_a_tag_that_was_deleted_is_still_its_sources(yard: Yard) -> None:
    yard.released("alpha", OURS, "team/app", "team/other")
    yard.inside.writer.submit(DeleteTag(repository="team/app", tag="1"))
    assert yard.target() is None
    theirs = yard.bring("gamma", THEIRS, "team/app")
    with pytest.raises(RefusedError, match="another source"):
        yard.let_out(theirs)


def edit(yard: Yard, statement: str, *values: object) -> None:
    """Somebody with sqlite3 at the database."""
    with sqlite3.connect(yard.inside.station.paths.database) as intruder:
        intruder.execute(statement, values)
    intruder.close()


FORGOTTEN = (
    "DELETE FROM released",
    "DELETE FROM released WHERE kind = 'tag'",
    "UPDATE released SET item = 'another' WHERE kind = 'tag'",
    "UPDATE released SET digest = (SELECT digest FROM intake WHERE stream = 'gamma.bravo')",
)


@pytest.mark.parametrize("statement", FORGOTTEN)
def test_a_tag_stays_its_sources_whatever_rows_of_the_release_are_left(yard: Yard, statement: str) -> None:
    name = yard.released("alpha", OURS, "team/app")
    theirs = yard.bring("gamma", THEIRS, "team/app")
    edit(yard, statement)
    with pytest.raises(RefusedError, match=f"put at .* by {name} of alpha"):
        yard.let_out(theirs)
    digest = yard.target()
    edit(yard, "DELETE FROM tags")
    with pytest.raises(RefusedError, match=f"put at .* by {name} of alpha"):
        yard.let_out(theirs)
    assert yard.target() is None
    assert digest is not None


@pytest.mark.parametrize("statement", FORGOTTEN[:3])
def test_the_report_names_the_previous_source_whatever_rows_of_the_release_are_left(yard: Yard, statement: str) -> None:
    name = yard.released("alpha", OURS, "team/app")
    edit(yard, statement)
    section = yard.changes(yard.bring("gamma", THEIRS, "team/app"))
    assert section["outcome"] == "fail"
    assert [(one["source"], one["bundle"]) for one in section["details"]["of_another_source"]] == [("alpha", name)]


def test_two_releases_at_once_are_told_apart_in_the_transaction(yard: Yard) -> None:
    ours, theirs = yard.bring("alpha", OURS, "team/app"), yard.bring("gamma", THEIRS, "team/app")
    yard.inside.decide(theirs, yard.officer)
    prepared = release.prepare(yard.inside.station, find_entry(yard.inside.station.reader, theirs), "tester(0)")
    yard.let_out(ours)
    before = yard.inside.visible()
    with pytest.raises(RefusedError, match="meanwhile"):
        yard.inside.writer.submit(prepared.write)
    assert yard.inside.visible() == before


@pytest.mark.parametrize("only", [(), ("secret/plans",)])
def test_a_source_writes_what_the_policy_names_for_it_and_nothing_else(yard: Yard, only: tuple[str, ...]) -> None:
    yard.policy('[[sources]]\nsite = "alpha"\nrepositories = ["team/**"]\n')
    name = yard.bring("alpha", OURS, "team/app", "secret/plans")
    section = yard.changes(name)
    assert (section["outcome"], section["details"]["not_allowed"]) == ("fail", ["secret/plans"])
    assert "secret/plans" in text_of(section)
    with pytest.raises(RefusedError, match="does not let alpha write"):
        yard.let_out(name, *only)
    assert yard.inside.visible()["links"] == []
    yard.let_out(name, "team/app")
    assert yard.target("team/app") is not None
    assert yard.target("secret/plans") is None


def test_a_source_that_the_policy_does_not_name_writes_nothing(yard: Yard) -> None:
    yard.policy('[[sources]]\nsite = "alpha"\nrepositories = ["**"]\n')
    with pytest.raises(RefusedError, match="does not let gamma write"):
        yard.released("gamma", THEIRS, "gamma/own")


@pytest.mark.parametrize(
    "entry",
    [
        'site = "../x"\nrepositories = ["**"]', 'site = "alpha"\nrepositories = ["Team/*"]', 'site = "alpha"',
        'site = "alpha"\nrepositories = ["a\\u0000"]', 'site = "alpha"\nrepositories = "**"',
        'site = "alpha"\nrepositories = []\nrepository = "x"',
    ],
)  # fmt: skip
def test_a_slip_in_the_policy_stops_decisions(yard: Yard, entry: str) -> None:
    yard.policy(f"[[sources]]\n{entry}\n")
    with pytest.raises(UsageError, match="damaged rules"):
        load_policy(yard.inside.station.paths.approvals)


def test_the_import_says_in_its_log_what_the_release_would_be_refused_for(yard: Yard) -> None:
    yard.policy('[[sources]]\nsite = "gamma"\nrepositories = ["gamma/**"]\n')
    store = MemoryStore()
    made = carry(yard.root / "logged", store, [file_artifact(store, OURS, "team/app")], stream="gamma.bravo")
    trust_key(yard.inside.station.paths.trust, made.key.public, purpose="bundle", owner="G", sites=["gamma"])
    context = yard.inside.context(paths=[str(made.folder)])
    import_job.run(context)  # type: ignore[arg-type]
    assert any("does not let gamma write" in line for line in context.lines)
