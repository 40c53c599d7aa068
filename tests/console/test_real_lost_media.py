"""A medium that was lost, on real stations: cut again, and the receipt that comes back is taken in, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import UNSET

from appliance.api.bundles import TakenStatement
from bundles.signing.keys import load_private
from bundles.signing.pinning import trust_key
from tests.console.real import Live, live
from tests.stage import Station
from tui.decisions.building import check_medium
from tui.wording.statements import taken_statement


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Station, Station]]:
    """alpha with a bundle for bravo in usb/, bravo with its receipt key pinned at alpha."""
    (tmp_path / "usb").mkdir()
    (tmp_path / "content").write_bytes(b"content" * 1000)
    alpha, bravo = Station(tmp_path / "alpha", "alpha", "outside"), Station(tmp_path / "bravo", "bravo", "inside")
    receipt = load_private(bravo.folder / "keys/receipt.pem", None)
    trust_key(alpha.folder / "trust", receipt.public, purpose="receipt", owner="Bravo", sites=["bravo"])
    with alpha, bravo:
        alpha.run("key", "create", "engineer", "--no-passphrase")
        signer = load_private(alpha.folder / "keys/engineer.pem", None).public
        trust_key(bravo.folder / "trust", signer, purpose="bundle", owner="Engineering", sites=["alpha"])
        alpha.run("collect", f"file:{tmp_path / 'content'}", "--as", "files/thing:1")
        alpha.run("bundle", "build", "files/thing:1", "--to", "bravo", "--out", tmp_path / "usb", "--sign-with",
                  "engineer")  # fmt: skip
        yield alpha, bravo


async def job_ends(console: Live, kind: str) -> None:
    await console.until(lambda: console.app.shown is not None and console.app.shown.name_of == "job", "the job's page")
    await console.until(lambda: bool(getattr(console.app.shown, "job", None)) and console.app.shown.job.final, kind)  # type: ignore[union-attr]
    assert console.app.shown.job.state == "done", console.screen()  # type: ignore[union-attr]


def files_of(medium: Path) -> dict[str, bytes]:
    return {str(one.relative_to(medium)): one.read_bytes() for one in medium.rglob("*") if one.is_file()}


async def fill(console: Live, *texts: str) -> None:
    for text in texts:
        await console.type(text)
        await console.press("enter")


async def test_a_lost_medium_is_cut_again_and_a_receipt_taken_in(tmp_path: Path, both: tuple[Station, Station]) -> None:
    alpha, bravo = both
    again = tmp_path / "again"
    again.mkdir()
    async with live(alpha.folder) as console:
        console.app.show_root("bundles")
        await console.shows("alpha.bravo-000001")
        await console.press("t")
        await console.shows("Recut a medium of alpha.bravo-000001")
        await fill(console, "2x")
        await console.shows("medium: a medium's number")
        await fill(console, "2", str(again))
        await console.until(
            lambda: getattr(getattr(console.app.shown, "job", None), "state", "") == "failed", "refused"
        )
        await console.shows("alpha.bravo-000001 has 1 to 1")
        await console.press("escape", "t")
        await console.shows("Recut a medium of alpha.bravo-000001")
        await fill(console, "1", str(again))
        await job_ends(console, "recut")
        first, second = (files_of(tmp_path / place) for place in ("usb", "again"))
        assert first == second

        bravo.run("intake", "import", again / "alpha.bravo-000001")
        bravo.run("receipt", "export", "--out", tmp_path / "receipt")
        console.app.show_root("deltas")
        await console.shows("alpha.bravo")
        await console.press("i")
        await console.shows("Take in which receipt or want-list?")
        await fill(console, str(tmp_path / "content"))
        await console.until(lambda: "[!!]" in console.screen(), "what is no receipt is refused")
        await console.press("i")
        await fill(console, str(tmp_path / "receipt"))
        await console.shows("receipt 1 of bravo: recorded; it tells of 1 bundle")
        await console.press("i")
        await fill(console, str(tmp_path / "receipt"))
        await console.shows("receipt 1 of bravo: the same that was recorded before")
    taken = alpha.run("audit", "show", "--json", "--act", "receipt.take").json["items"]
    assert [one["outcome"] for one in taken if one["outcome"] == "done"] == ["done"]


@pytest.mark.parametrize(
    ("taken", "role", "part"),
    [
        (TakenStatement(site="bravo", number=3, new=True), "ok", "receipt 3 of bravo: recorded"),
        (TakenStatement(site="bravo", bundle="alpha.bravo-000002", new=True), "ok", "want-list of bravo for alpha."),
        (TakenStatement(site="bravo", number=3, custody=("a.b-000001",), back=("a.b-000001",), new=True), "need",
         "counts again: a.b-000001"),
        (TakenStatement(site="bravo", number=UNSET, bundle="a.b-000009", voided=("a.b-000009",), new=False), "need",
         "build it again: a.b-000009"),
    ],
)  # fmt: skip
def test_what_a_statement_changed_is_told(taken: TakenStatement, role: str, part: str) -> None:
    told = taken_statement(taken)
    assert told[0] == role
    assert part in told[1]


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "²", "99999", "x"])
def test_a_mediums_number_is_a_whole_number(text: str) -> None:
    assert check_medium(text)
    assert not check_medium("12")
