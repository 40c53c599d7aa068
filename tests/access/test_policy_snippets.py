"""The policy for images as rules of other programs: what they ask for, and what is said of the rest."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from appliance.access.policy_snippets import (
    PROGRAMS,
    SIGNED_HERE,
    Elsewhere,
    Signer,
    check_signed_as,
    containers,
    rules_with,
)
from appliance.settings.image_policy import ImageRule
from bundles.errors import MalformedError
from bundles.signing import certificates
from bundles.signing.keys import create_private
from tests.image_signatures.signer import certify

HOST = "bravo.example:5000"
BUILD, SPARE, DESK = (create_private() for _ in range(3))
KEYS = [
    Signer(owner, key.public.keyid, key.public.to_pem().decode())
    for owner, key in (("Build team", BUILD), ("Build team", SPARE), ("Desk", DESK))
]
PATH = "/etc/containers/policy.json"


def rule(*repositories: str, **asked: Any) -> ImageRule:
    return ImageRule(repositories=list(repositories), **asked)


def made(program: str, *rules: ImageRule, signers: list[Signer] = KEYS) -> Elsewhere:
    return PROGRAMS[program](rules_with(rules, signers), HOST, SIGNED_HERE)


def scopes(found: Elsewhere) -> dict[str, list[dict[str, Any]]]:
    document: dict[str, Any] = json.loads(found.snippet.files[PATH])
    assert document["default"] == [{"type": "insecureAcceptAnything"}]
    asked: dict[str, list[dict[str, Any]]] = document["transports"]["docker"]
    return asked


def keys_of(asked: dict[str, Any]) -> list[bytes]:
    data = asked.get("keyDatas", [asked.get("keyData")])
    return [base64.b64decode(one) for one in data]


def items(found: Elsewhere) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(found.snippet.text("kyverno", HOST))["items"]
    return listed


def test_a_repository_is_asked_for_the_keys_that_count_for_its_rule() -> None:
    found = made("containers", rule("team/app", owners=["Desk"]))
    (asked,) = scopes(found)[f"{HOST}/team/app"]
    assert (asked["type"], keys_of(asked)) == ("sigstoreSigned", [DESK.public.to_pem()])
    assert asked["signedIdentity"] == {"type": "exactRepository", "dockerRepository": "docker.io/team/app"}
    assert found.unsaid == ()


def test_as_many_people_as_there_are_owners_are_each_asked_for() -> None:
    found = made("containers", rule("team/**", people=2))
    build, desk = scopes(found)[f"{HOST}/team"]
    assert [len(keys_of(build)), len(keys_of(desk))] == [2, 1]
    assert {one["signedIdentity"]["type"] for one in (build, desk)} == {"matchRepository"}
    assert found.unsaid == ()


def test_an_exact_scope_holds_what_the_wider_ones_ask_for_too() -> None:
    found = scopes(made("containers", rule("**", owners=["Desk"]), rule("team/app", owners=["Build team"])))
    assert [len(found[HOST]), len(found[f"{HOST}/team/app"])] == [1, 2]


@pytest.mark.parametrize(
    "asked",
    [
        rule("team/*/prod"),
        rule("team/app", mode="warn"),
        rule("team/app", annotations={"a": "b"}),
        rule("team/app", attestations=["https://slsa.dev/provenance/v1"]),
        rule("team/app", identities=["CN=release"]),
    ],
    ids=["pattern", "warn", "annotations", "attestations", "identities"],
)
def test_what_containers_cannot_ask_for_is_named(asked: ImageRule) -> None:
    (line,) = made("containers", asked).unsaid
    assert line.startswith("rule 1: ")


def test_fewer_people_than_asked_for_are_named() -> None:
    third = create_private()
    signers = [*KEYS, Signer("Third", third.public.keyid, third.public.to_pem().decode())]
    found = made("containers", rule("team/app", people=2), signers=signers)
    assert len(scopes(found)[f"{HOST}/team/app"]) == 1
    assert len(found.unsaid) == 1


def test_a_rule_that_nobody_can_satisfy_lets_nothing_through() -> None:
    found = made("containers", rule("team/app", owners=["Nobody"]))
    assert scopes(found) == {f"{HOST}/team/app": [{"type": "reject"}]}


def test_kyverno_counts_owners_and_not_their_keys() -> None:
    (policy,) = items(made("kyverno", rule("team/app", people=2, annotations={"team": "alpha"})))
    (verify,) = policy["spec"]["rules"][0]["verifyImages"]
    (attestor,) = verify["attestors"]
    build, desk = attestor["entries"]
    assert (attestor["count"], build["attestor"]["count"], len(build["attestor"]["entries"])) == (2, 1, 2)
    assert desk["keys"]["publicKeys"] == DESK.public.to_pem().decode()
    assert desk["annotations"] == {"team": "alpha"}
    assert (desk["keys"]["rekor"], desk["keys"]["ctlog"]) == ({"ignoreTlog": True}, {"ignoreSCT": True})
    assert verify["imageReferences"] == [f"{HOST}/team/app:*", f"{HOST}/team/app@*"]
    assert verify["failureAction"] == "Enforce"


def test_kyverno_audits_where_the_policy_warns_and_reads_roots_as_notary() -> None:
    pem = certificates.render(certify("PKI").der).decode()
    root = Signer("PKI", "0" * 16, pem)
    (policy,) = items(made("kyverno", rule("**", mode="warn"), signers=[root]))
    (verify,) = policy["spec"]["rules"][0]["verifyImages"]
    assert (verify["type"], verify["failureAction"], verify["imageReferences"]) == ("Notary", "Audit", [f"{HOST}/*"])
    assert verify["attestors"][0]["entries"][0]["certificates"]["cert"] == pem


def test_ratify_gets_each_key_once_and_a_rule_for_each_scope() -> None:
    found = items(made("ratify", rule("team/**"), rule("vendor/app", owners=["Desk"])))
    kinds = [one["kind"] for one in found]
    assert kinds == ["KeyManagementProvider"] * 3 + ["Verifier"]
    policies = found[-1]["spec"]["parameters"]["trustPolicies"]
    assert [one["scopes"] for one in policies] == [[f"{HOST}/team/*"], [f"{HOST}/vendor/app"]]
    assert [len(one["keys"]) for one in policies] == [3, 1]
    assert {one["tLogVerify"] for one in policies} == {False}


def test_what_people_write_stays_a_text_of_its_own() -> None:
    hostile = 'x"\n  kind: Evil\nLOCKGATE\n$(id)'
    for program in PROGRAMS:
        text = made(program, rule("team/app", annotations={hostile: hostile})).snippet.text(program, HOST)
        assert "\n  kind: Evil" not in text
        assert "\nLOCKGATE\n$(id)" not in text


@pytest.mark.parametrize("text", ["", "no host", "registry.example/UPPER", "registry.example/", "a/b"])
def test_only_a_registry_is_taken_for_one(text: str) -> None:
    with pytest.raises(MalformedError):
        check_signed_as(text)
    assert check_signed_as("registry.example:5000/mirror") == "registry.example:5000/mirror"


def test_the_script_replaces_no_policy_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "etc/containers").mkdir(parents=True)
    (tmp_path / "etc/containers/policy.json").write_text("{}")
    script = containers(rules_with([rule("team/app")], KEYS), HOST, SIGNED_HERE).snippet.text("containers", HOST)
    done = subprocess.run(
        ["sh"], input=script.replace("/etc/", f"{tmp_path}/etc/"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "etc/containers/policy.json").read_text() == "{}"
    assert json.loads((tmp_path / "etc/containers/policy.json.lockgate").read_text())["transports"]
    registries = tmp_path / "etc/containers/registries.d/lockgate-bravo.example-5000.yaml"
    assert json.loads(registries.read_text())["docker"] == {HOST: {"use-sigstore-attachments": True}}
