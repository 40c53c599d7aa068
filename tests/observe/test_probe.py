"""Probes: the canary is pulled through each door as a client pulls it, and whatever is wrong is told by its reason."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from appliance.access.canary_manifest import daemonset
from appliance.control.canary import secret_of
from appliance.control.canary_pull import Door, Wanted, pull
from appliance.control.client import ControlClient
from appliance.limits import station as limits
from appliance.local_socket import connect_to
from appliance.measures.catalogue import PROBES
from appliance.paths import StationPaths
from bundles.errors import UsageError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from bundles.oci.reference import Reference
from tests import forked
from tests.access.live import PASSWORD, Live
from tests.observe.canary import CONFIG, IMAGE, LAYER, TAG, described

INDEX = json.dumps({
    "schemaVersion": 2, "mediaType": OCI_INDEX,
    "manifests": [{**described(b"not carried", OCI_MANIFEST)}, described(IMAGE, OCI_MANIFEST)],
}).encode()  # fmt: skip


class Canned:
    """A registry that says what it is told to, by path; anything else is 404. `stands`: where it says that a tag
    stands, else where it does."""

    def __init__(self, answers: dict[str, bytes | tuple[int, bytes]], stands: str = "") -> None:
        self._answers, self._stands, self.asked = answers, stands, list[str]()

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def _serve(self, served: socket.socket) -> None:
        with served, served.makefile("rb") as lines, contextlib.suppress(OSError):
            while request := lines.readline():
                path = request.decode().split()[1]
                self.asked.append(path)
                while lines.readline().strip():
                    pass
                found = self._answers.get(path, (404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"none"}]}'))
                status, body = found if isinstance(found, tuple) else (200, found)
                kind = OCI_INDEX if body == INDEX else OCI_MANIFEST
                stands = self._stands or (Digest.of(body) if path == TAG else "")
                head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                head += f"Docker-Content-Digest: {stands}\r\n\r\n" if stands else "\r\n"
                served.sendall(head.encode() + body)


def asked(answers: dict[str, Any], image: str = "base/canary:1") -> tuple[str, str]:
    found = pull(Door("listener", Canned(answers).connect), Wanted(Reference.parse(image)))
    assert found.reason in PROBES
    return found.reason, found.detail


def blob(raw: bytes) -> str:
    return f"/v2/base/canary/blobs/{Digest.of(raw)}"


WHOLE: dict[str, Any] = {TAG: IMAGE, blob(CONFIG): CONFIG, blob(LAYER): LAYER}


def test_a_whole_image_is_ok_and_of_an_index_the_first_that_is_here() -> None:
    assert asked(WHOLE) == ("ok", "")
    child = f"/v2/base/canary/manifests/{Digest.of(IMAGE)}"
    assert asked(WHOLE | {TAG: INDEX, child: IMAGE}) == ("ok", "")
    assert asked(WHOLE | {TAG: INDEX})[0] == "name"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({}, "name"),
        ({blob(LAYER): LAYER[:-1] + b"!"}, "digest"),
        ({blob(LAYER): LAYER[:-1]}, "digest"),
        ({blob(LAYER): (403, b'{"errors":[{"code":"DENIED","message":"no"}]}')}, "denied"),
        ({blob(LAYER): (503, b"[[[[" * 100_000)}, "answer"),
        ({TAG: (401, b"")}, "token"),
        ({TAG: (429, b'{"errors":[]}')}, "answer"),
        ({TAG: b"{" * 100_000}, "answer"),
        ({TAG: IMAGE.replace(b'"schemaVersion": 2', b'"schemaVersion": 3')}, "answer"),
        ({TAG: b"x" * (5 * 1024 * 1024)}, "large"),
        ({TAG: IMAGE.replace(str(len(LAYER)).encode(), b"99000000000")}, "large"),
    ],
)
def test_what_is_wrong_is_told_by_its_reason(answers: dict[str, Any], reason: str) -> None:
    found, detail = asked((WHOLE | answers) if answers else {})
    assert found == reason
    assert detail
    assert len(detail) <= 200


def test_a_digest_that_is_named_decides_and_nobody_listening_is_told() -> None:
    assert asked({TAG.removesuffix("/1") + f"/{Digest.of(CONFIG)}": IMAGE}, f"base/canary@{Digest.of(CONFIG)}") == (
        "digest", f"{Digest.of(CONFIG)}: what came is something else",
    )  # fmt: skip

    other = Canned(WHOLE, str(Digest.of(CONFIG)))  # the manifest of another tag, or one that rotted
    assert pull(Door("worker-1", other.connect), Wanted(Reference.parse("base/canary:1"))).reason == "digest"

    def refused() -> socket.socket:
        raise ConnectionRefusedError(111, "Connection refused")

    assert pull(Door("worker-1", refused), Wanted(Reference.parse("a:1"))).reason == "connect"


def test_a_pull_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PROBE_TIME", -1.0)
    assert asked(WHOLE)[0] == "time"


def test_a_secret_is_read_from_its_file_or_credential_and_a_bad_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = StationPaths(tmp_path)
    paths.keys.mkdir()
    with pytest.raises(UsageError, match="no secret"):
        secret_of(paths)
    paths.probe_secret.write_text("two words\x00")
    paths.probe_secret.chmod(0o600)
    with pytest.raises(UsageError, match="cannot be used"):
        secret_of(paths)
    paths.probe_secret.write_text("of the file\n")
    assert secret_of(paths) == "of the file"
    (tmp_path / "probe").write_text("of the service\n")
    (tmp_path / "probe").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret_of(paths) == "of the service"


def test_the_daemonset_pulls_the_canary_always_and_again() -> None:
    yaml = pytest.importorskip("yaml")
    made = list(yaml.safe_load_all(daemonset("registry.example:5000", Reference.parse("base/canary:1"))))
    assert [one["kind"] for one in made] == ["Namespace", "DaemonSet"]
    spec = made[1]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example:5000/base/canary:1", "Always")
    assert container["livenessProbe"]["initialDelaySeconds"] > 600
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert made[1]["spec"]["selector"]["matchLabels"] == made[1]["spec"]["template"]["metadata"]["labels"]


def test_a_station_pulls_its_canary_through_every_door_and_tells_what_it_lacks(live: Live) -> None:
    ended = functools.partial(json_of, live)
    lacks = live.call("probe", expect=2)
    assert "token create" in lacks
    assert "keys/probe.secret" in lacks
    (live.root / "keys/robot-canary.secret").rename(live.root / "keys/probe.secret")
    found = {door["door"]: door["reason"] for door in ended("probe")["doors"]}
    assert found == {"listener": "ok", "worker-1": "ok", "worker-2": "ok"}
    assert live.call("probe").count("[ok]") == 3
    health = {one["name"]: one["ok"] for one in ended("status")["health"]["checks"]}
    assert health["probe"] is True
    assert "may not pull" in live.call("probe", "base/other:1", expect=3)
    assert ended("probe", "--last")["image"] == "base/canary:1"
    # A secret that ended.
    (live.root / "keys/probe.secret").write_text("another secret")
    assert {one["reason"] for one in ended("probe", status=1)["doors"]} == {"token"}
    assert any(line.startswith("probe: ") for line in ended("status")["alerts"])
    metrics = read_metrics(live)
    assert 'lockgate_probes_total{door="worker",reason="ok"} 4.0' in metrics
    assert 'lockgate_probes_total{door="worker",reason="token"} 2.0' in metrics
    assert 'lockgate_probe_success{door="listener"} 0.0' in metrics
    assert 'lockgate_probes_total{door="listener",reason="tls"} 0.0' in metrics
    # Whoever reaches a worker's socket is asked as at the listener.
    link = connect_to(StationPaths(live.root).worker_socket(1))
    with live.trusting().wrap_socket(link, server_hostname="localhost") as worker:
        worker.sendall(b"GET /v2/base/canary/manifests/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert worker.recv(100).startswith(b"HTTP/1.1 401 ")
    assert StationPaths(live.root).worker_socket(1).stat().st_mode & 0o777 == 0o600


def json_of(live: Live, *words: str, status: int = 0) -> Any:
    """A command's document, whatever status it ends with."""
    environment = {"LOCKGATE_DIR": str(live.root), "XDG_RUNTIME_DIR": str(live.home)}
    done = forked.run([*words, "--json"], env=os.environ | environment, cwd="/")
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def read_metrics(live: Live) -> str:
    async def read() -> bytes:
        blocks: list[bytes] = []
        async with ControlClient(live.root) as client:
            await client.log_in("ada", PASSWORD)
            await client.fetch("/v1/metrics", blocks.append)
        return b"".join(blocks)

    return asyncio.run(read()).decode()
