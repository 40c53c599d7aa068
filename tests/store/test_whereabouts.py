"""Where a station's metadata is: the URL of a database, and the note that decides."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.settings.faults import faults
from appliance.settings.metadata import check_url
from appliance.store.database import open_reader, open_writer
from appliance.store.whereabouts import Whereabouts, is_made, note, note_file, noted
from bundles.errors import FailedError, RefusedError, UsageError


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql://lockgate@db.example/x", "verify-full"),
        ("postgresql://lockgate@db.example/x?sslmode=require", "verify-full"),
        ("postgresql:///x", "names no server"),
        ("postgresql://localhost,other/x", "names no server"),
        ("postgresql:///x?host=/a&options=-c", "options"),
        ("postgresql:///?host=/a", "one database"),
        ("mysql:///x?host=/a", "postgresql://"),
        ("postgresql://a:hidden@/x?host=/a", "password"),
        ("postgresql:///x?host=/a&password=hidden", "password"),
        ("postgresql:///x?host=/a&host=/b", "twice"),
        ("postgresql:///x?host=/a&port=", "without a value"),
        ("postgresql://[::1/x", "Invalid"),
        ("postgresql://localhost:99999999/x", "range"),
        ("postgresql:///x?host=/a\n", "characters"),
        (f"postgresql:///x?host=/{'a' * 2000}", "too many"),
    ],
)
def test_a_url_that_cannot_be_is_named_without_its_password(url: str, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_url(url)
    assert word in caught.value.what
    assert "hidden" not in caught.value.diagnostics()
    (fault,) = faults(f'site = "a"\nside = "inside"\n[metadata]\nurl = {json.dumps(url)}\n'.encode())
    assert fault.key == "metadata.url"
    assert "hidden" not in fault.thing


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///lockgate?host=/var/run/postgresql",
        "postgresql://lockgate@localhost:5433/lockgate",
        "postgresql://lockgate@db.example/lockgate?sslmode=verify-full&sslrootcert=/etc/lockgate/db-ca.pem",
    ],
)
def test_a_url_that_can_be_is_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"{" * 3000, b"\xff", b'{"url": 1, "station": "", "site": ""}'])
def test_a_note_that_is_none_opens_nothing(tmp_path: Path, text: bytes) -> None:
    database = tmp_path / "metadata.sqlite"
    open_writer(database).close()
    note_file(database).write_bytes(text)
    with pytest.raises(FailedError, match=r"metadata\.json"):
        noted(database)
    with pytest.raises(FailedError, match=r"metadata\.json"):
        open_reader(database)


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    database, secret = tmp_path / "metadata.sqlite", StationPaths(tmp_path).metadata_secret
    note(database, Whereabouts(url="postgresql:///x?host=/nowhere", station="0" * 32, site="a"))
    secret.parent.mkdir()
    secret.write_text("hidden\n")
    secret.chmod(0o640)
    with pytest.raises(RefusedError, match="chmod 600"):
        open_reader(database)
    secret.chmod(0o600)
    with pytest.raises(FailedError) as caught:
        open_reader(database)
    assert "hidden" not in caught.value.diagnostics()
    secret.write_bytes(b"\xff\n")
    with pytest.raises(UsageError, match="UTF-8"):
        open_reader(database)


def test_no_empty_file_is_made_where_the_settings_name_another_place(tmp_path: Path) -> None:
    text = 'site = "a"\nside = "inside"\n[metadata]\nurl = "postgresql:///lockgate?host=/run/postgresql"\n'
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(FailedError, match="note"):
        open_writer(tmp_path / "metadata.sqlite")
    assert not is_made(tmp_path / "metadata.sqlite")
    assert not (tmp_path / "metadata.sqlite").exists()


def test_a_station_with_its_own_file_loads_no_client_of_postgresql(tmp_path: Path) -> None:
    work = (
        "import sys; from pathlib import Path; from appliance.store.database import open_writer;"
        "open_writer(Path(sys.argv[1])).close();"
        "sys.exit(any(name.partition('.')[0] == 'psycopg' or '.postgres' in name for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", work, str(tmp_path / "metadata.sqlite")], check=False)
    assert done.returncode == 0
