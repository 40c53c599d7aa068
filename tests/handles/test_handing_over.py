"""A client hands over what it opened itself and may use: nothing of the station's, nothing of somebody else's."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.api.errors import NO_ANSWER, NOT_RUNNING
from appliance.control import handle_socket
from appliance.control.handle_socket import Handle, Handles, HandleServer
from appliance.handles import giving
from appliance.handles.giving import hand_over
from appliance.handles.path_params import JOB_PATHS, PathParam
from appliance.handles.rights import Person
from appliance.limits import control as limits
from appliance.local_socket import connect_to, listen_at
from appliance.paths import StationPaths
from bundles.errors import FailedError, RefusedError, UsageError
from tests.control.powered import wait_for
from tests.handles.people import NOBODY, STRANGER, as_uid, needs_root
from tests.intake.inside import make_station


class Log:
    """An AuditPort that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def record(self, event: Any) -> None:
        self.events.append(event)


class Desk:
    """A station's socket for handles, and callers of any uid."""

    def __init__(self, root: Path) -> None:
        make_station(root)
        self.paths, self.handles, self.log = StationPaths(root), Handles(), Log()
        self.server = HandleServer(self.paths, self.handles, self.log, is_open=False)

    def send(
        self, uid: int, open_it: Callable[[], int | Sequence[int]], message: object = None, *,
        shown: str = "/shown", writes: bool = False, groups: Sequence[int] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """The answer to one message of `uid`, with the descriptors that `open_it` opens as that uid."""

        def work() -> dict[str, Any]:
            opened = open_it()
            descriptors = [opened] if isinstance(opened, int) else list(opened)
            text = json.dumps({"path": shown, "writes": writes} if message is None else message)
            try:
                with connect_to(self.paths.handles_socket, socket.SOCK_SEQPACKET) as connection:
                    connection.settimeout(20)
                    if descriptors:
                        socket.send_fds(connection, [text.encode()], descriptors)
                    else:
                        connection.send(text.encode())
                    answer: dict[str, Any] = json.loads(connection.recv(65_536))
                    return answer
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

        return as_uid(uid, work, groups)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    for above in (tmp_path, *tmp_path.parents[:-2]):
        above.chmod(above.stat().st_mode | 0o011)
    made = Desk(tmp_path / "bravo")
    made.paths.root.chmod(0o711)
    with ExitStack() as stack:
        # The server's context is asynchronous for its station alone; here it is entered by hand.
        stack.enter_context(_serving(made))
        made.paths.run.chmod(0o711)
        made.paths.handles_socket.chmod(0o666)
        yield made


@contextmanager
def _serving(desk: Desk) -> Iterator[None]:
    loop, context = asyncio.new_event_loop(), desk.server.serving()
    loop.run_until_complete(context.__aenter__())
    try:
        yield
    finally:
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()


def descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def opening(path: Path | str, flags: int = os.O_RDONLY) -> Callable[[], int]:
    return lambda: os.open(path, flags)


def folder_of(uid: int, path: Path, mode: int = 0o700) -> Path:
    path.mkdir()
    os.chown(path, uid, uid)
    path.chmod(mode)
    return path


@needs_root
def test_a_folder_of_ones_own_is_taken_for_reading_and_for_writing(desk: Desk, tmp_path: Path) -> None:
    mine = folder_of(STRANGER, tmp_path / "mine")
    for writes in (False, True):
        answer = desk.send(STRANGER, opening(mine), shown=str(mine), writes=writes)
        assert answer["path"] == str(mine)
        handle = desk.handles.take(answer["handle"], STRANGER)
        assert (handle.person, handle.writes, handle.is_file) == (Person(STRANGER, STRANGER), writes, False)
        handle.close()


@needs_root
def test_a_file_that_its_sender_opened_is_taken_for_reading(desk: Desk, tmp_path: Path) -> None:
    file = folder_of(STRANGER, tmp_path / "mine") / "file"
    file.write_bytes(b"bytes")
    file.chmod(0o604)
    answer = desk.send(STRANGER, opening(file), shown=str(file))
    handle = desk.handles.take(answer["handle"], STRANGER)
    assert os.pread(handle.descriptor, 9, 0) == b"bytes"
    handle.close()
    assert desk.send(STRANGER, opening(file), shown=str(file), writes=True)["error"] == "RefusedError"


@needs_root
def test_a_folder_that_its_sender_may_only_read_is_not_taken_for_writing(desk: Desk, tmp_path: Path) -> None:
    theirs = folder_of(NOBODY, tmp_path / "theirs", 0o755)
    assert "handle" in desk.send(STRANGER, opening(theirs), shown=str(theirs))
    for folder in (theirs, "/etc", "/etc/cron.d" if Path("/etc/cron.d").is_dir() else "/usr", "/"):
        answer = desk.send(STRANGER, opening(folder), shown=str(folder), writes=True)
        assert (answer["error"], answer["what"]) == ("RefusedError", "the caller may not write in this"), folder


@needs_root
def test_a_group_that_the_sender_is_in_counts_as_the_kernel_told_it(desk: Desk, tmp_path: Path) -> None:
    shared = folder_of(NOBODY, tmp_path / "shared", 0o770)
    many = [*range(70_000, 70_500), NOBODY]
    assert "handle" in desk.send(STRANGER, lambda: os.open(shared, os.O_RDONLY), writes=True, groups=many)


def test_no_other_station_and_no_folder_of_keys_is_written_to(desk: Desk, tmp_path: Path) -> None:
    """One file too many in a trust folder stops that station, whoever was careless."""
    other, copy = tmp_path / "other", tmp_path / "copy"
    make_station(other)
    shutil.copytree(other / "trust", copy)
    (tmp_path / "link").symlink_to(other / "keys")
    (copy / "deep").mkdir()
    uid = os.getuid()
    for folder in (other, other / "trust", other / "jobs", other / "store", tmp_path / "link", copy, copy / "deep"):
        answer = desk.send(uid, opening(folder), writes=True)
        assert (answer.get("error"), str(answer.get("what"))[:12]) == ("RefusedError", "this lies in"), folder
    assert "error" not in desk.send(uid, opening(tmp_path), writes=True)
    assert "error" not in desk.send(uid, opening(copy), writes=False)


def test_a_socket_is_refused_before_anything_is_handed_over(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="not a folder or regular file"):
        hand_over(desk.paths.root, {"paths": [str(desk.paths.handles_socket)]}, JOB_PATHS["import"])


@needs_root
@pytest.mark.parametrize("uid", [0, STRANGER])
def test_nothing_of_the_station_is_taken_whoever_sends_it(desk: Desk, tmp_path: Path, uid: int) -> None:
    paths = desk.paths
    for one in (paths.root, paths.trust, paths.keys, paths.run, paths.jobs, paths.audit, paths.store):
        one.chmod(0o777)
    (paths.keys / "audit.pem").chmod(0o644)
    link, hard = tmp_path / "link", tmp_path / "hard"
    link.symlink_to(paths.keys)
    os.link(paths.keys / "audit.pem", hard)
    ways: list[tuple[Path | str, bool]] = [
        *((folder, writes) for folder in (paths.root, paths.trust, paths.keys) for writes in (False, True)),
        (link, True),
        (f"/proc/self/root{paths.keys}", True),
        (f"{paths.store}/../trust", True),
        (f"/proc/self/cwd/{os.path.relpath(paths.keys)}", False),
        (paths.keys / "audit.pem", False),
        (hard, False),
    ]
    for way, writes in ways:
        answer = desk.send(uid, opening(way), writes=writes)
        assert (answer.get("error"), answer.get("what")) == ("RefusedError", "this lies in the station's own folder"), (
            way
        )


@needs_root
@pytest.mark.parametrize("part", ["", "keys", "trust", "keys/audit.pem", "jobs"])
def test_nothing_of_the_station_is_taken_through_a_bind_mount(desk: Desk, tmp_path: Path, part: str) -> None:
    source, place = desk.paths.root / part, tmp_path / "place"
    place.mkdir() if source.is_dir() else place.touch()
    if subprocess.run(["mount", "--bind", source, place], check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        answer = desk.send(0, opening(place), shown=str(place), writes=source.is_dir())
        assert answer["what"] == "this lies in the station's own folder"
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def _fifo(folder: Path) -> int:
    os.mkfifo(folder / "fifo")
    return os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)


@needs_root
@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket", "device", "O_PATH", "write only", "proc"])
def test_only_folders_and_regular_files_that_were_opened_for_reading_are_taken(
    desk: Desk, tmp_path: Path, kind: str
) -> None:
    mine = folder_of(STRANGER, tmp_path / "mine")
    (mine / "file").touch(0o666)
    kinds: dict[str, Callable[[], int]] = {
        "pipe": lambda: os.pipe()[0],
        "fifo": lambda: _fifo(mine),
        "socket": lambda: socket.socket(socket.AF_UNIX).detach(),
        "device": opening("/dev/null"),
        "O_PATH": opening(mine, os.O_PATH | os.O_DIRECTORY),
        "write only": opening(mine / "file", os.O_WRONLY),
        "proc": opening("/proc/self/status"),
    }
    answer = desk.send(0 if kind in ("device", "write only", "proc") else STRANGER, kinds[kind])
    assert answer["error"] == "RefusedError"
    assert desk.log.events[-1].outcome == "refused"


@needs_root
def test_a_handle_is_good_for_its_uid_alone_and_once(desk: Desk, tmp_path: Path) -> None:
    mine = folder_of(STRANGER, tmp_path / "mine")
    name = desk.send(STRANGER, opening(mine))["handle"]
    for thief in (NOBODY, 0):
        with pytest.raises(RefusedError, match="not this caller's"):
            desk.handles.take(name, thief)
    desk.handles.take(name, STRANGER).close()
    with pytest.raises(RefusedError):
        desk.handles.take(name, STRANGER)


@needs_root
def test_a_flood_of_handles_ends_at_the_cap_of_its_uid_and_nobody_else_notices(desk: Desk, tmp_path: Path) -> None:
    mine, other = folder_of(STRANGER, tmp_path / "mine"), folder_of(NOBODY, tmp_path / "other")
    before = descriptors()

    def flood() -> list[dict[str, Any]]:
        answers, opened = [], os.open(mine, os.O_RDONLY)
        with connect_to(desk.paths.handles_socket, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(20)
            for _ in range(limits.HANDLES[0] + 20):
                socket.send_fds(connection, [b'{"path": "/x", "writes": false}'], [opened])
                answers.append(json.loads(connection.recv(65_536)))
        os.close(opened)
        return answers

    answers = as_uid(STRANGER, flood)
    assert ["handle" in answer for answer in answers] == [True] * limits.HANDLES[0] + [False] * 20
    assert answers[-1]["error"] == "RefusedError"
    assert descriptors() <= before + limits.HANDLES[0] + 4
    assert "handle" in desk.send(NOBODY, opening(other))


@needs_root
def test_silent_connections_of_one_uid_do_not_keep_another_out(desk: Desk, tmp_path: Path) -> None:
    mine = folder_of(NOBODY, tmp_path / "mine")

    def hold() -> list[socket.socket]:
        return [connect_to(desk.paths.handles_socket, socket.SOCK_SEQPACKET) for _ in range(60)]

    held = as_uid(STRANGER, hold)
    try:
        assert "handle" in desk.send(NOBODY, opening(mine))
    finally:
        for connection in held:
            connection.close()


@needs_root
@pytest.mark.parametrize(
    "message",
    [[], {}, "text", {"path": "/x"}, {"path": "x", "writes": False}, {"path": "/x/../y", "writes": False},
     {"path": "/x\0", "writes": False}, {"path": "/x", "writes": 1}, {"path": 7, "writes": False},
     {"path": "/" + "x" * 5000, "writes": False}, {"path": "/x", "writes": False, "uid": 0}],
)  # fmt: skip
def test_a_malformed_message_is_a_usage_error_and_its_descriptor_is_closed(desk: Desk, message: object) -> None:
    before = descriptors()
    assert desk.send(STRANGER, opening("/"), message)["error"] == "UsageError"
    wait_for(lambda: descriptors() <= before, "the server closed what it took")


@needs_root
@pytest.mark.parametrize("count", [0, 2, 5])
def test_one_descriptor_comes_at_a_time(desk: Desk, count: int) -> None:
    before = descriptors()
    answer = desk.send(STRANGER, lambda: [os.open("/", os.O_RDONLY) for _ in range(count)])
    assert answer["error"] == "UsageError"
    wait_for(lambda: descriptors() <= before, "the server closed what it took")


def test_a_handle_that_nobody_uses_is_closed_after_a_minute(tmp_path: Path) -> None:
    moment = 0.0
    handles = Handles(lambda: moment)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    name = handles.add(Handle(str(tmp_path), False, False, Person(1, 1), descriptor, 0.0))
    moment = limits.HANDLE_LIFE + 1
    handles.expire()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)
    with pytest.raises(RefusedError):
        handles.take(name, 1)


def test_the_socket_is_its_owner_s_alone_until_a_group_is_named(desk: Desk) -> None:
    with connect_to(desk.paths.handles_socket, socket.SOCK_SEQPACKET):
        assert stat.S_ISSOCK(desk.paths.handles_socket.stat().st_mode)


@needs_root
def test_a_path_that_is_no_utf_8_is_named_and_refused(desk: Desk, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    path.touch()
    with pytest.raises(UsageError) as refused:
        hand_over(desk.paths.root, {"sources": [{"path": str(path)}]}, JOB_PATHS["collect"])
    assert refused.value.thing.endswith("caf\\udce9'")


async def test_a_server_that_is_told_to_stop_does_not_wait_for_its_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle_socket, "_TICK", 3600.0)
    desk = Desk(tmp_path / "bravo")
    async with asyncio.timeout(20), desk.server.serving():
        pass
    assert not desk.paths.handles_socket.exists()


def _close_one(listener: socket.socket) -> None:
    listener.accept()[0].close()


@pytest.mark.parametrize(("listens", "code"), [("nobody", NOT_RUNNING), ("closes", NO_ANSWER), ("silent", NO_ANSWER)])
def test_a_client_tells_a_station_that_is_not_there_from_one_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listens: str, code: str
) -> None:
    make_station(tmp_path / "bravo")
    table = (PathParam("path", False, "the path cannot be opened"),)
    with ExitStack() as stack:
        if listens != "nobody":
            place = StationPaths(tmp_path / "bravo").handles_socket
            place.parent.mkdir(exist_ok=True)
            listener = stack.enter_context(listen_at(place, socket.SOCK_SEQPACKET))
            monkeypatch.setattr(giving, "_WAIT", 0.05 if listens == "silent" else 20.0)
            if listens == "closes":
                closing = threading.Thread(target=_close_one, args=(listener,))
                closing.start()
                stack.callback(closing.join)
        with pytest.raises(FailedError) as caught:
            hand_over(tmp_path / "bravo", {"path": str(tmp_path)}, table)
    assert caught.value.code == code
