"""The policy for images at the pulls of a station that is served: its own worker processes, over TLS."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from appliance.image_signatures.applied import sign
from appliance.settings.image_policy import PolicyRules
from appliance.trust_acts import pin, revoke
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private, save_private
from tests.access.live import PASSWORD, Live
from tests.access.site import basic
from tests.image_signatures.pulling import SIGNER, rule, signed
from tests.image_signatures.signer import Image
from tests.peer_tools import find_go_peer, require

BASIC = basic("alice", PASSWORD)
CONNECTIONS = 12


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A station where alice may push to team/**, and bob pull."""
    folder = tmp_path_factory.mktemp("live")
    station = Live(folder / "bravo", folder)
    station.make()
    station.start()
    station.call("user", "login", "ada", password=PASSWORD)
    station.call("user", "create", "alice", password=PASSWORD)
    station.call("user", "create", "bob", password=PASSWORD)
    station.call("role", "grant", "alice", "maintainer", "--on", "team/**")
    station.call("role", "grant", "bob", "reader", "--on", "team/**")
    yield station
    station.stop()


def ask(live: Live, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """One request on a connection of its own, which any worker may take."""
    connection = http.client.HTTPSConnection("localhost", live.port, context=live.trusting(), timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body or None, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()


def put(live: Live, raw: bytes, reference: str = "") -> None:
    """A manifest with everything that it names, of the image's store or empty."""
    sent = BASIC | {"Content-Type": json.loads(raw)["mediaType"]}
    status, said = ask(live, "PUT", f"/v2/team/app/manifests/{reference or Digest.of(raw)}", sent, raw)
    assert status == 201, said


def test_every_worker_of_a_station_that_is_served_goes_by_the_policy(live: Live) -> None:
    image, people = signed(), [create_private(), create_private()]
    manifests = {image.subject.digest, image.carriers[0].digest}
    for digest, raw in image.store.blobs.items():
        if digest not in manifests:
            status, said = ask(live, "POST", f"/v2/team/app/blobs/uploads/?digest={digest}", BASIC, raw)
            assert status == 201, said
    put(live, image.subject.raw, "1")
    query = urlencode({"service": "lockgate/bravo", "scope": "repository:team/app:pull"})
    token = json.loads(ask(live, "GET", f"/token?{query}", basic("bob", PASSWORD))[1])["token"]

    def statuses() -> set[int]:
        sent = {"Authorization": f"Bearer {token}"}
        return {ask(live, "GET", "/v2/team/app/manifests/1", sent)[0] for _ in range(CONNECTIONS)}

    assert statuses() == {200}
    for key, owner in zip(people, ("Anna", "Boris"), strict=True):
        pin(live.root, key.public, purpose="release", owner=owner, sites=())
        sign(live.root, PolicyRules(image=[rule()]), key)
    assert statuses() == {403}
    assert ask(live, "GET", "/v2/team/app/manifests/1", BASIC)[0] == 200
    put(live, image.store.blobs[image.carriers[0].digest])
    assert statuses() == {403}
    pin(live.root, SIGNER.public, purpose="image", owner="Build team", sites=())
    assert statuses() == {200}
    revoke(live.root, SIGNER.public.keyid, "lost")
    assert statuses() == {403}


@pytest.mark.peer
def test_skopeo_reads_what_is_not_signed_for_who_may_push_and_for_nobody_else(live: Live, tmp_path: Path) -> None:
    require("skopeo")
    document = json.loads(live.call("trust", "snippet", "skopeo", "--host", live.host, "--json"))
    for path, content in document["files"].items():
        (tmp_path / Path(path).name).write_text(content)
    put(live, signed().subject.raw, "2")
    people = [create_private(), create_private()]
    for key, owner in zip(people, ("Carla", "Dora"), strict=True):
        pin(live.root, key.public, purpose="release", owner=owner, sites=())
        sign(live.root, PolicyRules(image=[rule(people=2)]), key)

    def inspected(name: str) -> subprocess.CompletedProcess[str]:
        command = ["skopeo", "inspect", "--raw", "--cert-dir", str(tmp_path), "--creds", f"{name}:{PASSWORD}"]
        return subprocess.run(
            [*command, f"docker://{live.host}/team/app:2"], capture_output=True, text=True, check=False
        )

    done = inspected("alice")
    assert done.returncode == 0, done.stderr
    refused = inspected("bob")
    assert refused.returncode != 0
    assert "rule 1 of the policy for images: signed by 0 of 2 that count" in refused.stderr


@pytest.mark.peer
def test_the_library_of_podman_and_skopeo_goes_by_the_policy_that_is_printed_for_it(live: Live, tmp_path: Path) -> None:
    """The script is run as it is printed; alice pulls, whom the station itself holds nothing back from."""
    program, etc = find_go_peer("containers-pull"), tmp_path / "etc/containers"
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/ca.crt").write_bytes((live.root / "tls/ca.pem").read_bytes())
    for number in ("1", "2", "3"):
        for raw in [*Image(text=number).store.blobs.values(), b"{}"]:
            status, said = ask(live, "POST", f"/v2/team/node/blobs/uploads/?digest={Digest.of(raw)}", BASIC, raw)
            assert status == 201, said
        raw = Image(text=number).subject.raw
        sent = BASIC | {"Content-Type": json.loads(raw)["mediaType"]}
        assert ask(live, "PUT", f"/v2/team/node/manifests/{number}", sent, raw)[0] == 201
    alice = replace(live, home=tmp_path)
    alice.call("user", "login", "alice", password=PASSWORD)
    keys = {name: create_private() for name in ("build", "stranger")}
    for (name, key), tag in zip(keys.items(), ("1", "2"), strict=True):
        save_private(tmp_path / f"{name}.pem", key, None)
        alice.call("sign", f"team/node:{tag}", "--key", tmp_path / f"{name}.pem", "--format", "cosign")
    pin(live.root, keys["build"].public, purpose="image", owner="Builder", sites=())
    file = tmp_path / "policy.toml"
    file.write_text('[[image]]\nrepositories = ["team/node"]\nowners = ["Builder"]\n')
    script = live.call("policy", "snippet", "containers", "--file", file, "--host", live.host)
    etc.mkdir(parents=True)
    subprocess.run(["sh"], input=script.replace("/etc/", f"{tmp_path}/etc/"), text=True, check=True)

    def pulled(tag: str) -> subprocess.CompletedProcess[str]:
        words = [program, etc / "policy.json", etc / "registries.d", tmp_path / "certs", f"alice:{PASSWORD}"]
        named = [f"docker://{live.host}/team/node:{tag}", f"dir:{tmp_path / tag}"]
        return subprocess.run([*words, *named], capture_output=True, text=True, check=False)

    taken, strange, unsigned = pulled("1"), pulled("2"), pulled("3")
    assert taken.returncode == 0, taken.stderr
    for refused in (strange, unsigned):
        assert refused.returncode != 0
        assert "Source image rejected" in refused.stderr
