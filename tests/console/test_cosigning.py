"""The console co-signs by the same operation as `lockgate bundle sign`: media are read whole, the act is recorded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.audit.folder_acts import actor
from appliance.audit.reading import tail
from bundles.errors import CancelledError, FailedError, RefusedError, UsageError
from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey, create_private, save_private
from tests.bundles.small import SmallBundle, manifest_of, sign
from tests.intake.inside import make_station
from tui.station.keyring import FolderKeyring


@pytest.fixture
def station(tmp_path: Path) -> Path:
    make_station(tmp_path / "station")
    return tmp_path / "station"


@pytest.fixture
def second(station: Path) -> PrivateKey:
    key = create_private()
    save_private(station / "keys/second.pem", key, None)
    return key


@pytest.fixture
def folder(tmp_path: Path, second: PrivateKey) -> Path:
    made = SmallBundle(tmp_path / "made")
    signers = sorted([made.key.public.keyid, second.public.keyid])
    signed = sign(manifest_of(made.content, made.laid_out, signers), [made.key])
    for name, data in {
        "manifest.json": signed.manifest_bytes, "README.txt": signed.readme, "SHA256SUMS": signed.sums,
        **signed.signatures,
    }.items():  # fmt: skip
        (made.folder / name).write_bytes(data)
    return made.folder


def signature(folder: Path, key: PrivateKey) -> Path:
    return folder / f"SHA256SUMS.{key.public.keyid}.sig"


def test_a_good_medium_is_signed_and_the_act_recorded_under_the_uid(
    station: Path, second: PrivateKey, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    done = FolderKeyring(station).cosign([str(folder)], "second", "", no_progress)
    assert second.public.verify((folder / "SHA256SUMS").read_bytes(), signature(folder, second).read_bytes())
    assert (done.keyid, done.missing) == (second.public.keyid, ())
    (event,) = [one for one in tail(station / "audit", 10) if one["act"] == "bundle.sign"]
    assert event["actor"] == actor()
    assert "somebody-else" not in event["actor"]


@pytest.mark.parametrize("name", ["README.txt", "manifest.json", "volumes/0001.7z", "volumes/0002.7z", "SHA256SUMS"])
@pytest.mark.parametrize("where", [0, 0.5, -1])
def test_a_medium_with_a_changed_byte_is_not_signed(
    station: Path, second: PrivateKey, folder: Path, name: str, where: float
) -> None:
    data = bytearray((folder / name).read_bytes())
    data[int(len(data) * where) if where >= 0 else -1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(RefusedError):
        FolderKeyring(station).cosign([str(folder)], "second", "", no_progress)
    assert not signature(folder, second).exists()
    assert not [one for one in tail(station / "audit", 10) if one["act"] == "bundle.sign"]


def test_a_bad_second_medium_leaves_the_first_unsigned(station: Path, second: PrivateKey, folder: Path) -> None:
    other = Path(shutil.copytree(folder, folder.parent / "other"))
    (other / "volumes/0001.7z").write_bytes(b"")
    with pytest.raises(RefusedError):
        FolderKeyring(station).cosign([str(folder), str(other)], "second", "", no_progress)
    assert not signature(folder, second).exists()


def test_nothing_is_signed_where_the_log_cannot_be_written(station: Path, second: PrivateKey, folder: Path) -> None:
    shutil.rmtree(station / "audit")
    (station / "audit").write_text("not a folder")
    with pytest.raises(FailedError):
        FolderKeyring(station).cosign([str(folder)], "second", "", no_progress)
    assert not signature(folder, second).exists()


def test_a_cancel_at_any_moment_of_the_check_signs_nothing(station: Path, second: PrivateKey, folder: Path) -> None:
    seen: list[str] = []
    FolderKeyring(station).cosign([str(folder)], "second", "", lambda phase, *_: seen.append(phase))
    signature(folder, second).unlink()
    for moment in (0, len(seen) // 2, len(seen) - 1):
        count = 0

        def progress(*_: object, moment: int = moment) -> None:
            nonlocal count
            count += 1
            if count > moment:
                raise CancelledError("stopped")

        with pytest.raises(CancelledError):
            FolderKeyring(station).cosign([str(folder)], "second", "", progress)
        assert not signature(folder, second).exists()


def test_without_a_medium_it_says_so(station: Path, second: PrivateKey, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no medium"):
        FolderKeyring(station).cosign([str(tmp_path / "absent")], "second", "", no_progress)
