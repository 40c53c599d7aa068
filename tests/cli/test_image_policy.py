"""`lockgate policy`: what people type, what is printed, and how it ends."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tests.image_signatures.signer import Layout
from tests.outgoing.outside import Outside

RULES = """
[[image]]
repositories = ["vec/**"]
owners = ["Build team"]

[[image]]
repositories = ["**"]
mode = "warn"
people = 2
"""


def test_two_people_apply_a_policy_and_it_is_explained(run: Run, station: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(RULES)
    checked = run("policy", "check", file, "-C", station)
    assert (checked.status, "rule 1 (enforce) vec/**: signed by 1 distinct owner, of Build team" in checked.out) == (
        0,
        True,
    )
    assert "no policy for images is in force" in run("policy", "explain", "-C", station).out
    for name in ("anna", "boris"):
        run("key", "create", name, "--no-passphrase", "-C", station)
        public = station / "keys" / f"{name}.pub.pem"
        run("key", "trust", public, "--purpose", "release", "--owner", name.title(), "-C", station)
    first = run("policy", "apply", file, "--key", "anna", "--json", "-C", station).document
    assert (first["applied"], first["signed_by"]) == (False, ["Anna"])
    waits = run("policy", "explain", "-C", station).out
    assert "policy 1 waits for a second person; signed by Anna" in waits
    assert run("policy", "apply", file, "--key", "boris", "--json", "-C", station).document["applied"] is True
    told = run("policy", "explain", "vec/app:1", "--json", "-C", station).document
    assert (told["number"], [one["rule"] for one in told["rules"]]) == (1, [1, 2])
    assert [one["rule"] for one in run("policy", "explain", "x", "--json", "-C", station).document["rules"]] == [2]
    file.write_text("[[image]]\nrepositories = ['vec/**']\npeople = 99\n")
    wrong = run("policy", "check", file, "-C", station)
    assert (wrong.status, "rule 1: people is from 1 to 16" in wrong.err) == (2, True)


def test_a_policy_is_tried_on_what_is_in_the_store(run: Run, tmp_path: Path) -> None:
    layout, file = Layout("legacy"), tmp_path / "policy.toml"
    (tmp_path / "cosign.pub").write_bytes(layout.cosign.to_pem())
    file.write_text(RULES)
    with Outside(tmp_path / "alpha") as outside:
        outside.collect_layout(layout.unpack(tmp_path), as_="vec/legacy:1")
        words = ("policy", "test", "vec/legacy:1", "-C", outside.root, "--json")
        asked = run(*words).document
        assert (asked["reference"], asked["results"], asked["gates"]) == ("vec/legacy:1", [], [])
        refused = run(*words, "--file", file)
        assert (refused.status, "rule 1 of the policy for images" in refused.err) == (3, True)
        assert run("policy", "test", "vec/none:1", "-C", outside.root, "--file", file).status == 1
        run("key", "trust", tmp_path / "cosign.pub", "--purpose", "image", "--owner", "Build team", "-C", outside.root)
        ended = run(*words, "--file", file)
    results = [(one["rule"], one["mode"], one["satisfied"]) for one in ended.document["results"]]
    assert (ended.status, results) == (0, [(1, "enforce", True)] * 3 + [(2, "warn", False)] * 3)
