"""Tab in real shells: what is offered comes from the program's own parser, so that it is never out of date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from appliance.cli.completion import SOURCE
from appliance.cli.intake.receipt import receipt
from appliance.cli.main import COMMANDS
from tests.installing.shells import BIN, Shell, environment, shell
from tests.peer_tools import require

STARTS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), "bind 'set bell-style none'; PS1=READY"),
    "zsh": (("zsh", "-f", "-i"), "autoload -Uz compinit; compinit -u -D; unsetopt beep; PS1=READY"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a receipt, a folder, and a station with a key."""
    (tmp_path / "receipt-7.json").touch()
    (tmp_path / "medium").mkdir()
    keys = tmp_path / "bravo" / "keys"
    keys.mkdir(parents=True)
    for name in ("officer.pem", "officer.pub.pem"):
        (keys / name).touch()
    return tmp_path


def begin(typed: Shell, name: str) -> None:
    """The script loaded, and `lockgate` a function that prints the words it was called with."""
    # zsh reads the machine's own zshenv even with -f, and that may set PATH.
    typed.type(
        f"export PATH='{BIN}':$PATH; {STARTS[name][1]}'>'; source <(lockgate completion {name}); echo load''ed\n"
    )
    typed.until("loaded", "READY>")
    typed.type("lockgate() { printf '<%s>' \"$@\"; echo; }\n")
    typed.until("READY>")


@pytest.mark.peer
@pytest.mark.parametrize("name", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("lockgate bund", "lockgate bundle "),
        ("lockgate intake app", "lockgate intake approve "),
        ("lockgate bundle build --sign-", "lockgate bundle build --sign-with "),
        ("lockgate init x --side ins", "lockgate init x --side inside "),
        ("lockgate trust snippet sko", "lockgate trust snippet skopeo "),
        ("lockgate receipt read rec", "lockgate receipt read receipt-7.json "),
        ("lockgate bundle verify med", "lockgate bundle verify medium/"),
        ("lockgate key export -C bravo off", "lockgate key export -C bravo officer "),
        ("lockgate intake approve ID -C bravo --key off", "lockgate intake approve ID -C bravo --key officer "),
    ],
)
def test_tab_finishes_commands_options_choices_files_and_keys(name: str, typed: str, becomes: str, home: Path) -> None:
    require(name)
    if (
        name == "zsh"
        and subprocess.run(["zsh", "-fc", "autoload -Uz +X compinit"], capture_output=True, check=False).returncode
    ):
        pytest.skip("zsh has no compinit here: its functions are not installed")
    with shell(home, *STARTS[name][0]) as terminal:
        begin(terminal, name)
        terminal.type(f"{typed}\tX\n")  # what follows on the same line shows whether a space was put before it
        words = "".join(f"<{word}>" for word in f"{becomes}X".split()[1:])
        terminal.until(words, "READY>")


@pytest.mark.peer
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lockgate ", set(COMMANDS)),
        ("lockgate receipt ", set(receipt.list_commands(click.Context(receipt)))),
        ("lockgate completion ", {"bash", "zsh", "fish"}),
        ("lockgate intake stream show --j", {"--json"}),
        ("lockgate receipt read receipt", {"receipt-7.json"}),
        ("lockgate bundle verify m", {"medium/"}),
        ("lockgate key export -C bravo o", {"officer"}),
        ("lockgate collect file:rec", {"file:receipt-7.json"}),
    ],
)
def test_fish_offers_the_same(line: str, offered: set[str], home: Path) -> None:
    require("fish")
    script = f'lockgate completion fish | source; complete -C "{line}"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], capture_output=True, text=True, cwd=home, env=environment(home),
        check=True,
    )  # fmt: skip
    found = {entry.split("\t")[0] for entry in done.stdout.splitlines()}
    assert {entry for entry in found if not entry.startswith("-") or line.endswith("--j")} == offered


@pytest.mark.peer
def test_fish_says_all_of_what_a_command_does(home: Path) -> None:
    require("fish")
    said = subprocess.run(
        ["fish", "--no-config", "-c", 'lockgate completion fish | source; complete -C "lockgate repo retired"'],
        capture_output=True, text=True, cwd=home, env=environment(home), check=True,
    )  # fmt: skip
    assert said.stdout.startswith("retired\tWhat is retired, from when on")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_asks_the_program_and_says_nothing_else(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli.main", "completion", name], capture_output=True, text=True, check=True
    )
    assert f"_LOCKGATE_COMPLETE={name}_complete" in done.stdout
    assert done.stderr == ""


def test_commands_are_offered_without_loading_their_code(home: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "appliance.cli.main"], capture_output=True, text=True, check=True,
        env=environment(home) | {"_LOCKGATE_COMPLETE": "bash_complete", "COMP_WORDS": "lockgate ", "COMP_CWORD": "1"},
    )  # fmt: skip
    assert [line.removeprefix("plain,") for line in told.stdout.split()] == list(COMMANDS)
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert {name for name in loaded if name.startswith("appliance.cli.")} <= {"appliance.cli.main"}


def test_a_source_is_a_prefix_and_then_a_path(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)

    def offered(text: str) -> list[str]:
        context = click.Context(click.Command("collect"))
        return [item.value for item in SOURCE.shell_complete(context, click.Argument(["sources"]), text)]

    assert offered("") == ["file:", "oci:", "oci-archive:", "docker-archive:", "dir:", "docker://"]
    assert offered("oci-archive:m") == ["oci-archive:medium/"]
    assert offered("oci:m") == ["oci:medium/"]
    assert offered("file:bravo/keys/officer.p") == ["file:bravo/keys/officer.pem", "file:bravo/keys/officer.pub.pem"]
    assert offered("file:/nowhere/x") == []
    assert offered("host.example/team") == ["host.example/team"]
