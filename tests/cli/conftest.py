"""The command line in this process: what a shell would see of it, without a new interpreter each time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.reading import tail
from appliance.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `lockgate` with arguments; a `passphrase` is handed over on a descriptor."""
    monkeypatch.delenv("LOCKGATE_DIR", raising=False)

    def call(*arguments: str | Path, passphrase: str | None = None) -> Ended:
        words = ["lockgate", *map(str, arguments)]
        if passphrase is not None:
            reading, writing = os.pipe()
            os.write(writing, passphrase.encode() + b"\n")
            os.close(writing)
            words += ["--passphrase-fd", str(reading)]
        monkeypatch.setattr("sys.argv", words)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        status = ended.value.code or 0
        assert isinstance(status, int)
        if status:
            said = [line for line in err.splitlines() if not line.startswith("  ")]  # a job's progress is indented
            assert len(said) == 1, err
        return Ended(status, out, err)

    return call


@pytest.fixture
def station(run: Run, tmp_path: Path) -> Path:
    """The folder of a station at bravo, inside."""
    assert run("init", tmp_path / "bravo", "--site", "bravo", "--side", "inside").status == 0
    return tmp_path / "bravo"


@pytest.fixture
def acts(station: Path) -> Callable[[], list[tuple[str, str, str]]]:
    """The audit log so far: act, thing and outcome, without the station's making."""
    return lambda: [
        (event["act"], event["thing"], event["outcome"])
        for event in tail(station / "audit", 100)
        if event["act"] != "init"
    ]
