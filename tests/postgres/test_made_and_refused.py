"""A station's folder and its database know each other: what does not belong together is refused by name, in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.store.whereabouts import noted
from tests.postgres.station import Station
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres


class Few(Station):
    """By an account that gets no connection."""

    @property
    def url(self) -> str:
        return super().url.replace("lockgate@", "few@")


def test_what_was_pushed_is_pulled_listed_and_there_after_a_start(station: Station) -> None:
    client = station.client
    config = client.push_blob("team/app", b"{}")
    document = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.example+json", "digest": str(config), "size": 2}, "layers": [],
    }  # fmt: skip
    digest = client.push_manifest("team/app", document, "v1")
    for _ in range(2):
        found = station.client.ask("GET", "/v2/team/app/manifests/v1")
        assert (found.status, found.headers["Docker-Content-Digest"]) == (200, str(digest))
        assert station.client.ask("GET", "/v2/team/app/tags/list").json["tags"] == ["v1"]
        assert station.client.ask("GET", "/readyz").json["status"] == "ready"
        station.stop()
        station.start()
    assert not (station.root / "metadata.sqlite").exists()
    assert station.json("status")["health"]["ok"]
    assert "PostgreSQL" in station.call("rebuild", "--dry-run", expect=3)


def test_a_database_of_another_station_or_none_is_refused(station: Station, tmp_path: Path) -> None:
    second = Station(tmp_path / "bravo", station.server, station.database)
    said = second.make("--open", site="bravo", expect=1)
    assert "another station's" in said
    assert "of site alpha" in said
    assert not second.root.exists()
    missing = Station(tmp_path / "bravo", station.server, "nowhere")
    assert "createdb" in missing.make("--open", expect=1)
    letters = station.server.empty_database("TEMPLATE template0 LOCALE 'C.UTF-8'")
    other = Station(tmp_path / "bravo", station.server, letters)
    assert "--locale=C" in other.make("--open", expect=1)
    assert not other.root.exists()
    postgres = station.server
    unchecked = Station(tmp_path / "bravo", postgres, postgres.empty_database())
    postgres.administer("DROP EXTENSION amcheck", unchecked.database)
    assert "CREATE EXTENSION amcheck" in unchecked.make("--open", expect=1)
    postgres.administer("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
    assert "CONNECTION LIMIT" in Few(tmp_path / "bravo", postgres, other.database).make("--open", expect=1)
    assert not unchecked.root.exists()


def test_settings_and_note_must_agree(station: Station, postgres: PostgresServer) -> None:
    station.stop()
    right = station.url
    try:
        for url, status in (
            ("", 2),
            (right.replace(station.database, postgres.empty_database()), 1),
            (right.replace(str(postgres.folder), "/nowhere"), 1),
            (right.replace("//lockgate@", "//lockgate:secret@"), 2),
        ):
            station.set_url(url)
            said = station.call("serve", expect=status)
            assert said.count("\n") == 1
            assert "secret@" not in said
            assert "Traceback" not in said
            station.call("config", "check", expect=2)
        note = station.root / "metadata.json"
        text = note.read_bytes()
        station.set_url(right)
        note.unlink()
        assert "metadata.url" in station.call("serve", expect=2)
        note.write_bytes(b"{}")
        assert "put this file back" in station.call("serve", expect=1)
        note.write_bytes(text)
        station.set_url(f"{right}&port=5432")  # the same database by another name
    finally:
        station.start()
    found = noted(station.root / "metadata.sqlite")
    assert found is not None
    assert found.url == f"{right}&port=5432"
    assert station.client.ask("GET", "/v2/").status == 200


def test_a_second_station_from_a_copy_of_the_folder_does_not_write(station: Station, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    forgotten = {"run", "lock", "lease"}
    for one in station.root.rglob("*"):
        inner = one.relative_to(station.root)
        if inner.parts[0] in forgotten or not (one.is_dir() or one.is_file()):
            continue
        target = copy / inner
        target.mkdir(parents=True) if one.is_dir() else target.write_bytes(one.read_bytes())
    (copy / "run").mkdir()
    second = Station(copy, station.server, station.database)
    assert "another process writes to the station's database" in second.call(
        "serve", "--listen", "127.0.0.1:0", expect=1
    )


def test_an_older_copy_of_the_database_is_named_and_gone_on_with_by_word(
    station: Station, postgres: PostgresServer
) -> None:
    station.stop()
    url, old = station.url, postgres.empty_database(f"TEMPLATE {station.database}")
    station.start()
    config = station.client.push_blob("team/late", b"{}")
    assert config
    station.stop()
    station.set_url(url.replace(station.database, old))
    said = station.call("serve", "--listen", "127.0.0.1:0", expect=3)
    assert "another copy than the one that was written last" in said
    assert "lockgate restore --why" in said
    station.call("restore", "--why", "the copy of yesterday")
    station.start()
    assert station.client.ask("GET", "/v2/team/app/tags/list").status == 200
    assert station.client.ask("GET", "/v2/team/late/tags/list").status == 404
