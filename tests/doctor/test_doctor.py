"""`lockgate doctor` finds what is wrong beneath a station, says what to do, and never calls ok what it did not see."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.doctor.engine import settings_of, size_of
from appliance.doctor.examined import Examined, Look, examine
from appliance.doctor.keeping import look_at_certificates, look_at_permissions
from appliance.doctor.machine import clock_source, look_at_disk, look_at_media, program
from appliance.doctor.station import CHECKS, doctor, of_station
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from bundles.errors import FailedError
from tests.cli.conftest import Run, run, station

__all__ = ("run", "station")
DOWN = FailedError("the station is not running", thing="x", remedy="start it with: lockgate serve -C x")


def states(found: list[Examined]) -> dict[str, str]:
    return {one.name: one.state for one in found}


def examined(paths: StationPaths) -> dict[str, str]:
    """What comes of keys, settings and certificates."""
    config = load_config(paths.config)
    return states([*look_at_permissions(paths, config), *look_at_certificates(paths, config)])


def certificate(file: Path, begins: int, *ends: int) -> None:
    """Write a chain of self-signed certificates, good from and to so many days from now."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now, chain = datetime.now(UTC), b""
    for end in ends:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(end + 1000).not_valid_before(now + timedelta(begins))
        chain += made.not_valid_after(now + timedelta(end)).sign(key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM
        )  # fmt: skip
    file.write_bytes(chain)


def test_a_look_that_hangs_or_may_not_be_taken_was_not_checked() -> None:
    never = threading.Event()

    def hang() -> Iterator[Examined]:
        never.wait()
        yield Examined(name="hangs", state="ok", detail="")

    def shut() -> Iterator[Examined]:
        yield Examined(name="before", state="ok", detail="")
        raise PermissionError(13, "Permission denied", "/secret")

    def broken() -> Iterator[Examined]:
        raise DOWN
        yield

    found = examine([Look("hangs", hang), Look("shut", shut), Look("broken", broken)], seconds=0.3)
    never.set()
    assert states(found) == {"hangs": "not-checked", "before": "ok", "shut": "not-checked", "broken": "not-checked"}
    assert all(one.remedy for one in found if one.state == "not-checked")


def test_a_mistake_of_the_program_is_no_state() -> None:
    def mistaken() -> Iterator[Examined]:
        yield Examined(name="x", state="ok", detail=str(1 // 0))

    with pytest.raises(ZeroDivisionError):
        examine([Look("x", mistaken)])


def test_a_new_station_is_well_and_one_that_does_not_run_was_not_asked(run: Run, station: Path) -> None:
    ended = run("doctor", "-C", station, "--json")
    document = json.loads(ended.out)
    found = {one["name"]: one["state"] for one in document["checks"]}
    assert (ended.status, document["ok"], document["counts"]["wrong"]) == (4, False, 0)
    assert found["station"] == found["clock"] == "not-checked"
    well = ("config.toml", "disk", "key files", "settings", "certificate server", "certificate CA", "syft")
    assert {found[name] for name in well} == {"ok"}
    assert found["malware"] == "unused"


def test_a_log_in_that_may_not_be_read_leaves_the_station_unasked(
    run: Run, station: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/kept/session")

    monkeypatch.setattr("appliance.cli.station.doctor.call", shut)
    ended = run("doctor", "-C", station, "--json")
    found = {one["name"]: one["state"] for one in json.loads(ended.out)["checks"]}
    assert (ended.status, found["station"], found["config.toml"]) == (4, "not-checked", "ok")


def test_a_key_that_others_can_read_or_a_folder_that_they_can_change_is_wrong(run: Run, station: Path) -> None:
    paths = StationPaths(station)
    assert examined(paths)["key files"] == examined(paths)["settings"] == "ok"
    key = next(paths.keys.glob("audit.pem"))
    key.chmod(0o640)
    assert examined(paths)["key files"] == "wrong"
    key.chmod(0o600)
    (paths.tls / "server.key").chmod(0o604)
    assert examined(paths)["key files"] == "wrong"
    (paths.tls / "server.key").chmod(0o600)
    paths.trust.chmod(0o775)
    found = examined(paths)
    assert (found["key files"], found["settings"]) == ("ok", "wrong")
    ended = run("doctor", "-C", station)
    assert (ended.status, str(paths.trust) in ended.err, "chmod go-w" in ended.err) == (1, True, True)


def test_a_key_elsewhere_may_be_read_by_the_services_group_and_by_nobody_else(station: Path, tmp_path: Path) -> None:
    paths, key = StationPaths(station), tmp_path / "elsewhere.key"
    (paths.tls / "server.key").rename(key)
    text = paths.config.read_text().replace('key = "tls/server.key"', f'key = "{key}"')
    paths.config.write_text(text)
    found = {}
    for mode in (0o640, 0o644, 0o660):
        key.chmod(mode)
        found[mode] = examined(paths)["key files elsewhere"]
    assert found == {0o640: "ok", 0o644: "wrong", 0o660: "wrong"}


@pytest.mark.parametrize(
    ("begins", "ends", "state"),
    [(-9, (90,), "ok"), (-9, (20,), "attention"), (-9, (0,), "wrong"), (-9, (-1,), "wrong"), (2, (90,), "wrong"),
     (-9, (90, 3), "attention"), (-9, (90, -2), "wrong"), (-9, (), "wrong")],
)  # fmt: skip
def test_every_certificate_of_a_chain_counts(station: Path, begins: int, ends: tuple[int, ...], state: str) -> None:
    certificate(station / "tls/server.pem", begins, *ends)
    assert examined(StationPaths(station))["certificate server"] == state


def test_of_several_authorities_one_must_be_good(station: Path) -> None:
    certificate(station / "tls/ca.pem", -9, -1, 90)
    assert examined(StationPaths(station))["certificate CA"] == "ok"
    (station / "tls/server.pem").unlink()
    assert examined(StationPaths(station))["certificate server"] == "wrong"


def test_settings_that_cannot_be_read_leave_the_rest_unchecked(run: Run, station: Path) -> None:
    (station / "config.toml").write_text("site = 7\n")
    found = states(doctor(StationPaths(station), DOWN))
    assert found["config.toml"] == "wrong"
    assert {found[name] for name in CHECKS} == {"not-checked"}
    assert run("doctor", "-C", station).status == 1


def test_what_the_station_says_of_itself_is_taken_over() -> None:
    asked: dict[str, Any] = {
        "version": "1", "started": "2026-01-01T00:00:00Z", "alerts": ["space: full", "a stream is silent"],
        "health": {"checks": [
            {"name": "space", "ok": False, "detail": "full"}, {"name": "log", "ok": True, "detail": ""},
        ]},
    }  # fmt: skip
    found = states(list(of_station(asked)))
    assert found == {"station": "ok", "station space": "wrong", "station log": "ok", "station alert": "attention"}


def test_media_are_looked_at_where_the_settings_have_them(tmp_path: Path) -> None:
    table, gone = tmp_path / "mountinfo", tmp_path / "gone"
    table.write_text(
        f"30 1 8:1 / {tmp_path} rw - vfat /dev/sdb1 rw\n31 1 8:2 / {gone} rw - ext4 /dev/sdc1 rw\n"
        "32 1 8:3 / /elsewhere rw - ext4 /dev/sdd1 rw\n"
    )
    found = states(list(look_at_media([str(tmp_path)], table)))
    assert found[f"medium {gone}"] == "wrong"
    assert found[f"medium {tmp_path}"] in ("ok", "attention")
    assert set(found) == {f"medium {gone}", f"medium {tmp_path}"}
    assert states(list(look_at_media(["/nowhere"], table))) == {"media": "unused"}


def test_a_program_that_others_can_change_is_wrong(tmp_path: Path) -> None:
    tool = tmp_path / "ssh-keygen"
    tool.touch()
    tool.chmod(0o777)
    assert program("ssh-keygen", tool, "").state == "wrong"
    assert program("ssh-keygen", None, "no keys").state == "attention"
    assert program("sh", Path("/bin/sh"), "").state == "ok"


def test_the_clocks_source_is_the_kernels_word() -> None:
    assert [clock_source(state).state for state in (-1, 0, 4, 5)] == ["not-checked", "ok", "ok", "attention"]


def test_sizes_are_read_as_clamd_reads_them() -> None:
    said = settings_of(b"# MaxFileSize 1\nMaxFileSize  100M\n\tStreamMaxLength\t2g\nLocalSocket /run/x y\nBare\n\xff\n")
    assert [said[name] for name in ("MaxFileSize", "StreamMaxLength", "LocalSocket", "Bare")] == [
        "100M", "2g", "/run/x y", "",
    ]  # fmt: skip
    assert [size_of(text) for text in ("0", "10K", "100M", "2g", "-1", "x", "", "1T")] == [
        0, 10_240, 100 * 1024**2, 2 * 1024**3, None, None, None, None,
    ]  # fmt: skip


def test_a_disk_is_measured(station: Path) -> None:
    (found,) = look_at_disk(StationPaths(station))
    room = os.statvfs(station)
    assert f"{room.f_blocks * room.f_frsize / 10**6:,.0f} MB" in found.detail
