"""What every test shares: the repository's root on the path, a limit of time, and failures that are named at once."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import pytest

_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

_LIMIT = 300
"""Seconds of an ordinary test: the slowest takes about 40. One that never ends must not take the whole run along."""


class TestTookTooLong(BaseException):
    """A test was stopped because it waited longer than any ordinary test needs. No test code catches it."""

    __test__ = False


def _stop(number: int, frame: FrameType | None) -> None:
    raise TestTookTooLong(f"the test did not end within {_LIMIT} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Stop a test that does not end, and name it as failed: SIGALRM in the main thread (POSIX alarm)."""
    if item.get_closest_marker("long"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _stop)
    signal.alarm(_LIMIT)
    try:
        yield
    except TestTookTooLong as error:
        pytest.fail(str(error))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pytest_configure(config: pytest.Config) -> None:
    """Name failures as they happen, in the process that prints: a run that is cut off still says which they were."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Names(config), "failures-named-at-once")


@pytest.fixture(autouse=True)
def _no_lane_of_a_test_before() -> Generator[None, None, None]:
    """Forget the lanes of the audit log whose folders went with a test.

    pytest gives the folder's name again where the test before it passed, and a thread of that test may still hold its
    lane: this one's events would then be written into a log that the station takes for changed by somebody else.
    """
    yield
    lanes = sys.modules.get("appliance.audit.lane")
    if lanes is not None:
        for kept in (lanes._open, lanes._left):
            for key in [key for key in list(kept) if not Path(key[1]).is_dir()]:
                kept.pop(key, None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, since all of it is kept, and never again through what was."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers run them, let the slowest tests begin first."""
    from tests.slowest_first import slowest_first

    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = slowest_first(items, workers, lambda item: item.path.relative_to(_ROOT).as_posix())


class _Names:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the failed test's name and its error's last line."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            said = report.longreprtext.strip().splitlines() or [""]
            terminal.write_line(f"\nfailed: {report.nodeid} ({report.when}): {said[-1][:300]}")
