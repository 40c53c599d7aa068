"""The jobs that send and receive, with real datagrams."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.reading import tail
from appliance.control import diodes
from appliance.diode import geometry, receiver_state
from appliance.diode.coding import Coder
from appliance.diode.folder import NAME
from appliance.diode.receiver import Receiver
from appliance.intake import diode_receive
from appliance.jobs.kinds import PartlyDoneError
from appliance.limits import diode as limits
from appliance.outgoing import diode_send
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError
from tests.control.test_recorded_first import FullLog
from tests.diode.udp import Receiving, Sending, block_of, free_port, relay
from tests.intake.inside import Context, Inside, small_bundle
from tests.sftp.station import files_of

BUNDLE = "alpha.bravo-000001"


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "BLOCK", 16 * 1408)
    monkeypatch.setattr(limits, "DIODE_PAUSE", 0.2)


def _acts(inside: Inside) -> list[tuple[str, str, str]]:
    found = [(str(one["act"]), str(one["thing"]), str(one["outcome"])) for one in tail(inside.station.paths.audit, 50)]
    return [one for one in found if one[0].startswith("diode.")]


def test_what_the_link_lost_is_named_by_a_code_and_comes_when_it_is_sent_again(tmp_path: Path) -> None:
    port = free_port()
    with Inside(tmp_path / "alpha") as one, Inside(tmp_path / "bravo") as two:
        bravo = Receiving(two, tmp_path / "drop", port)
        with relay(port, lambda datagram: block_of(datagram) != 2) as lossy:
            alpha = Sending(one, lossy)
            made = small_bundle(tmp_path / "made")
            one.trust(made.key.public)
            bravo.pin(alpha.key)
            code = ""
            for _ in range(20):  # whatever else a busy machine loses comes again; block 2 never does
                with bravo.once() as ended:
                    sent = alpha.send(made.folder, missing=code)
                (error,) = ended
                assert isinstance(error, PartlyDoneError)
                (missing,) = error.result["missing"]
                code = missing["code"]
                if missing["missing"] == 1:
                    break
        assert error.exit_status == 4
        assert (missing["id"], missing["missing"]) == (BUNDLE, 1)
        assert missing["code"] in error.remedy
        assert sent["bundles"][0]["blocks"] == missing["blocks"] > 2
        (arriving,) = receiver_state.read(two.station.paths.diode("gap")).arriving
        assert (arriving.id, arriving.missing, arriving.code) == (BUNDLE, 1, missing["code"])
        alpha = Sending(one, port)
        for _ in range(20):
            with bravo.once() as ended:
                again = alpha.send(made.folder, missing=missing["code"])
            assert again["bundles"][0]["sent_blocks"] == 1
            (result,) = ended
            if not isinstance(result, PartlyDoneError):
                break
        assert [one["id"] for one in result["delivered"]] == [BUNDLE]
        assert result["missing"] == []
        assert files_of(tmp_path / "drop" / BUNDLE) == files_of(made.folder)
        assert list((tmp_path / "drop" / NAME).iterdir()) == []
        assert set(_acts(one)) == {("diode.send", BUNDLE, "done")}
        assert ("diode.deliver", BUNDLE, "done") in _acts(two)


def test_nothing_is_sent_or_delivered_that_cannot_be_recorded(tmp_path: Path) -> None:
    port = free_port()
    passed: list[bytes] = []
    with Inside(tmp_path / "alpha") as one, Inside(tmp_path / "bravo") as two:
        bravo = Receiving(two, tmp_path / "drop", port)
        with relay(port, lambda datagram: passed.append(datagram) is None) as link:
            alpha = Sending(one, link)
            made = small_bundle(tmp_path / "made")
            one.trust(made.key.public)
            bravo.pin(alpha.key)
            with pytest.raises(FailedError, match="the audit log cannot be written"):
                diode_send.run(_unrecorded(alpha.sending(made.folder)))
            assert passed == []
            for _ in range(20):
                listening = two.context(**{"from": "gap", "once": True})
                with bravo.once(_unrecorded(listening)) as ended:
                    alpha.send(made.folder)
                if "audit log" in str(ended[0]):
                    break
        assert isinstance(ended[0], FailedError)
        assert not (tmp_path / "drop" / BUNDLE).exists()
        with pytest.raises(FailedError, match="the audit log cannot be written"):
            diode_receive.run(_unrecorded(two.context(**{"from": "gap", "once": True})))
        with Coder() as coder:  # the bundle is whole since then, and gets its name once that can be recorded
            Receiver(
                bravo.drop, "bravo", b"", two.station.trust, coder, lambda _: None, lambda _: contextlib.nullcontext()
            )
        assert files_of(tmp_path / "drop" / BUNDLE) == files_of(made.folder)


def _unrecorded(context: Context) -> Context:
    station = replace(context.station, audit=FullLog())
    return Context(station, context.params, context.folder, context.job_id)


def test_what_cannot_be_sent_is_named_before_a_datagram_leaves(tmp_path: Path) -> None:
    with Inside(tmp_path / "alpha") as one:
        alpha = Sending(one, free_port())
        made, other = small_bundle(tmp_path / "made"), small_bundle(tmp_path / "other", sequence=2)
        with pytest.raises(LockgateError, match="no such key"):
            alpha.send(made.folder)
        one.trust(made.key.public)
        one.trust(other.key.public, owner="Other")
        wrong: list[tuple[dict[str, Any], type[LockgateError]]] = [
            ({"repeat": 0}, UsageError), ({"repeat": limits.DIODE_ROUNDS + 1}, UsageError), ({"rate": 1}, UsageError),
            ({"missing": "1.ABCD"}, UsageError), ({"missing": "x" * 10_000}, UsageError),
        ]  # fmt: skip
        for params, kind in wrong:
            with pytest.raises(kind):
                alpha.send(made.folder, **params)
        with pytest.raises(UsageError):
            alpha.send(made.folder, other.folder, missing="all.AAAA")
        with pytest.raises(UsageError):
            diode_send.run(one.context(paths=[str(made.folder)], over="../gap"))
        volume = made.folder / "volumes" / "0001.7z"
        data = bytearray(volume.read_bytes())
        data[len(data) // 2] ^= 1
        volume.chmod(0o644)
        volume.write_bytes(data)
        with pytest.raises(RefusedError, match="not as it was signed"):
            alpha.send(made.folder)
        assert ("diode.send", "gap", "refused") in _acts(one)
        assert not one.station.paths.diodes_sent.exists()


def test_a_side_does_only_what_it_is_for(tmp_path: Path) -> None:
    with Inside(tmp_path / "alpha") as one, Inside(tmp_path / "bravo") as two:
        Sending(one, free_port())
        Receiving(two, tmp_path / "drop", free_port())
        with pytest.raises(UsageError, match="receives nothing"):
            diode_receive.run(one.context(**{"from": "gap"}))
        with pytest.raises(UsageError, match="sends nothing"):
            diode_send.run(two.context(paths=[str(tmp_path)], over="gap"))
        with pytest.raises(UsageError, match="no such diode"):
            diode_receive.run(two.context(**{"from": "nowhere"}))


def test_without_the_library_one_line_says_so_and_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with Inside(tmp_path / "alpha") as one, Inside(tmp_path / "bravo") as two:
        alpha, bravo = Sending(one, free_port()), Receiving(two, tmp_path / "drop", free_port())
        with pytest.raises(FailedError, match="no library for RaptorQ"):
            alpha.send(tmp_path)
        with pytest.raises(FailedError, match="no library for RaptorQ"):
            diode_receive.run(two.context(**{"from": "gap"}))
        assert list(bravo.drop.iterdir()) == []


def test_an_alarm_says_where_the_kernel_holds_too_little(tmp_path: Path) -> None:
    rmem = tmp_path / "rmem_max"
    with Inside(tmp_path / "bravo") as two:
        assert diodes.alerts(two.station, 1000, rmem) == []
        Receiving(two, tmp_path / "drop", free_port())
        assert diodes.alerts(two.station, 1000, rmem) == []
        rmem.write_text("212992\n")
        (line,) = diodes.alerts(two.station, 1000, rmem)
        assert "net.core.rmem_max" in line
        assert diodes.alerts(two.station, 0, rmem) == []  # root's sockets are not bounded by it
        rmem.write_text(str(limits.DIODE_BUFFER))
        assert diodes.alerts(two.station, 1000, rmem) == []
        assert diodes.gauges(two.station)["lockgate_diode_missing_blocks"][1] == {(("diode", "gap"),): 0.0}


def test_two_receivers_of_one_diode_are_one_too_many_and_a_link_key_is_a_file_of_its_own(tmp_path: Path) -> None:
    from appliance.diode.link_key import link_key
    from appliance.diode.receiver import listen

    port = free_port()
    with Inside(tmp_path / "bravo") as two:
        Receiving(two, tmp_path / "drop", port)
        bound, buffer = listen(("127.0.0.1", port))
        with bound:
            assert buffer > 0
            with pytest.raises(FailedError, match="cannot be used"):
                diode_receive.run(two.context(**{"from": "gap"}))
        root = two.station.paths.root
        with pytest.raises(UsageError, match="the link has no key"):
            link_key(root, "gap")
        path = root / "keys" / "diode-gap.secret"
        path.write_text("ab" * 32 + "\n")
        path.chmod(0o644)
        with pytest.raises(RefusedError):
            link_key(root, "gap")
        path.chmod(0o600)
        assert link_key(root, "gap") == b"\xab" * 32
        path.write_text("short")
        with pytest.raises(UsageError):
            link_key(root, "gap")
