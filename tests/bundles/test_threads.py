"""A pool of threads where the system gives fewer threads than were wanted, or none."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bundles.errors import FailedError
from bundles.io.threads import Threads

ROOT = Path(__file__).resolve().parents[2]


def allow(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the system give so many threads, and no further one."""
    start, given = threading.Thread.start, [0]

    def starting(thread: threading.Thread) -> None:
        if given[0] >= number:
            raise RuntimeError("can't start new thread")
        given[0] += 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)


def test_a_pool_makes_do_with_the_threads_it_got(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, 1)
    with Threads(8) as pool:
        assert [future.result(10) for future in [pool.submit(abs, -number) for number in range(50)]] == list(range(50))


def test_a_pool_without_any_thread_says_so_and_keeps_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, 0)
    with Threads(8) as pool:
        with pytest.raises(FailedError, match="no thread can be started") as raised:
            pool.submit(abs, -1)
        assert "ulimit" in raised.value.remedy
        assert pool._work_queue.empty()


MANY = """
import resource, threading
from bundles.io.threads import take_little_space
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
take_little_space(1 << 20)
stop = threading.Event()
threads = [threading.Thread(target=lambda: (bytearray(200_000), stop.wait())) for _ in range(48)]
for thread in threads:
    thread.start()
stop.set()
print(len(threads))
"""


def test_threads_take_little_address_space() -> None:
    done = subprocess.run([sys.executable, "-c", MANY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "48\n", done.stderr
