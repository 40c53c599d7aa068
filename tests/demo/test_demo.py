"""The demo is two real stations, seeded by real acts; nothing of it is left, however it ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from appliance.clock import now
from appliance.demo import content
from appliance.demo.begin import Demo
from appliance.demo.people import PASSWORD
from appliance.demo.place import new_place
from tests.console.conftest import Seconds
from tests.console.doubles.station import demo_pair
from tests.console.real_station import Console
from tests.stage import lockgate
from tui.shell.console import LockgateConsole
from tui.station.control_socket import ControlStation
from tui.station.keyring import FolderKeyring
from tui.terminal.look import Look


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def left(above: Path) -> list[Path]:
    return list(above.glob("lockgate-demo-*"))


def processes_of(folder: Path) -> list[str]:
    """Processes that name the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(entry.name)
    return found


async def test_what_is_shown_was_done_at_real_stations_and_everything_goes(tmp_path: Path) -> None:
    with Demo() as demo:
        assert stat.S_IMODE(demo.folder.stat().st_mode) == 0o700
        await asyncio.to_thread(demo.ready)
        stations = [(ControlStation(root), FolderKeyring(root)) for root in (demo.inside, demo.outside)]
        app = LockgateConsole(
            *stations[0], now=now, look=Look(colour=False), other=stations[1], hint=demo.hint(), seconds=Seconds()
        )
        async with app.run_test(size=(100, 30)) as pilot:
            console = Console(app, pilot, *demo_pair(), Seconds())
            await console.shows("Every password and passphrase is")
            await console.log_in("olga", PASSWORD)
            await asyncio.to_thread(demo.seeded.wait, 120)
            assert demo.failed == ""
            await console.press("4")
            await console.shows("alpha.bravo-000002")
            assert "released" in console.screen()
            assert "1 of 2" in console.screen()
            await console.press("1")
            await console.shows("import refused")
            await console.press("w")
            await console.shows("This is alpha.")
            await console.log_in("jana", PASSWORD)
            app.show_root("bundles")
            await console.shows("alpha.bravo-000003")
            await console.press("w")
            await console.until(lambda: app.presence.name == "olga", "the inside knows who is there still")
        checked = lockgate("audit", "verify", "-C", demo.inside)
        assert checked.status == 0
        assert (demo.folder / "media/medium-1/receipt").exists()
        with pytest.raises(BlockingIOError), (demo.folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another demo leaves it alone
    assert left(tmp_path) == []
    assert processes_of(demo.folder) == []


def test_a_demo_whose_console_is_killed_takes_everything_away(tmp_path: Path) -> None:
    program = "import sys, time\nfrom appliance.demo.begin import Demo\n" \
              "with Demo() as demo:\n    print(demo.folder, flush=True)\n    time.sleep(600)\n"  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
                          env=os.environ | {"TMPDIR": str(tmp_path)}) as begun:  # fmt: skip
        assert begun.stdout is not None
        folder = Path(begun.stdout.readline().decode().strip())
        assert folder.parent == tmp_path
        begun.send_signal(signal.SIGKILL)
    end = time.monotonic() + 60
    while (left(tmp_path) or processes_of(folder)) and time.monotonic() < end:
        time.sleep(0.02)
    assert left(tmp_path) == []
    assert processes_of(folder) == []


def test_what_a_killed_keeper_left_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    for name in ("dead", "odd"):
        (tmp_path / f"lockgate-demo-{name}").mkdir()
        (tmp_path / f"lockgate-demo-{name}" / "file").write_bytes(b"x")
    (tmp_path / "lockgate-demo-dead" / "lock").touch()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "lock").touch()
    (tmp_path / "lockgate-demo-link").symlink_to(precious)
    alive, held = new_place()
    folder, lock = new_place()
    os.close(lock)
    os.close(held)
    assert (precious / "lock").exists()
    assert sorted(left(tmp_path)) == sorted(
        [alive, folder, tmp_path / "lockgate-demo-link", tmp_path / "lockgate-demo-odd"]
    )


def test_the_images_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        content.write_layout(tmp_path / name)
    files = [{str(one.relative_to(tmp_path / name)): one.read_bytes() for one in (tmp_path / name).rglob("*")
              if one.is_file()} for name in ("one", "two")]  # fmt: skip
    assert files[0] == files[1]
    assert sum(map(len, files[0].values())) < 200_000
