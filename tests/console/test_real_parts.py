"""A part of a bundle, on a real station: what is whole is taken in, and some of it released."""

from __future__ import annotations

from pathlib import Path

from appliance.api.intake import IntakeDetail, ReleaseAnswer
from bundles.signing.keys import create_private, save_private
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore, file_artifact
from tests.console.real import live
from tests.console.stations import WORDS
from tests.intake.inside import carry
from tests.stage import Station
from tui.decisions.deciding import artifacts_of, released


async def test_what_is_whole_is_taken_in_and_a_part_of_it_released(tmp_path: Path) -> None:
    store = MemoryStore()
    made = carry(
        tmp_path / "one", store, [file_artifact(store, b"hello\n"), file_artifact(store, b"world\n" * 9, tag="2")]
    )
    bravo = Station(tmp_path / "bravo", "bravo", "inside")
    settings = bravo.folder / "config.toml"
    text = settings.read_text()
    settings.write_text("partial_imports = [\"alpha.*\"]\n" + text if "\npartial_imports" not in text
                        else text.replace("partial_imports = []", "partial_imports = [\"alpha.*\"]"))  # fmt: skip
    officer = create_private()
    save_private(bravo.folder / "keys/officer.pem", officer, WORDS.encode())
    trust_key(bravo.folder / "trust", officer.public, purpose="release", owner="Officer", sites=[])
    trust_key(bravo.folder / "trust", made.key.public, purpose="bundle", owner="Engineering", sites=["alpha"])
    with bravo:
        async with live(bravo.folder) as console:
            await console.press("4")
            await console.shows("nothing was carried in yet")
            await console.press("p")
            await console.shows("Import what is whole of which bundle?")
            await console.press("end", "enter")
            await console.shows("Import: Which folder?")
            await console.type(str(made.folder))
            await console.press("enter")
            await console.until(lambda: getattr(getattr(console.app.shown, "job", None), "state", "") == "done", "it")
            job = bravo.run("job", "list", "--json").json["items"][0]
            assert job["params"]["partial"] is True
            await console.press("4", "E")
            await console.shows("Release part: ")  # nobody approved it, and that is said
            bravo.run("intake", "approve", "alpha.bravo-000001", "--key", "officer", passphrase=WORDS)
            await console.shows("e releases it")
            entry = bravo.run("intake", "show", "alpha.bravo-000001", "--json").json
            await console.press("E")
            await console.shows("Release which of alpha.bravo-000001?")
            await console.press("space", "enter")
            await console.shows("Release 1 artifact of alpha.bravo-000001?")
            await console.press("y")
            await console.shows("the rest of the bundle stays in quarantine")
    assert len(entry["manifest"]["artifacts"]) == 2


def test_only_what_has_tags_is_offered_where_anything_has() -> None:
    listed = [{"repository": "a", "digest": "sha256:1", "tags": ["1", "2"]}, {"repository": "a", "digest": "sha256:2"}]
    entry = IntakeDetail(digest="", id="", stream="", sequence=1, state="", received="", manifest={"artifacts": listed})
    assert [(one.name, one.digest) for one in artifacts_of(entry)] == [("a:1, 2", "sha256:1")]
    assert released(ReleaseAnswer(released=("a:1",), whole=False), ())[1].endswith("stays in quarantine")
    assert "quarantine" not in released(ReleaseAnswer(released=("a:1",)), ())[1]
