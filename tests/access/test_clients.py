"""The clients that Debian has, set up by the snippets as they are printed, against a whole station over TLS: they log
in, push, mount and pull with tokens, and get no further than their account.

A snippet writes below /etc: it runs in a mount namespace of its own, over a copy of /etc/containers.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.access.live import PASSWORD, Live
from tests.peer_tools import require
from tests.peers.stock import Layout, run

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts over /etc/containers for itself alone: needs root"),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    station = Live(folder / "bravo", folder)
    station.make()
    station.start()
    station.call("user", "login", "ada", password=PASSWORD)
    station.call("user", "create", "alice", password=PASSWORD)
    station.call("role", "grant", "alice", "writer", "--on", "team/**")
    yield station
    station.stop()


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    made.tag("1", made.image({"etc/name": b"x", "opt/payload": os.urandom(200_000)}, "amd64"))
    return made


@dataclass
class Machine:
    """A client's machine: the files a snippet put below /etc/containers, and a place for what it pulls."""

    live: Live
    folder: Path

    def __post_init__(self) -> None:
        storage, settings = self.folder / "storage.conf", self.folder / "containers.conf"
        (self.folder / "etc").mkdir()
        (self.folder / "auth.json").write_text("{}")
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{self.folder}/root"\nrunroot = "{self.folder}/run"\n'
        )
        settings.write_text('[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n')
        self.environment = os.environ | {
            "CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(settings), "HOME": str(self.folder),
            "REGISTRY_AUTH_FILE": str(self.folder / "auth.json"), "TMPDIR": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
        }  # fmt: skip

    def sh(self, script: str, typed: str = "", expect: int = 0) -> str:
        """A script's stdout, or its stderr where it is to fail; what it writes below /etc/containers is kept here."""
        over = (
            f"set -e; cp -a /etc/containers/. {self.folder}/etc/; mount --bind {self.folder}/etc /etc/containers\n"
            if not (self.folder / "etc/policy.json").exists()
            else f"set -e; mount --bind {self.folder}/etc /etc/containers\n"
        )
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", over + script], input=typed, capture_output=True, text=True,
            env=self.environment, cwd=self.folder, timeout=300, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) is (expect == 0), (script, done.stdout, done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def snippet(self, client: str, *words: str) -> None:
        """Run what `lockgate trust snippet` prints, for alice."""
        text = self.live.call("trust", "snippet", client, "--host", self.live.host, *words)
        (self.folder / "secret").write_text(f"{PASSWORD}\n")
        self.sh(f"export LOCKGATE_USER=alice LOCKGATE_SECRET_FILE={self.folder}/secret\n{text}")


@pytest.fixture
def machine(live: Live, tmp_path: Path) -> Machine:
    require("unshare", "skopeo", "buildah", "podman")
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    return Machine(live, tmp_path)


@pytest.fixture(scope="module")
def pushed(live: Live, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> str:
    """team/app:1, pushed by skopeo; its digest."""
    folder = tmp_path_factory.mktemp("pushing")
    (folder / "ca.crt").write_bytes((live.root / "tls/ca.pem").read_bytes())
    target = ("--dest-cert-dir", folder, "--dest-creds", f"alice:{PASSWORD}")
    run("skopeo", "copy", "--quiet", *target, f"oci:{layout.folder}:1", f"docker://{live.host}/team/app:1")
    return str(json.loads((layout.folder / "index.json").read_text())["manifests"][0]["digest"])


def test_podman_logs_in_and_pulls_by_its_snippet_then_pushes_and_mounts(
    live: Live, machine: Machine, pushed: str
) -> None:
    machine.snippet("podman")
    machine.sh(f"podman pull {live.host}/team/app:1")
    shown = json.loads(machine.sh(f"podman image inspect {live.host}/team/app:1"))
    assert shown[0]["Digest"] == pushed
    machine.sh(f"podman tag {live.host}/team/app:1 {live.host}/team/podman:1")
    machine.sh(f"podman push {live.host}/team/podman:1")
    assert (
        machine.sh(f"skopeo inspect --format '{{{{.Name}}}}' docker://{live.host}/team/podman:1")
        .strip()
        .endswith("team/podman")
    )
    refused = machine.sh(f"podman push {live.host}/team/podman:1 {live.host}/secret/podman:1", expect=1)
    assert "denied" in refused.lower() or "403" in refused
    assert "denied" in machine.sh(f"podman pull {live.host}/secret/app:1", expect=1).lower()


def test_a_mirror_gives_what_is_asked_of_another_registry_under_the_same_name(
    live: Live, machine: Machine, pushed: str
) -> None:
    machine.snippet("podman", "--mirror", "docker.io", "--mirror", "quay.io")
    for name in ("docker.io/team/app:1", f"quay.io/team/app@{pushed}", "team/app:1"):
        machine.sh(f"podman pull {name}")
    asked = "".join(path.read_text() for path in (live.root / "audit").rglob("*.jsonl"))
    assert f'"thing":"team/app@{pushed}"' in asked
    assert json.loads(machine.sh("podman image inspect docker.io/team/app:1"))[0]["Digest"] == pushed


def test_skopeo_logs_in_and_copies_by_its_snippet(live: Live, machine: Machine, pushed: str) -> None:
    machine.snippet("skopeo")
    machine.sh(f"skopeo copy --quiet docker://{live.host}/team/app:1 oci:got:1")
    got = json.loads((machine.folder / "got/index.json").read_text())
    assert got["manifests"][0]["digest"] == pushed
    machine.sh(f"skopeo copy --quiet docker://{live.host}/team/app:1 docker://{live.host}/team/copied:1")
    log = "".join(path.read_text() for path in (live.root / "audit").rglob("*.jsonl"))
    assert '"act":"mount-blob"' in log
    machine.sh(f"skopeo list-tags docker://{live.host}/team/copied")
    machine.sh(f"skopeo copy --quiet oci:got:1 docker://{live.host}/secret/app:1", expect=1)


def test_buildah_takes_an_image_adds_to_it_and_pushes_it_with_a_robots_secret(
    live: Live, machine: Machine, pushed: str
) -> None:
    made = json.loads(live.call("token", "create", "robot-build", "--json"))
    live.call("role", "grant", "robot-build", "writer", "--on", "team/**")
    machine.snippet("podman")  # buildah reads the same files
    machine.sh("echo '{}' > auth.json")
    machine.sh(f"buildah login --username robot-build --password-stdin {live.host}", made["secret"])
    (machine.folder / "more").write_bytes(os.urandom(50_000))
    container = machine.sh(f"buildah from {live.host}/team/app:1").strip()
    machine.sh(f"buildah add {container} more /opt/more && buildah commit {container} {live.host}/team/built:1")
    machine.sh(f"buildah push {live.host}/team/built:1")
    layers = json.loads(machine.sh(f"skopeo inspect --raw docker://{live.host}/team/built:1"))["layers"]
    assert len(layers) >= 2
    live.call("token", "revoke", made["secret_id"])
    machine.sh(f"buildah push {live.host}/team/built:1 {live.host}/team/again:1", expect=1)


def test_without_the_snippet_no_client_speaks_to_the_station(live: Live, machine: Machine, pushed: str) -> None:
    for command in (f"podman pull {live.host}/team/app:1", f"skopeo inspect docker://{live.host}/team/app:1"):
        assert "certificate" in machine.sh(command, expect=1)
