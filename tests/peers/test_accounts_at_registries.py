"""`collect` with the accounts of whoever runs it: at docker's registry behind TLS and htpasswd, and at Lockgate's own
behind its token service. The secret is in no file, parameter, log, event or argument afterwards."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.tour.pull import pull
from appliance.tour.stage import Outcome, Station
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference
from tests.access.papers import Issuer
from tests.access.site import Site, bearer, token
from tests.peers.stock import Layout, closed_registry_in, run

pytestmark = pytest.mark.peer

USER, SECRET = "ada", "registry password"
WRONG = "wr0ng-secret-of-the-test"


def auth_file(path: Path, host: str, secret: str, user: str = USER) -> Path:
    entry = {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}
    path.write_text(json.dumps({"auths": {host: entry}}))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("layout"))
    layout.tag("both", layout.index([layout.image({"a": arch.encode()}, arch) for arch in ("amd64", "arm64")]))
    return layout


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, layout: Layout) -> Iterator[tuple[str, Path]]:
    """Host and port of a closed registry with `team/both:1`, and the file of its authority."""
    folder = tmp_path_factory.mktemp("closed")
    issuer = Issuer(folder, "authority")
    (folder / "data").mkdir()
    with closed_registry_in(folder / "data", issuer.server("127.0.0.1")) as host:
        run("skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false", "--dest-creds", f"{USER}:{SECRET}",
            f"oci:{layout.folder}:both", f"docker://{host}/team/both:1")  # fmt: skip
        yield host, issuer.ca


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory, registry: tuple[str, Path]) -> Iterator[Station]:
    """An outside station whose settings name the registry's authority."""
    host, ca = registry
    station = Station(tmp_path_factory.mktemp("station") / "alpha", "alpha", "outside")
    with (station.folder / "config.toml").open("a") as config:
        config.write(f'\n[upstreams."{host}"]\nca = "{ca}"\nconcurrency = 4\n')
    station.run("config", "check")
    with station:
        yield station


def forms(secret: str, user: str = USER) -> list[bytes]:
    """A secret as it could be left behind: plain, and in the header or the file that holds it."""
    return [secret.encode(), base64.b64encode(f"{user}:{secret}".encode()), base64.b64encode(secret.encode())]


def left_behind(folder: Path, *secrets: str) -> list[str]:
    """Files of a station that hold one of the secrets."""
    wanted = [form for secret in secrets for form in forms(secret)]
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if any(form in path.read_bytes() for form in wanted)]


def shown_by_proc(*secrets: str) -> list[str]:
    """Processes that show one of the secrets in their arguments or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if any(form in text for secret in secrets for form in forms(secret)):
            found.append(process.name)
    return found


def one_line(outcome: Outcome) -> str:
    """The error of a command, which is its last line; it holds no secret."""
    line = outcome.stderr.splitlines()[-1]
    assert line.startswith("lockgate: ")
    assert "Traceback" not in outcome.stderr
    assert not any(secret in outcome.stderr for secret in (SECRET, WRONG))
    return line


def test_a_registry_that_wants_an_account_gets_the_callers_and_nothing_of_it_stays(
    alpha: Station, registry: tuple[str, Path], layout: Layout, tmp_path: Path
) -> None:
    host, _ = registry
    mine = auth_file(tmp_path / "auth.json", host, SECRET)
    command = [sys.executable, "-m", "appliance.cli.main", "collect", f"{host}/team/both:1", "--as", "got/both:1",
               "--authfile", str(mine), "-C", str(alpha.folder), "--json"]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
    ) as process:
        shown: list[str] = []
        while process.poll() is None:
            shown += shown_by_proc(SECRET)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["references"] == ["got/both:1"]
    assert shown == []
    assert str(pull(alpha.base, Reference.parse("got/both:1")).digest) == layout.digest("both")
    (job, *_) = alpha.run("job", "list", "--json").json["items"]
    assert job["params"]["accounts"] == [host]
    for text in (
        json.dumps(job),
        alpha.run("job", "log", job["id"]).stdout,
        alpha.run("audit", "show", "--json").stdout,
    ):
        assert not any(form.decode() in text for form in forms(SECRET))
    assert left_behind(alpha.folder, SECRET) == []


def test_a_wrong_password_is_one_line_with_host_account_and_remedy(
    alpha: Station, registry: tuple[str, Path], tmp_path: Path
) -> None:
    host, _ = registry
    wrong = auth_file(tmp_path / "auth.json", host, WRONG)
    line = one_line(alpha.run("collect", f"{host}/team/both:1", "--authfile", wrong, expect=1))
    assert host in line
    assert USER in line
    assert left_behind(alpha.folder, WRONG) == []


def test_without_an_account_the_line_says_how_to_give_one(
    alpha: Station, registry: tuple[str, Path], tmp_path: Path
) -> None:
    host, _ = registry
    none = auth_file(tmp_path / "auth.json", "ghcr.io", SECRET)
    line = one_line(alpha.run("collect", f"{host}/team/both:1", "--authfile", none, expect=1))
    assert host in line
    assert "wants an account" in line
    assert "login" in line


def test_a_malformed_file_stops_before_a_job_is_made(
    alpha: Station, registry: tuple[str, Path], tmp_path: Path
) -> None:
    host, _ = registry
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {host: {"auth": f"{SECRET}!"}}}))
    before = len(alpha.run("job", "list", "--json").json["items"])
    line = one_line(alpha.run("collect", f"{host}/team/both:1", "--authfile", tmp_path / "auth.json", expect=2))
    assert f"{tmp_path}/auth.json: auths.{host}" in line
    assert len(alpha.run("job", "list", "--json").json["items"]) == before


def test_an_open_file_of_log_ins_is_warned_of(alpha: Station, registry: tuple[str, Path], tmp_path: Path) -> None:
    host, _ = registry
    mine = auth_file(tmp_path / "auth.json", host, SECRET)
    mine.chmod(0o644)
    outcome = alpha.run("collect", f"{host}/team/both:1", "--as", "got/warned:1", "--authfile", mine)
    assert f"chmod 600 {mine}" in outcome.stderr


def test_an_authority_that_the_settings_do_not_name_is_not_trusted(
    alpha: Station, registry: tuple[str, Path], layout: Layout, tmp_path: Path
) -> None:
    other = Issuer(tmp_path, "other")
    (tmp_path / "data").mkdir()
    with closed_registry_in(tmp_path / "data", other.server("127.0.0.1")) as host:
        mine = auth_file(tmp_path / "auth.json", host, SECRET)
        with (alpha.folder / "config.toml").open("a") as config:
            config.write(f'\n[upstreams."{host}"]\nca = "{registry[1]}"\n')
        line = one_line(alpha.run("collect", f"{host}/team/both:1", "--authfile", mine, expect=1))
    assert "certificate is not trusted" in line


def test_lockgates_own_registry_gives_a_robot_its_token(alpha: Station, tmp_path: Path) -> None:
    (tmp_path / "upstream").mkdir()
    with Site(tmp_path / "upstream") as site:
        server = site.worker(anonymous=("public/**",))
        name, secret, _ = site.robot("robot-puller", "reader team/**")
        blob = Digest.of(b"{}")
        pusher, pushed, _ = site.robot("robot-pusher", "writer **")
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.example", "layers": [],
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(blob), "size": 2},
        }  # fmt: skip
        for repository in ("team/app", "other/app"):
            headers = bearer(token(server, pusher, f"repository:{repository}:pull,push", secret=pushed))
            assert server.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={blob}", b"{}", headers).status == 201
            done = server.ask(
                "PUT", f"/v2/{repository}/manifests/1", json.dumps(manifest),
                headers | {"Content-Type": manifest["mediaType"]},
            )  # fmt: skip
            assert done.status == 201
        mine = auth_file(tmp_path / "auth.json", server.host, secret, name)
        got = alpha.run("collect", f"{server.host}/team/app:1", "--as", "own/app:1", "--authfile", mine)
        assert got.last_line == "own/app:1"
        refused = one_line(alpha.run("collect", f"{server.host}/other/app:1", "--authfile", mine, expect=1))
        assert server.host in refused
        assert name in refused
    assert secret not in refused
    assert left_behind(alpha.folder, secret) == []


@contextlib.contextmanager
def serving(station: Station, **environment: str) -> Iterator[str]:
    """A station with more in its service's environment: where it serves."""
    command = [sys.executable, "-m", "appliance.cli.main", "serve", "-C", station.folder, "--listen", "127.0.0.1:0"]
    given = os.environ | {"PYTHONPATH": str(Path.cwd())} | environment
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=given) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_a_job_that_goes_on_without_its_client_says_that_the_account_is_gone(
    registry: tuple[str, Path], layout: Layout, tmp_path: Path
) -> None:
    """The power fails while a registry does not answer: what stood in memory alone is lost, and that is said. What the
    station has of its own, as LoadCredential= hands it over, is there again."""
    closed, ca = registry
    (tmp_path / "credentials").mkdir()
    auth_file(tmp_path / "credentials/registry-auth.json", closed, SECRET)
    station = Station(tmp_path / "alpha", "alpha", "outside")
    with (station.folder / "config.toml").open("a") as config:
        config.write(f'\n[upstreams."{closed}"]\nca = "{ca}"\n')
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        mine = auth_file(tmp_path / "auth.json", host, WRONG)
        with station:
            job = station.run("collect", f"{host}/team/app:1", "--authfile", mine, "--detach").last_line
            asked, _ = silent.accept()  # the job's process has its account, and asks
            assert station.process is not None
            os.killpg(station.process.pid, signal.SIGKILL)
            station.process.wait(20)
            asked.close()
    with serving(station, CREDENTIALS_DIRECTORY=str(tmp_path / "credentials")) as base:
        failed = one_line(station.run("job", "watch", job, expect=1))
        station.run("collect", f"{closed}/team/both:1", "--authfile", mine)
        assert str(pull(base, Reference.parse("team/both:1")).digest) == layout.digest("both")
    assert host in failed
    assert "run the same command again" in failed
    assert left_behind(station.folder, SECRET, WRONG) == []
