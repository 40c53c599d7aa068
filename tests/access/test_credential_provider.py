"""The kubelet's credential provider: one request in, one log-in out, for the station alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.access import credential_provider
from appliance.access.kubelet_snippet import audience_of, kubelet
from appliance.settings.station import Config
from appliance.settings.workload_issuers import WorkloadIssuerSettings
from bundles.errors import UsageError
from tests.access.issuer import rsa_jwk, settings, token, write_keys
from tests.access.site import Site, ask_token, basic

HOST = "registry.bravo.example:5000"
TOKEN = token()


def request(**changed: Any) -> bytes:
    fields = {
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest",
        "image": f"{HOST}/team/app@sha256:00", "serviceAccountToken": TOKEN, **changed,
    }  # fmt: skip
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def run(raw: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    """The program as a node has it: one file, and Python's own library."""
    program = [sys.executable, "-I", "-S", credential_provider.__file__, *(words or (HOST,))]
    return subprocess.run(program, input=raw, capture_output=True, check=False, cwd="/")


def test_a_pods_token_is_the_log_in_for_the_station(site: Site, tmp_path: Path) -> None:
    done = run(request())
    assert (done.returncode, done.stderr) == (0, b"")
    document = json.loads(done.stdout)
    assert document == {
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderResponse",
        "cacheKeyType": "Registry", "cacheDuration": "0s",
        "auth": {HOST: {"username": "workload", "password": TOKEN}},
    }  # fmt: skip
    site.robot("robot-prod", "reader team/*")
    server = site.worker(issuers={"cluster": settings(write_keys(tmp_path / "keys.json", rsa_jwk()))})
    given = document["auth"][HOST]
    headers = basic(given["username"], given["password"])
    assert ask_token(server, headers, "repository:team/app:pull").status == 200


@pytest.mark.parametrize(
    "image",
    ["docker.io/library/nginx", "registry.bravo.example/team/app", "evil.example/registry.bravo.example:5000/x"],
)
def test_another_registry_gets_no_token(image: str) -> None:
    assert credential_provider.answer(request(image=image), HOST)["auth"] == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{", b"\xff", request(kind="Other"),
        request(apiVersion="credentialprovider.kubelet.k8s.io/v1beta1"),
        request(image=None), request(image=7), request(serviceAccountToken=None), request(serviceAccountToken="a.b"),
        request(serviceAccountToken="a.b.c\n"), request(serviceAccountToken="a." + "b" * 9_000 + ".c"),
        request()[:-1] + b', "image": "x"}', request(padding="x" * 70_000), b"[" * 60_000,
    ],
    ids=range(15),
)  # fmt: skip
def test_what_is_no_request_is_one_line_without_the_token(raw: bytes) -> None:
    done = run(raw)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
    assert TOKEN.encode() not in done.stderr
    assert done.stderr.startswith(b"lockgate-credential-provider: ")


def test_it_takes_the_stations_host_and_nothing_else() -> None:
    for words in (("--help",), (HOST, "x"), ("",)):
        assert run(request(), *words).returncode == 1


def test_the_script_puts_the_program_and_its_configuration_in_place(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    made = kubelet(HOST, "registry.bravo.example")
    script = made.text("kubelet", HOST).replace("/etc/", f"{tmp_path}/etc/")
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    program = tmp_path / "etc/kubernetes/lockgate/bin/lockgate-credential-provider"
    assert os.access(program, os.X_OK)
    ran = subprocess.run([program, HOST], input=request(), capture_output=True, check=False)
    assert json.loads(ran.stdout)["auth"][HOST]["password"] == TOKEN
    (provider,) = yaml.safe_load((program.parent.parent / "credential-providers.yaml").read_text())["providers"]
    assert (provider["name"], provider["matchImages"], provider["args"]) == (program.name, [HOST], [HOST])
    assert provider["tokenAttributes"] == {
        "serviceAccountTokenAudience": "registry.bravo.example", "cacheType": "Token", "requireServiceAccount": True,
    }  # fmt: skip


def test_the_audience_is_that_of_the_cluster() -> None:
    one, other = WorkloadIssuerSettings(audience="a"), WorkloadIssuerSettings(audience="b")
    config = Config(site="bravo", side="inside", workload_issuers={"cluster": one, "ci": other})
    assert audience_of(config, "ci") == "b"
    assert audience_of(Config(site="bravo", side="inside", workload_issuers={"cluster": one}), None) == "a"
    for wrong, issuer in ((config, None), (config, "no"), (Config(site="bravo", side="inside"), None)):
        with pytest.raises(UsageError):
            audience_of(wrong, issuer)
