"""A station that receives over a diode, is killed in the middle, and imports what came by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from appliance.diode import receiver_state
from bundles.signing.keys import load_public
from bundles.signing.pinning import trust_key
from tests.diode.udp import Sending, free_port, relay, symbol_of
from tests.intake.inside import Inside, small_bundle
from tests.sftp.station import files_of
from tests.stage import Station

BUNDLE = "alpha.bravo-000001"


def _until(what: Callable[[], bool], every: float = 0.2) -> None:
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        time.sleep(every)


def test_symbols_from_before_a_kill_9_count_and_the_whole_bundle_goes_into_quarantine(tmp_path: Path) -> None:
    port, drop = free_port(), tmp_path / "drop"
    drop.mkdir()
    made = small_bundle(tmp_path / "made")
    bravo = Station(tmp_path / "bravo", "bravo", "inside")
    config = tmp_path / "bravo" / "config.toml"
    config.write_text(
        f'{config.read_text()}\n[drop_folders.incoming]\npath = "{drop}"\n'
        f'[diodes.gap]\naddress = "127.0.0.1:{port}"\ndrop_folder = "incoming"\n'
    )

    def stands() -> receiver_state.ReceiverState:
        return receiver_state.read(tmp_path / "bravo" / "diode-gap.json")

    def listened(job: str, times: int) -> bool:
        log = tmp_path / "bravo" / "jobs" / job / "log"
        return log.exists() and log.read_text().count("listening at") == times

    # Two symbols of three pass: of each round too few, of both together enough.
    with Inside(tmp_path / "alpha") as one, relay(port, lambda datagram: symbol_of(datagram) % 3 != 0) as lossy:
        one.trust(made.key.public)
        alpha = Sending(one, lossy, repair=0)
        for purpose, key in (("bundle", made.key.public), ("receipt", load_public(alpha.key))):
            trust_key(tmp_path / "bravo" / "trust", key, purpose=purpose, owner="Alpha", sites=["alpha"])
        with bravo:
            job = bravo.run("diode", "receive", "gap", "--detach").last_line
            _until(lambda: listened(job, 1))
            alpha.send(made.folder, rate=1_000_000)
            _until(lambda: stands().datagrams.get("useful", 0) > 500)
            (diode,) = bravo.run("diode", "list", "--json").json["items"]
            (arriving,) = diode["arriving"]
            assert (arriving["id"], arriving["blocks"], arriving["missing"]) == (BUNDLE, 1, 1)
            assert bravo.process is not None
            os.killpg(bravo.process.pid, signal.SIGKILL)
            bravo.process.wait()
        assert not (drop / BUNDLE).exists()
        with bravo:
            _until(lambda: listened(job, 2))
            while not (drop / BUNDLE).is_dir():  # a second round, and more where a busy machine loses datagrams too
                alpha.send(made.folder, missing=arriving["code"])
                time.sleep(1)
            assert files_of(drop / BUNDLE) == files_of(made.folder)
            _until(lambda: "quarantined" in bravo.run("intake", "list").stdout, every=2.0)
            (folder,) = bravo.run("sftp", "watch", "--json").json["items"]
            assert (folder["others"], folder["bundles"][0]["state"]) == (0, "imported")
            assert bravo.run("job", "cancel", job)
