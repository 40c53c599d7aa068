"""Work overlaps in threads, and a blob of any size passes through in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import threading
import zlib
from functools import partial
from pathlib import Path

import pytest

from bundles.io.work_threads import Crew, WorkThread
from bundles.oci.digest import new_hasher

MIB = 1024 * 1024

SCRIPT = """
import re, sys
from functools import partial
from pathlib import Path
from bundles import build
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.signing.keys import create_private
from bundles.verify import verify
from tests.bundles.small import LATER, manifest_of, sign, trust_of

root, volume, crc = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
digest = Digest.parse(sys.argv[4])

class Store:
    def open_blob(self, digest):
        return (root / "blob").open("rb")
    def crc32(self, digest):
        return crc

content = build.Content([], [(digest, (root / "blob").stat().st_size)])
laid_out = build.lay_out(content, build.plan_volumes(content, volume, [None]), Store(), no_progress)
key = create_private()
signed = sign(manifest_of(content, laid_out, [key.public.keyid]), [key])
(root / "out").mkdir()
folders = build.write(signed, Store(), [root / "out"], no_progress)
verify(folders, trust_of(root / "trust", key), LATER, no_progress)
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.parametrize("volume", [400 * MIB, 64 * MIB], ids=["whole", "parts"])
def test_a_blob_of_200_mib_is_laid_out_written_and_verified_within_100_mib(tmp_path: Path, volume: int) -> None:
    with (tmp_path / "blob").open("wb") as blob:
        blob.truncate(200 * MIB)
    hasher, crc = new_hasher("sha256"), 0
    for _ in range(200):
        hasher.update(bytes(MIB))
        crc = zlib.crc32(bytes(MIB), crc)
    arguments = [str(tmp_path), str(volume), str(crc), f"sha256:{hasher.hexdigest()}"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert int(done.stdout) < 100


def test_a_lane_keeps_order() -> None:
    seen: list[int] = []
    with WorkThread(seen.append) as thread:
        for number in range(1_000):
            thread.put(number)
    assert seen == list(range(1_000))


def test_a_lane_s_error_reaches_who_puts_or_closes() -> None:
    def work(number: int) -> None:
        raise ValueError(number)

    thread = WorkThread(work)
    thread.put(7)
    with pytest.raises(ValueError, match="7"):
        thread.close()
    with pytest.raises(ValueError, match="7"):
        thread.put(8)


def test_a_lane_holds_no_more_than_its_depth() -> None:
    gate = threading.Event()
    thread: WorkThread[int] = WorkThread(lambda _: gate.wait(10), depth=2)
    for number in range(3):
        thread.put(number)
    blocked = threading.Thread(target=thread.put, args=(3,))
    blocked.start()
    blocked.join(0.05)
    assert blocked.is_alive()
    gate.set()
    blocked.join()
    thread.close()


def test_an_error_beside_a_lane_drops_what_is_queued() -> None:
    begun, gate, seen = threading.Event(), threading.Event(), []

    def work(number: int) -> None:
        begun.set()
        gate.wait(10)
        seen.append(number)

    def fail() -> None:
        with WorkThread(work) as thread:
            for number in range(5):
                thread.put(number)
            begun.wait(10)
            threading.Timer(0.05, gate.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [0]


def test_a_crew_does_all_that_was_put_a_few_at_once_and_lets_few_wait() -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()
    done: list[int] = []
    put: list[int] = []

    def work(number: int) -> None:
        begun.release()
        go_on.wait(30)
        done.append(number)

    def put_all() -> None:
        with Crew(2) as crew:
            for number in range(10):
                crew.put(partial(work, number))
                put.append(number)

    putting = threading.Thread(target=put_all)
    putting.start()
    begun.acquire()
    begun.acquire()
    assert not begun.acquire(timeout=0.1), "two at once"
    assert len(put) <= 4, "and two that wait"
    go_on.set()
    putting.join(30)
    assert sorted(done) == list(range(10))


def fail() -> None:
    raise ValueError("the disk")


def test_a_crew_s_error_reaches_who_closes_and_what_was_put_is_done() -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[int] = []

    def fail_later() -> None:
        begun.set()
        go_on.wait(30)
        fail()

    crew = Crew(1)
    crew.put(fail_later)
    begun.wait(30)
    crew.put(lambda: done.append(1))
    go_on.set()
    with pytest.raises(ValueError, match="the disk"):
        crew.close()
    assert done == [1]


def put_often(crew: Crew) -> None:
    with crew:
        crew.put(fail)
        for _ in range(10):
            crew.put(lambda: None)


def test_a_crew_s_error_reaches_who_puts() -> None:
    with pytest.raises(ValueError, match="the disk"):
        put_often(Crew(1))


def fail_oneself(crew: Crew) -> None:
    with crew:
        crew.put(fail)
        raise KeyError


def test_an_error_of_one_s_own_goes_before_the_crew_s() -> None:
    with pytest.raises(KeyError):
        fail_oneself(Crew(1))
