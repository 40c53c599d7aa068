"""What `trust snippet` prints runs without a terminal, replaces nothing that others share, and is what clients read."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.access.snippets import CLIENTS, EVERY, check_mirrors, reach_of
from bundles.errors import UsageError
from tests.cli.conftest import Ended

HOST, CA = "registry.bravo.example:5000", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
SCRIPTS = sorted(CLIENTS.keys() - {"kubernetes"})
NAMES = ["bravo", "registry.bravo.example", "*.wild.example", "localhost", "127.0.0.1", "::1", "10.0.0.5"]
yaml: Callable[[str], Any] = pytest.importorskip("yaml").safe_load


@dataclass
class Node:
    """A machine whose /etc is a folder; scripts run there without a terminal."""

    root: Path

    def run(self, client: str, *mirrors: str, login: bool = False) -> Ended:
        script = CLIENTS[client](HOST, CA, mirrors).text(client, HOST).replace("/etc/", f"{self.root}/etc/")
        (self.root / "secret").write_text("S3cret\n")
        given = {"LOCKGATE_USER": "robot-nodes", "LOCKGATE_SECRET_FILE": str(self.root / "secret")} if login else {}
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", **given}
        done = subprocess.run(
            ["sh"], input=script, env=environment, capture_output=True, text=True, check=False, start_new_session=True
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str:
        return self.path(path).read_text().replace(f"{self.root}/etc/", "/etc/")

    def program(self, name: str) -> Path:
        """A program that keeps its words and what it reads."""
        kept = self.root / f"{name}.called"
        (self.root / "bin").mkdir(exist_ok=True)
        (self.root / "bin" / name).write_text(f'#!/bin/sh\necho "$@" > {kept}\ncat >> {kept}\n')
        (self.root / "bin" / name).chmod(0o755)
        return kept


@pytest.fixture
def node(tmp_path: Path) -> Node:
    (tmp_path / "etc/containerd").mkdir(parents=True)
    (tmp_path / "etc/containerd/config.toml").write_text('config_path = "/etc/containerd/certs.d"\n'.replace(
        "/etc/", f"{tmp_path}/etc/"
    ))  # fmt: skip
    return Node(tmp_path)


@pytest.mark.parametrize("client", SCRIPTS)
def test_a_script_runs_without_a_terminal_and_puts_the_ca_where_the_client_looks(node: Node, client: str) -> None:
    ended = node.run(client)
    assert ended.status == 0, ended.err
    held = [path for path in node.path("/etc").rglob("*.crt") if path.read_text() == CA]
    assert len(held) == 1
    assert (held[0].stat().st_mode & 0o777, held[0].parent.stat().st_mode & 0o055) == (0o644, 0o055)
    assert node.run(client).status == 0, "and again"
    assert list(node.path("/etc").rglob("*.before")) == []
    assert list(node.path("/etc").rglob("*.lockgate")) == []


@pytest.mark.parametrize(
    ("client", "program"), [("podman", "podman"), ("docker", "docker"), ("skopeo", "skopeo"), ("helm", "helm")]
)
def test_a_log_in_reads_the_secret_from_its_file_and_never_the_terminal(node: Node, client: str, program: str) -> None:
    called = node.program(program)
    assert node.run(client, login=True).status == 0
    words, secret = called.read_text().splitlines()
    assert "login" in words
    assert words.endswith(f"--username robot-nodes --password-stdin {HOST}")
    assert secret == "S3cret"


def test_an_account_without_its_secret_stops_the_script_before_it_writes(node: Node) -> None:
    script = CLIENTS["containerd"](HOST, CA, ()).text("containerd", HOST).replace("/etc/", f"{node.root}/etc/")
    environment = {"PATH": os.environ["PATH"], "LOCKGATE_USER": "robot-nodes"}
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "LOCKGATE_SECRET_FILE" in done.stderr
    assert not node.path("/etc/containerd/certs.d").exists()


def test_containerd_asks_the_station_alone_for_each_mirrored_registry(node: Node) -> None:
    assert node.run("containerd", "docker.io", EVERY, login=True).status == 0
    basic = base64.b64encode(b"robot-nodes:S3cret").decode()
    for folder in (HOST, "docker.io", EVERY):
        hosts = tomllib.loads(node.read(f"/etc/containerd/certs.d/{folder}/hosts.toml"))
        assert hosts["server"] == f"https://{HOST}", "nobody else is asked when it does not answer"
        ((url, host),) = hosts["host"].items()
        assert (url, host["capabilities"]) == (f"https://{HOST}", ["pull", "resolve"])
        assert {hosts["ca"], host["ca"]} == {f"/etc/containerd/certs.d/{HOST}/ca.crt"}
        assert host["header"]["authorization"] == [f"Basic {basic}"]
        assert node.path(f"/etc/containerd/certs.d/{folder}/hosts.toml").stat().st_mode & 0o077 == 0
    assert "header" not in tomllib.loads(CLIENTS["containerd"](HOST, CA, ()).files[
        f"/etc/containerd/certs.d/{HOST}/hosts.toml"].replace("$header", ""))["host"][f"https://{HOST}"]  # fmt: skip


def test_containerd_without_its_folder_of_hosts_is_told_what_to_add(node: Node) -> None:
    node.path("/etc/containerd/config.toml").write_text("version = 3\n")
    ended = node.run("containerd")
    assert ended.status == 1
    assert 'config_path = "' in ended.err
    assert "io.containerd.cri.v1.images" in ended.err
    assert "io.containerd.grpc.v1.cri" in ended.err


@pytest.mark.parametrize(
    ("client", "mirrors", "path"),
    [
        ("k3s", (), "/etc/rancher/k3s/registries.yaml"),
        ("containerd", ("docker.io",), "/etc/containerd/certs.d/docker.io/hosts.toml"),
        ("docker", ("docker.io",), "/etc/docker/daemon.json"),
    ],
)
def test_a_file_that_others_share_is_never_replaced(
    node: Node, client: str, mirrors: tuple[str, ...], path: str
) -> None:
    node.path(path).parent.mkdir(parents=True)
    node.path(path).write_text("what somebody wrote\n")
    ended = node.run(client, *mirrors)
    assert (ended.status, node.read(path)) == (1, "what somebody wrote\n")
    assert f"merge what {node.path(path)}.lockgate holds into it" in ended.err
    assert HOST in node.path(f"{path}.lockgate").read_text()
    assert ("put its entries below the mirrors: and configs:" in ended.err) is (client == "k3s")
    assert "at its start" not in ended.err, "nothing is to be restarted before it was merged"


def test_a_file_of_the_station_alone_is_replaced_and_what_was_there_is_kept(node: Node) -> None:
    path = f"/etc/containers/certs.d/{HOST}/ca.crt"
    node.path(path).parent.mkdir(parents=True)
    node.path(path).write_text("the CA before\n")
    assert node.run("podman").status == 0
    assert (node.read(path), node.read(f"{path}.before")) == (CA, "the CA before\n")


def test_k3s_is_not_restarted_and_its_mirrors_lead_to_the_station(node: Node) -> None:
    called = node.program("systemctl")
    assert node.run("k3s", "docker.io", EVERY, login=True).status == 0
    assert not called.exists()
    document = yaml(node.read("/etc/rancher/k3s/registries.yaml"))
    assert document["mirrors"].keys() == {HOST, "docker.io", "*"}
    assert {tuple(one["endpoint"]) for one in document["mirrors"].values()} == {(f"https://{HOST}",)}
    assert document["configs"][HOST] == {
        "tls": {"ca_file": "/etc/rancher/k3s/lockgate-ca.crt"},
        "auth": {"username": "robot-nodes", "password": "S3cret"},
    }
    assert yaml(CLIENTS["k3s"](HOST, CA, ()).files["/etc/rancher/k3s/registries.yaml"].replace("$auth", ""))


def test_crio_logs_in_by_one_file_and_its_mirrors_ask_nobody_else(node: Node) -> None:
    assert node.run("crio", "docker.io", "quay.io", login=True).status == 0
    auths = json.loads(node.read("/etc/crio/lockgate-auth.json"))["auths"]
    assert base64.b64decode(auths[HOST]["auth"]) == b"robot-nodes:S3cret"
    crio = tomllib.loads(node.read("/etc/crio/crio.conf.d/50-lockgate.conf"))
    assert crio["crio"]["image"]["global_auth_file"] == "/etc/crio/lockgate-auth.json"
    conf = tomllib.loads(node.read("/etc/containers/registries.conf.d/50-lockgate.conf"))
    assert conf["unqualified-search-registries"] == ["docker.io"]
    assert conf["registry"] == [{"prefix": name, "location": HOST} for name in ("docker.io", "quay.io")]
    assert node.run("crio").status == 0
    assert json.loads(node.read("/etc/crio/lockgate-auth.json")) == {"auths": {}}


def test_kubernetes_has_a_daemon_set_that_writes_what_containerd_reads() -> None:
    text = CLIENTS["kubernetes"](HOST, CA, ("docker.io",)).text("kubernetes", HOST)
    objects = {one["kind"]: one for one in (yaml(part) for part in text.split("\n---\n"))}
    assert objects.keys() == {"Namespace", "Secret", "DaemonSet", "Pod"}
    data = objects["Secret"]["stringData"]
    assert data["ca.crt"].strip() == CA.strip()
    assert tomllib.loads(data["hosts.toml"])["server"] == f"https://{HOST}"
    (container,) = objects["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert f'for name in "{HOST}" "docker.io"; do' in container["args"][0]
    assert subprocess.run(["sh", "-n"], input=container["args"][0], text=True, check=False).returncode == 0
    (app,) = objects["Pod"]["spec"]["containers"]
    assert (app["image"], app["imagePullPolicy"]) == (f"{HOST}/REPO@sha256:DIGEST", "IfNotPresent")
    assert objects["Pod"]["spec"]["imagePullSecrets"] == [{"name": "lockgate"}]


@pytest.mark.parametrize(
    ("client", "mirror"), [("helm", "docker.io"), ("skopeo", "docker.io"), ("docker", "quay.io"), ("crio", EVERY),
                           ("podman", EVERY)],
)  # fmt: skip
def test_a_mirror_that_a_client_cannot_have_is_a_usage_error(client: str, mirror: str) -> None:
    with pytest.raises(UsageError):
        CLIENTS[client](HOST, CA, (mirror,))


@pytest.mark.parametrize("name", ["docker", "https://docker.io", "docker.io/library", "a b.c", "$(id).io", ""])
def test_a_mirror_that_is_no_registry_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="not a registry"):
        check_mirrors((name,))


@pytest.mark.parametrize(
    ("host", "reach"),
    [
        (None, "bravo:5000"), ("registry.bravo.example", "registry.bravo.example:5000"),
        ("REGISTRY.bravo.example:443", "registry.bravo.example:443"), ("a.wild.example", "a.wild.example:5000"),
        ("10.0.0.5", "10.0.0.5:5000"), ("[::1]:6000", "[::1]:6000"), ("[0:0::1]", "[0:0::1]:5000"),
    ],
)  # fmt: skip
def test_a_host_of_the_certificate_is_taken_with_its_port(host: str | None, reach: str) -> None:
    assert reach_of(host, NAMES, 5000) == reach


@pytest.mark.parametrize("host", ["other.example", "b.a.wild.example", "wild.example", "10.0.0.6", "bravo.example"])
def test_a_host_outside_the_certificate_is_refused_with_the_names_that_it_has(host: str) -> None:
    with pytest.raises(UsageError, match="certificate is not for that host") as refused:
        reach_of(host, NAMES, 5000)
    assert "registry.bravo.example" in refused.value.thing
    assert refused.value.remedy.startswith(f"make one for it: lockgate tls renew --name {host}")


@pytest.mark.parametrize("host", ["bravo:", "bravo:70000", "bravo;id", "$(id)", "::1", "a/b", ""])
def test_what_is_no_host_is_a_usage_error(host: str) -> None:
    with pytest.raises(UsageError, match="not a host"):
        reach_of(host, NAMES, 5000)


def test_the_usual_host_is_one_that_other_machines_reach() -> None:
    assert reach_of(None, ["localhost", "127.0.0.1", "10.0.0.5"], 5000) == "10.0.0.5:5000"
    assert reach_of(None, ["*.wild.example", "localhost"], 5000) == "localhost:5000"
