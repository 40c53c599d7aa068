"""What helm makes of a chart (`helm template`): run as the caller, in a folder of its own, without the caller's
environment and credentials, and without a network where the kernel permits it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bundles.errors import FailedError
from bundles.limits import MIB
from bundles.processes import start

OUTPUT: Final = 32 * MIB
TIME: Final = 60.0
"""Seconds for one chart."""

_BOUNDS: Final = start.Bounds(data=4096 * MIB, file=OUTPUT, network=False)
_REASON: Final = 200


def find_helm() -> Path | None:
    """helm on the caller's PATH, None where it is not there."""
    return start.find_callers_program("helm")


def rendered(helm: Path, chart: Path, values: Sequence[Path] = ()) -> bytes:
    """What `helm template` prints for a chart. Raises FailedError with helm's own words where it fails, takes too long
    or prints too much."""
    words = ["template", "lockgate", str(chart.absolute())]
    words += [word for file in values for word in ("--values", str(file.absolute()))]
    with tempfile.TemporaryDirectory(prefix="lockgate-chart-") as folder:
        home = Path(folder)
        env = start.environment(
            HOME=folder, HELM_CACHE_HOME=folder, HELM_CONFIG_HOME=folder, HELM_DATA_HOME=folder, HELM_NO_PLUGINS="1",
            KUBECONFIG=os.devnull,
        )  # fmt: skip
        with (home / "out").open("wb") as out, (home / "errors").open("wb") as errors:
            process = start.start(
                start.bounded(str(helm), *words, bounds=_BOUNDS), env=env, cwd=home, stdout=out, stderr=errors
            )
            status = start.wait(process, TIME)
        if status is None:
            raise FailedError("helm took too long", thing=str(chart), remedy="look at the chart by hand")
        if status != 0:
            said = (home / "errors").read_bytes()[-_REASON * 4 :].decode("utf-8", "replace").split("Error: ")[-1]
            reason = " ".join(said.split())[:_REASON] or start.how_it_ended(status)
            raise FailedError(
                f"helm makes nothing of the chart: {reason}", thing=str(chart), remedy="see: helm template"
            )
        return (home / "out").read_bytes()
