"""The main job in the real program on real stations, from the keys alone, at 80x24 without colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.tour.pull import pull
from bundles.oci.reference import Reference
from tests.console.stations import WORDS, Gap
from tests.console.tmux import Terminal, console
from tests.main_job.gap import random_file

MODEL, HELLO = "models/small:1.0", "tools/hello:2.1"


@pytest.fixture(scope="module")
def gap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gap]:
    root = tmp_path_factory.mktemp("gap")
    with Gap(root) as gap:
        gap.alpha.run("collect", f"file:{random_file(root / 'model.bin', 2_000_000)}", "--as", MODEL)
        gap.alpha.run("collect", f"file:{random_file(root / 'hello.bin', 2_000)}", "--as", HELLO)
        yield gap


def _pick(terminal: Terminal) -> None:
    """From the first screen by its own hints: the guide, and every artifact there is."""
    terminal.shows("Carry out: put artifacts on a medium", "no job")
    terminal.press("Enter")
    terminal.shows("Steps  1 of 7", "Pick artifacts", "enter: go to this step")
    terminal.press("Enter")
    for name in ("models/small", "tools/hello"):
        terminal.shows("Repositories  ", "tools/hello")
        terminal.press("Down" if name == "tools/hello" else "Home", "Enter")
        terminal.shows(f"Tags of {name}  1 of 1", "space Pick")
        terminal.press("Space")
        terminal.shows(f"{name}:", "picked")
        terminal.back()
    terminal.shows("Repositories  ")


def _address(terminal: Terminal, gap: Gap, cosigner: str) -> None:
    """The form from top to bottom: the site, a folder as the medium, the key, a co-signer."""
    terminal.press("3")
    terminal.shows("[>>] Next: choose the destination")
    terminal.press("Down", "Enter")
    terminal.shows("To which site?")
    terminal.press("End", "Enter")
    terminal.shows("The name that the other station was given.")
    terminal.type("bravo")
    terminal.press("Enter")
    terminal.shows("[ok] Destination     bravo", "[>>] Next: choose the medium")
    terminal.press("Down", "Down", "Enter")
    while "[x]" in terminal.shows("Write to which media?"):  # the one medium that this machine has plugged in
        terminal.press("Space")
        terminal.until(lambda screen: "[x]" not in screen, "no mark")
    terminal.press("End", "Space", "Enter")
    terminal.shows("Which folder?")
    terminal.type(str(gap.medium))
    terminal.press("Enter")
    terminal.shows("[ok] Medium")
    terminal.press("Down", "Down", "Enter")
    terminal.shows("Who signs?", "> engineer", "second")
    terminal.press("Enter")
    terminal.shows("[ok] Signing key     engineer")
    terminal.press("Down", "Enter")
    listed = terminal.shows("Who must sign too?", "Second pair of eyes")
    here, wanted = (next(n for n, row in enumerate(listed.split("\n")) if text in row) for text in ("> [ ]", cosigner))
    terminal.press(*["Down"] * (wanted - here), "Space")
    terminal.shows(f"[x] {cosigner}")
    terminal.press("Enter")
    terminal.shows(f"[ok] Co-signers      {cosigner}")


def _build(terminal: Terminal, gap: Gap, cosigner: str) -> Path:
    """Plan, build, sign, co-sign: until it says that the medium may be removed."""
    terminal.press("p")
    terminal.shows("2 artifacts,", "in 1 volume", "0001", "b builds it")
    assert not list(gap.medium.iterdir()), "a plan writes nothing"
    terminal.press("b")
    terminal.shows("Passphrase of the key engineer", "You sign bundle alpha.bravo-000001 for bravo.")
    terminal.type("another one")
    terminal.press("Enter")
    terminal.shows("Passphrase of the key engineer", "[!!] the passphrase does not open the key")
    terminal.type(WORDS)
    assert WORDS not in terminal.screen()
    terminal.press("Enter")
    terminal.shows("[>>] written and compared; before it is imported, o co-signs it", cosigner)
    terminal.press("o")
    terminal.shows("Passphrase of the key second", "You co-sign alpha.bravo-000001.")
    terminal.type(WORDS)
    terminal.press("Enter")
    terminal.shows("read back as signed: a folder of this disk", f"co-signed by {cosigner}")
    terminal.press("8")
    terminal.shows("[ok] 6  Remove the medium", "> [>>] 7  Summary")
    return gap.medium / "alpha.bravo-000001"


def _import(terminal: Terminal, folder: Path) -> None:
    """Answer the question that begins an import: a folder, by its path."""
    terminal.shows("Import what?")
    terminal.press("End", "Enter")
    terminal.shows("Which folder?")
    terminal.type(str(folder))
    terminal.press("Enter")


def test_a_bundle_is_carried_out_and_in_and_pulled_with_the_same_digests(gap: Gap) -> None:
    cosigner = gap.keyids["second"]
    with console(gap.alpha.folder) as outside:
        _pick(outside)
        _address(outside, gap, cosigner)
        folder = _build(outside, gap, cosigner)
        outside.press("q")
        assert outside.ended() == 0
    with console(gap.bravo.folder) as inside:
        inside.shows("Set up: people, keys, trust", "Bring in: verify and release", "i Import")
        inside.press("Down", "Enter")
        inside.shows("> [>>] 1  Insert the medium", "enter: go to this step")
        inside.press("Enter")
        _import(inside, folder)
        inside.shows("[ok] signatures", "[ok] inspection", "[>>] enter opens the bundle")
        inside.press("Enter")
        inside.shows("[>>] Next: read the report (o)", "[>>] approval    0 of 1", "[--] release")
        inside.press("o")
        inside.shows("Inspection report", "signed by", "Second pair of")
        inside.press("a")
        inside.shows("Passphrase of the key officer", "You approve alpha.bravo-000001:")
        inside.type(WORDS)
        inside.press("Enter")
        inside.shows("approved, 1 of 1; e releases it")
        inside.press("e")
        inside.shows("Release alpha.bravo-000001?")
        inside.press("y")
        inside.shows(f"released: {MODEL}, {HELLO}")
        inside.back()
        inside.shows("[ok] release     its artifacts are shown")
        inside.press("q")
        assert inside.ended() == 0
    for name in (MODEL, HELLO):
        reference = Reference.parse(name)
        sent, arrived = pull(gap.alpha.base, reference), pull(gap.bravo.base, reference)
        assert (arrived.digest, arrived.sizes) == (sent.digest, sent.sizes)


def test_a_flipped_byte_is_refused_in_view_and_says_what_to_do(gap: Gap) -> None:
    medium = gap.root / "rotten"
    medium.mkdir()
    gap.person(gap.alpha, "lone", "Lone", (gap.bravo,), "bundle", ["alpha"], words=None)
    words = ("bundle", "build", "--to", "bravo", "--out", medium, "--sign-with", "lone")
    folder = Path(gap.alpha.run(*words, MODEL).last_line)
    volume = folder / "volumes" / "0001.7z"
    volume.chmod(0o600)
    with volume.open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 1]))
    before = gap.bravo.run("intake", "list", "--json").stdout
    with console(gap.bravo.folder) as inside:
        inside.press("4")
        inside.shows("[4 Intake]", "i Import")
        inside.press("i")
        _import(inside, folder)
        screen = inside.shows("[!!] refused", "[ok] signatures", "[!!] volumes", "to do", "nothing of it was taken in")
        assert "volumes/0001.7z" in screen
        assert "Traceback" not in screen
    assert gap.bravo.run("intake", "list", "--json").stdout == before
