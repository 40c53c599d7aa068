"""What the policy for images says of an artifact at the console, on a real station, and as it changes; what the station
answers of each rule and gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.api.policy import PolicyException, PolicyLine, PolicySaid
from appliance.image_signatures.applied import sign
from appliance.settings.gates import Gate
from appliance.settings.gates import PolicyException as Exempted
from appliance.settings.image_policy import ImageRule, PolicyRules
from bundles.signing.keys import create_private, save_private
from bundles.signing.pinning import trust_key
from tests.console.real import live
from tests.stage import Station
from tui.screens.content.artifact import ArtifactScreen
from tui.wording.policy import lines, verdict


async def test_what_the_policy_asks_of_an_artifact_is_shown_and_follows_what_changes(tmp_path: Path) -> None:
    content = tmp_path / "hello.bin"
    content.write_bytes(b"hello")
    with Station(tmp_path / "alpha", "alpha", "outside") as alpha:
        alpha.run("collect", f"file:{content}", "--as", "tools/hello:1")
        key = create_private()
        save_private(alpha.folder / "keys/build.pem", key, None)
        trust_key(alpha.folder / "trust", key.public, purpose="image", owner="Build team")
        people = [create_private(), create_private()]
        for one, owner in zip(people, ("Anna", "Boris"), strict=True):
            trust_key(alpha.folder / "trust", one.public, purpose="release", owner=owner)

        def apply(rules: PolicyRules) -> None:
            for one in people:
                sign(alpha.folder, rules, one)

        async with live(alpha.folder, (120, 40)) as console:
            console.app.push_screen(ArtifactScreen("tools/hello:1"))
            await console.until(lambda: console.app.screen.artifact is not None)
            await console.press("e")
            await console.shows("[--] no policy is in force")
            gate = Gate(repositories=["**"], at=["pull"], mode="warn", sbom="own")
            excepted = Exempted(id="old", owner="Anna", reason="r", until="2020-01-01T00:00:00Z", rule="sbom",
                                repositories=["tools/**"])  # fmt: skip
            apply(PolicyRules(image=[ImageRule(repositories=["tools/**"])], gate=[gate], exception=[excepted]))
            await console.shows("[!!] refused: only who may push there pulls it")  # by itself
            await console.shows("[!!] rule 1 is not met: signed by 0 of 1 that count")
            await console.shows("[!!] gate 1, sbom (warn) is not met")
            await console.shows("[--] exception old for rule sbom ended")
            alpha.run("sign", "tools/hello:1", "--key", "build")
            await console.shows("[ok] rule 1 is met")
            await console.shows("[!!] let through, with a warning")
            (alpha.folder / "image-policy/policy.json").write_bytes(b"{}")
            await console.press("r")
            await console.shows("is not the one that was applied")


async def test_it_is_opened_from_the_signatures_too(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await console.press("2", "enter", "down", "enter")
        await console.rest()
        await console.press("o")
        await console.rest()
        await console.press("e")
        await console.rest()
        assert console.name == "policy"
        text = console.screen()
        assert text.index("[!!] gate 1, severity") < text.index("[ok] rule 1")
        await console.press("y")
        assert console.app.clipboard == console.app.screen.found.digest
        await console.press("escape")
        await console.rest()
        assert console.name == "signatures"


def said(**more: Any) -> PolicySaid:
    return PolicySaid(reference="a:1", digest="sha256:0", repository="a", policy=1, **more)


def test_each_verdict_is_said_as_it_is_and_hostile_words_stay_words() -> None:
    evil = "\x1b[2J\u202e\n"
    line = PolicyLine(kind="gate", number=1, asked=evil, mode="enforce", at=("pull",), image=evil, platform=evil,
                      met=False, why=evil, asks=evil, exceptions=(evil,))  # fmt: skip
    excepted = PolicyException(id=evil, owner=evil, reason=evil, until="2027-01-01T00:00:00Z", advisory=evil,
                               digest=evil, expired=False)  # fmt: skip
    roles = [
        verdict(one)[1]
        for one in (
            said(lines=(line,), refused_at=("pull",)), said(lines=(line,), refused_at=("release",)),
            said(lines=(line,), warned_at=("pull",)), said(lines=(line,)), said(),
        )
    ]  # fmt: skip
    assert roles == ["bad", "need", "need", "ok", "plain"]
    found = lines(said(lines=(line,), exceptions=(excepted,), refused_at=(evil,)))
    text = "".join(part for row in found for part, _ in row)
    assert not {"\x1b", "\u202e", "\n"} & set(text + verdict(said(refused_at=(evil,)))[0])
