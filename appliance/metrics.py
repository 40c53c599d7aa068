"""Metrics in Prometheus' text format: counters of every worker, and the station's state when it is asked.

The counters of several processes are files in `run/metrics` (prometheus_client's multiprocess mode), emptied when the
station starts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from appliance.paths import StationPaths
from appliance.registry.services import COLLECTED

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Gauges = Mapping[str, tuple[str, Mapping[tuple[tuple[str, str], ...], float]]]
"""Name -> (help, labels -> value)."""


def prepare(paths: StationPaths) -> None:
    """Empty the counters; before any process is started, since the library looks for its folder when it is loaded."""
    shutil.rmtree(paths.metrics, ignore_errors=True)
    paths.metrics.mkdir(mode=0o700)
    os.environ[_FOLDER] = str(paths.metrics)


class RegistryMetrics:
    """One worker's counters."""

    def __init__(self) -> None:
        self._collected: dict[str, Any] = {}
        self._kept: dict[tuple[str, int], Callable[[], None]] = {}
        self._counts = _has_room(self._begin)

    def _begin(self) -> None:
        from prometheus_client import CollectorRegistry, Counter

        self._requests = Counter(
            "lockgate_registry_requests", "Requests answered by the registry", ("method", "status"),
            registry=CollectorRegistry(),
        )  # fmt: skip
        collected = Counter(
            "lockgate_registry_collected", "Requests for content that a collection took", ("kind",),
            registry=CollectorRegistry(),
        )  # fmt: skip
        self._collected = {kind: collected.labels(kind) for kind in ("blob", "manifest")}
        self._requests.labels("GET", "200")

    async def count(self, request: web.Request, response: web.StreamResponse) -> None:
        """An answer is about to be sent. What a client calls its method is not a label: names are not for ever."""
        if not self._counts:
            return
        key = (request.method, response.status)
        add = self._kept.get(key)
        if add is None:
            method = request.method if request.method in _METHODS else "other"
            add = self._requests.labels(method, str(response.status)).inc
            if len(self._kept) < _KEPT:
                self._kept[key] = add
        add()
        if response.status == _NOT_FOUND and COLLECTED in request:
            self._collected[request[COLLECTED]].inc()


def _has_room(begin: Callable[[], object]) -> bool:
    """Whether this process has the disk for its counters: the library maps its file into memory, and a page that the
    disk has no room for would kill the process (SIGBUS). A worker that has none serves without counting."""
    try:
        begin()
        for path in Path(os.environ.get(_FOLDER, os.devnull)).glob(f"*_{os.getpid()}.db"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        with contextlib.suppress(OSError):  # the error output may be a file on the same disk
            print(f"lockgate: requests are not counted: {error}", file=sys.stderr, flush=True)
        return False
    return True


_NOT_FOUND: Final = 404
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_KEPT: Final = 256


def render(gauges: Gauges) -> bytes:
    """Everything, as the text that monitoring reads. Blocking: it reads the counters' files."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.multiprocess import MultiProcessCollector

    class _State:
        def collect(self) -> Iterator[Any]:
            for name, (text, values) in gauges.items():
                labels = next(iter(values), ())
                family = GaugeMetricFamily(name, text, labels=[key for key, _ in labels])
                for found, value in values.items():
                    family.add_metric([label for _, label in found], value)
                yield family

    registry = CollectorRegistry()
    registry.register(_State())
    if _FOLDER in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
