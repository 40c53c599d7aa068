"""Where a station's blobs are by its note, what access key it has, and when a server that was away is asked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.settings.blobs import BlobsSettings
from appliance.store.blobs import BlobStore
from appliance.store.bucket_note import (
    BucketNote,
    agree,
    is_in_bucket,
    note,
    noted,
    read_secret,
    refuse_bucket,
    secret_of,
)
from appliance.store.opening import open_store
from appliance.store.s3.breaker import Breaker
from appliance.store.s3.faults import S3AwayError, S3Error, S3LostError
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError

WHERE = BucketNote(
    url="s3://lockgate/alpha", endpoint="https://s3.example:9000", region="us-east-1", ca="", store="5" * 32
)


def test_a_station_without_a_note_has_files(paths: StationPaths) -> None:
    assert noted(paths) is None
    assert not is_in_bucket(paths)
    assert agree(paths, BlobsSettings()) is None
    assert type(open_store(paths)) is BlobStore
    refuse_bucket(paths, "nothing")
    with pytest.raises(UsageError):
        agree(paths, WHERE.settings)


def test_a_note_counts_and_settings_may_name_another_way_alone(paths: StationPaths) -> None:
    note(paths, WHERE)
    assert paths.blobs_note.stat().st_mode & 0o777 == 0o600
    assert agree(paths, WHERE.settings) is None
    moved = agree(paths, BlobsSettings(url=WHERE.url, endpoint="https://other.example"))
    assert moved is not None
    assert (moved.endpoint, moved.store) == ("https://other.example", WHERE.store)
    with pytest.raises(UsageError):
        agree(paths, BlobsSettings())
    with pytest.raises(RefusedError):
        refuse_bucket(paths, "nothing is rebuilt")


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", json.dumps({"url": 1}).encode(), b"{" * 5000])
def test_what_is_no_note_is_an_error_and_no_station_of_files(paths: StationPaths, raw: bytes) -> None:
    paths.blobs_note.write_bytes(raw)
    with pytest.raises(FailedError):
        open_store(paths)


def test_an_access_key_is_lines_of_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(UsageError):
        read_secret(path)
    path.write_text("id\nsecret\n")
    path.chmod(0o640)
    with pytest.raises(RefusedError):
        read_secret(path)
    path.chmod(0o600)
    assert read_secret(path) == ("id", "secret", "")
    path.write_text("id\r\nsecret\r\ntoken")
    assert read_secret(path) == ("id", "secret", "token")
    for wrong in ("", "id\n", "id\n\n", "\nsecret\n", "a\nb\nc\nd\n", "id\nse\x1bcret\n", "id\nsécret\n"):
        path.write_text(wrong)
        with pytest.raises(UsageError) as caught:
            read_secret(path)
        assert "cret" not in caught.value.diagnostics().replace("its secret", "")


def test_a_credential_of_systemd_goes_before_the_file(paths: StationPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    paths.keys.mkdir(parents=True)
    paths.blobs_secret.write_text("file\nsecret\n")
    paths.blobs_secret.chmod(0o600)
    folder = paths.root / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert secret_of(paths)[0] == "file"
    (folder / "blobs-secret").write_text("credential\nsecret\n")
    assert secret_of(paths)[0] == "credential"


class Asked:
    """A server that fails as it is told, and how often it was asked. The clock stands still but for `moment`."""

    def __init__(self) -> None:
        self.moment, self.times = 0.0, 0
        self.error: LockgateError | None = None
        self.breaker = Breaker(lambda: self.moment)

    def ask(self) -> None:
        with self.breaker.asking():
            self.times += 1
            if self.error is not None:
                raise self.error


def test_a_server_that_did_not_answer_is_asked_again_after_a_rest() -> None:
    asked = Asked()
    asked.error = S3LostError("it hangs", thing="a server", code="s3-slow")
    for _ in range(3):
        with pytest.raises(S3LostError) as caught:
            asked.ask()
        assert caught.value.code == "s3-slow"
    assert asked.times == 1
    asked.moment = 2.0
    asked.error = S3AwayError("it is another's")
    with pytest.raises(S3AwayError):
        asked.ask()
    asked.moment, asked.error = 4.0, None
    asked.ask()
    asked.ask()
    assert (asked.times, asked.breaker.why()) == (4, "")


def test_one_asks_for_all_while_it_is_not_known() -> None:
    asked = Asked()
    asked.error = S3LostError("it hangs")
    with pytest.raises(S3LostError):
        asked.ask()
    asked.moment, asked.error = 2.0, None
    with asked.breaker.asking(), pytest.raises(S3LostError):
        asked.ask()
    asked.ask()
    assert asked.times == 2


def test_an_answer_that_is_an_error_of_one_blob_is_an_answer() -> None:
    asked = Asked()
    asked.error = S3Error("no such thing")
    for _ in range(2):
        with pytest.raises(S3Error):
            asked.ask()
    assert asked.times == 2
    asked.error = S3LostError("it hangs")
    with pytest.raises(S3LostError):
        asked.ask()
    asked.moment, asked.error = 2.0, S3Error("no such thing")
    with pytest.raises(S3Error):
        asked.ask()
    asked.error = None
    asked.ask()
    assert asked.times == 5
