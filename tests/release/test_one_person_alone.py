"""A release with one person is impossible on a running station with accounts and TLS, whichever way one tries."""

from __future__ import annotations

import base64
import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.control.client import ControlClient
from bundles.documents import signed as documents
from bundles.documents.signed import Approval
from bundles.errors import LockgateError, NotFoundError, RefusedError
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import revoke_key
from tests.release.closed import PASSWORD, Closed, edit


@pytest.fixture
def name(closed: Closed) -> str:
    """A bundle that carl imported."""
    return closed.brought()


def is_hidden(station: Closed, name: str) -> bool:
    """Nothing of the bundle is linked or tagged anywhere."""
    with contextlib.closing(sqlite3.connect(station.paths.database)) as reader:
        rows = reader.execute(
            "SELECT json_extract(a.value, '$.digest') FROM intake i JOIN intake_documents d USING (digest),"
            " json_each(d.manifest, '$.artifacts') a WHERE i.id = ?",
            (name,),
        ).fetchall()
        assert rows
        shown = [reader.execute(f"SELECT count(*) FROM {table} WHERE digest = ?", row).fetchone()[0]
                 for row in rows for table in ("links", "tags")]  # fmt: skip
    return not any(shown)


def test_two_people_release_by_the_command_line(closed: Closed, name: str) -> None:
    closed.cli("anna", "intake", "approve", name, "--key", closed.key_file("anna"))
    refused = closed.cli("anna", "intake", "release", name, expect=3)
    assert "quarantined, not approved" in refused.stderr
    again = closed.cli("anna", "intake", "approve", name, "--key", closed.key_file("anna"), "--json").json
    assert (again["state"], again["approvals"]) == ("quarantined", 1)
    closed.cli("boris", "intake", "approve", name, "--key", closed.key_file("boris"))
    assert closed.cli("clara", "intake", "release", name).stdout.split()
    assert not is_hidden(closed, name)


def test_another_s_key_in_ones_own_hands_releases_nothing_alone(closed: Closed, name: str) -> None:
    """anna came by boris's key: what she signs with it counts as his, but she cannot do everything."""
    assert closed.approve("anna", name) == "quarantined"
    assert closed.approve("anna", name, closed.keys["boris"]) == "approved"
    assert "come through the log-in of anna" in closed.refusal("anna", name)
    assert is_hidden(closed, name)
    edit(closed, f"UPDATE decisions SET actor = 'boris' WHERE keyid = '{closed.keys['boris'].public.keyid}'")
    assert "come through the log-in of anna" in closed.refusal("anna", name)
    assert closed.release("clara", name)


def test_one_person_with_two_keys_is_one_person(closed: Closed, name: str) -> None:
    """Pinned under another name, since the trust folder refuses a second spelling: the account tells."""
    second = closed.key("A. Berg")
    closed.change("anna", "bind-key", keyid=second.public.keyid)
    assert closed.approve("anna", name) == "quarantined"
    assert closed.approve("anna", name, second) == "quarantined"
    assert "not approved" in closed.refusal("anna", name)
    edit(closed, f"UPDATE intake SET state = 'approved' WHERE id = '{name}'",
         f"UPDATE approvals SET owner = 'boris' WHERE keyid = '{second.public.keyid}'",
         "INSERT INTO transitions (digest, id, state, at, actor, note) SELECT digest, id, 'approved', received, 'x', ''"
         f" FROM intake WHERE id = '{name}'")  # fmt: skip
    assert "too few approvals count now" in closed.refusal("clara", name)
    assert is_hidden(closed, name)
    assert closed.approve("boris", name) == "approved"
    assert closed.release("clara", name)


@pytest.mark.parametrize("state", ["the state", "a copied approval", "another's name on it", "forged"])
def test_a_row_edited_by_hand_is_caught(closed: Closed, name: str, state: str) -> None:
    closed.approve("anna", name)
    boris = closed.keys["boris"].public.keyid
    digest = f"(SELECT digest FROM intake WHERE id = '{name}')"
    copy = f"signature, created, 0 FROM approvals WHERE digest = {digest}"
    more = {
        "the state": [],
        "a copied approval": [f"INSERT INTO approvals SELECT digest, '{boris}', 'boris', document, {copy}"],
        "another's name on it": [f"UPDATE approvals SET owner = 'boris', keyid = '{boris}' WHERE digest = {digest}"],
        "forged": [
            f"INSERT INTO approvals SELECT digest, '{boris}', 'boris', replace(document, keyid, '{boris}'), {copy}"
        ],
    }[state]
    step = ("INSERT INTO transitions (digest, id, state, at, actor, note) SELECT digest, id, 'approved', received,"
            f" 'boris', '' FROM intake WHERE id = '{name}'")  # fmt: skip
    edit(closed, f"UPDATE intake SET state = 'approved' WHERE id = '{name}'", step, *more)
    assert "approvals" in closed.refusal("clara", name)
    assert is_hidden(closed, name)


def test_a_report_or_manifest_edited_by_hand_is_caught(closed: Closed, name: str) -> None:
    closed.approve("anna", name)
    closed.approve("boris", name)
    of = f"WHERE digest = (SELECT digest FROM intake WHERE id = '{name}')"
    with contextlib.closing(sqlite3.connect(closed.paths.database)) as reader:
        kept = reader.execute(f"SELECT report, manifest FROM intake_documents {of}").fetchone()
    try:
        edit(closed, f"UPDATE intake_documents SET report = replace(report, 'ok', 'no') {of}")
        assert "report was changed" in closed.refusal("clara", name)
        edit(closed, f"UPDATE intake_documents SET report = substr(report, 2) {of}")
        closed.refusal("clara", name)
        other = "report = replace(report, 'no', 'ok'), manifest = replace(manifest, 'files', 'evil')"
        edit(closed, f"UPDATE intake_documents SET {other} {of}")
        closed.refusal("clara", name)
        assert is_hidden(closed, name)
        edit(closed, f"UPDATE intake_documents SET manifest = substr(manifest, 2) {of}")
        (shown,) = closed.ask("anna", "GET", "/v1/approvals", filter=name)["items"]
        assert shown["error"]
        closed.refusal("clara", name)
        found = closed.ask("vera", "GET", "/v1/releases/check")["items"]
        assert [one["kind"] for one in found if one["bundle"] == name] == ["entry", "report"]
        with pytest.raises(NotFoundError):
            closed.ask("vera", "GET", "/v1/recall", thing="sha256:" + "0" * 64)
    finally:
        with contextlib.closing(sqlite3.connect(closed.paths.database, timeout=30)) as intruder, intruder:
            intruder.execute(f"UPDATE intake_documents SET report = ?, manifest = ? {of}", kept)


def test_an_approval_for_another_bundle_is_refused(closed: Closed, name: str) -> None:
    other = closed.brought()
    boris = closed.keys["boris"]
    payload = closed.draft("boris", other, boris)
    with pytest.raises(RefusedError, match="for another bundle"):
        closed.hand_in("boris", name, boris.public.keyid, payload, boris.sign(payload))
    with pytest.raises(RefusedError, match="does not hold"):
        closed.hand_in("anna", name, boris.public.keyid, payload, closed.keys["anna"].sign(payload))


def test_an_approval_ends_with_the_report_it_was_given_for(closed: Closed, name: str) -> None:
    boris = closed.keys["boris"]
    payload = closed.draft("boris", name, boris)
    closed.approve("anna", name)
    closed.hand_in("boris", name, boris.public.keyid, payload, boris.sign(payload))
    ended = closed.job("anna", "inspect", id=name)
    while ended["result"]["report_digest"] == documents.decode(payload, Approval).report:
        ended = closed.job("anna", "inspect", id=name)  # within the same second it is the same report
    assert ended["result"]["state"] == "quarantined"
    assert "not approved" in closed.refusal("clara", name)
    with pytest.raises(RefusedError, match="for another report"):
        closed.hand_in("boris", name, boris.public.keyid, payload, boris.sign(payload))
    assert closed.approve("anna", name) == "quarantined"
    assert closed.approve("boris", name) == "approved"
    assert closed.release("clara", name)


def dated(closed: Closed, name: str, hours: int) -> bytes:
    """Boris's approval as it was `hours` ago."""
    said = documents.decode(closed.draft("boris", name, closed.keys["boris"]), Approval)
    times = {"created": clock.after(-hours * 3600), "not_after": clock.after(-hours * 3600 + 72 * 3600)}
    return documents.encode(Approval(**{each: getattr(said, each) for each in said.__struct_fields__} | times))


def test_an_approval_out_of_its_time_is_refused_also_where_it_was_put_into_the_database(
    closed: Closed, name: str
) -> None:
    boris = closed.keys["boris"]
    payload = dated(closed, name, 73)
    for document in (payload, dated(closed, name, -1)):
        with pytest.raises(RefusedError, match="out of its time"):
            closed.hand_in("boris", name, boris.public.keyid, document, boris.sign(document))
    closed.approve("anna", name)
    closed.approve("boris", name)
    whose = f"keyid = '{boris.public.keyid}' AND digest = (SELECT digest FROM intake WHERE id = '{name}')"
    signature = boris.sign(payload).hex()
    edit(closed, f"UPDATE approvals SET document = '{payload.decode()}', signature = x'{signature}' WHERE {whose}")
    assert "out of its time" in closed.refusal("clara", name)
    assert is_hidden(closed, name)


def test_an_administrator_is_none_of_the_two(closed: Closed, name: str) -> None:
    key = closed.key("Ada Adams")
    closed.change("ada", "bind-key", keyid=key.public.keyid)
    with pytest.raises(RefusedError, match="separation of duties"):
        closed.change("ada", "grant", role="security-officer", pattern="**")
    closed.approve("anna", name)
    payload = closed.draft("anna", name, key)
    for who, path, body in (
        ("ada", f"/v1/intake/{name}/approval", {"payload": "", "keyid": "", "signature": ""}),
        ("ada", f"/v1/intake/{name}/release", {}),
        ("ada", "/v1/jobs", {"kind": "inspect", "params": {"id": name}}),
    ):
        with pytest.raises(RefusedError, match="may never"):
            closed.ask(who, "POST", path, body)
    with pytest.raises(RefusedError, match="may never approve"):  # nor where an officer hands it in for her
        closed.hand_in("anna", name, key.public.keyid, payload, key.sign(payload))
    assert "not approved" in closed.refusal("anna", name)


def test_who_imported_it_is_none_of_the_two_whatever_they_became_since(closed: Closed) -> None:
    closed.ask(
        "ada", "POST", "/v1/accounts", {"name": "carla", "full_name": "", "password": "a password of some length"}
    )
    closed.change("carla", "grant", role="courier", pattern="**")
    name = closed.brought("carla")
    with pytest.raises(RefusedError, match="may"):
        closed.ask("carla", "POST", f"/v1/intake/{name}/release", {})
    closed.ask("ada", "POST", "/v1/accounts/carla/withdraw", {"role": "courier", "pattern": "**"})
    closed.change("carla", "grant", role="security-officer", pattern="**")
    key = closed.key("Carla Nilsson")
    closed.change("carla", "bind-key", keyid=key.public.keyid)
    closed.sessions.pop("carla")
    with pytest.raises(RefusedError, match="who imported the bundle may not approve it"):
        closed.approve("carla", name, key)
    closed.approve("anna", name)
    edit(closed, f"UPDATE transitions SET actor = 'nobody' WHERE id = '{name}'")
    assert closed.approve("carla", name, key) == "approved"
    assert "the audit log says that another imported it" in closed.refusal("anna", name)
    assert is_hidden(closed, name)


def officer(closed: Closed, who: str, owner: str) -> PrivateKey:
    """A further officer, made by the administrator."""
    closed.ask("ada", "POST", "/v1/accounts", {"name": who, "full_name": "", "password": PASSWORD})
    closed.change(who, "grant", role="security-officer", pattern="**")
    key = closed.key(owner)
    closed.change(who, "bind-key", keyid=key.public.keyid)
    return key


def test_an_approval_does_not_outlive_its_key_or_its_account(closed: Closed) -> None:
    closed.ask(
        "ada", "POST", "/v1/accounts", {"name": "dora", "full_name": "", "password": "a password of some length"}
    )
    closed.change("dora", "grant", role="security-officer", pattern="**")
    key = closed.key("Dora Ek")
    closed.change("dora", "bind-key", keyid=key.public.keyid)
    name = closed.brought()
    closed.approve("dora", name, key)
    closed.approve("anna", name)
    closed.ask("ada", "POST", "/v1/accounts/dora/disable", {})
    assert "account is disabled" in closed.refusal("clara", name)
    closed.change("dora", "enable")
    revoke_key(closed.paths.trust, key.public.keyid, why="stolen", at=clock.now())
    assert "stolen" in closed.refusal("clara", name)
    assert is_hidden(closed, name)


def test_who_has_not_logged_in_gets_nowhere(closed: Closed, name: str) -> None:
    import asyncio

    async def ask() -> None:
        async with ControlClient(closed.root) as client:
            await client.post(f"/v1/intake/{name}/release", {})

    with pytest.raises(RefusedError, match="no account stands"):
        asyncio.run(ask())
    closed.sessions["ghost"] = base64.b64encode(b"x" * 24).decode()
    with pytest.raises(RefusedError, match="log-in is over"):
        closed.ask("ghost", "POST", f"/v1/intake/{name}/release", {})


def test_an_approval_made_elsewhere_is_as_good_as_one_made_here(closed: Closed, tmp_path: Path) -> None:
    from bundles.verifier import main as verifier

    made = closed.carried()
    name = str(made.signed.manifest.id)
    closed.job("carl", "import", paths=[str(made.folder)])
    closed.approve("anna", name)
    report = closed.cli("anna", "intake", "report", name, "--out", tmp_path / "report.json")
    assert report.stdout.splitlines()[-1] == str(tmp_path / "report.json")
    out = tmp_path / "boris.approval"
    words = ["approve", made.folder, "--trust", closed.paths.trust, "--report", tmp_path / "report.json",
             "--key", closed.key_file("boris"), "--out", out, "--yes"]  # fmt: skip
    assert verifier.main([str(word) for word in words]) == 0
    said = closed.cli("anna", "intake", "reject", name, "--approval", out, expect=2)
    assert "the file says approve" in said.stderr
    said = closed.cli("anna", "intake", "approve", name, "--approval", out)
    assert said.stdout == f"{name} is approved (2 of 2 approvals)\n"
    (event,) = [one for one in closed.ask("vera", "GET", "/v1/audit", thing=name, act="intake.approve")["items"]
                if one["detail"]["owner"] == "Boris Lind"]  # fmt: skip
    assert event["actor"] == "anna"
    assert closed.release("clara", name)


def test_a_hybrid_key_signs_elsewhere_with_both_its_halves(closed: Closed, name: str, tmp_path: Path) -> None:
    from bundles.signing import hybrid
    from bundles.signing.keys import create_private, save_private
    from bundles.signing.pinning import trust_key
    from bundles.verifier import main as verifier

    officer(closed, "hanna", "Hanna Dahl")
    key = create_private(hybrid.ALGORITHM)
    trust_key(closed.paths.trust, key.public, purpose="release", owner="Hanna Dahl", sites=[])
    closed.change("hanna", "bind-key", keyid=key.public.keyid)
    save_private(tmp_path / "hanna.pem", key, None)
    digest = closed.ask("anna", "GET", f"/v1/intake/{name}")["digest"]
    folder = next(path for path in closed.folder.glob(f"{name.partition('.')[0]}/*") if path.is_dir())
    assert str(Digest.of((folder / "SHA256SUMS").read_bytes())) == digest
    closed.cli("anna", "intake", "report", name, "--out", tmp_path / "report.json")
    out = tmp_path / "approval"
    words = ["approve", folder, "--trust", closed.paths.trust, "--report", tmp_path / "report.json",
             "--key", tmp_path / "hanna.pem", "--out", out, "--yes"]  # fmt: skip
    assert verifier.main([str(word) for word in words]) == 0
    halves = sorted(path for path in tmp_path.iterdir() if path.name.startswith("approval."))
    assert len(halves) == 2
    kept = halves[0].read_bytes()
    halves[0].unlink()
    assert (
        "a file of the signature is missing"
        in closed.cli("anna", "intake", "approve", name, "--approval", out, expect=3).stderr
    )
    halves[0].write_bytes(kept)
    assert "1 of 2 approvals" in closed.cli("anna", "intake", "approve", name, "--approval", out).stdout


@pytest.fixture
def older(closed: Closed, tmp_path: Path) -> Iterator[Path]:
    """A backup of the database, made while the station ran."""
    yield tmp_path / "older.sqlite"
    if closed.process is None or closed.process.poll() is not None:
        closed.start()


def back_up(closed: Closed, to: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(closed.paths.database)) as source,
        contextlib.closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)


def put_back(closed: Closed, backup: Path) -> None:
    closed.stop()
    for suffix in ("-wal", "-shm"):
        Path(f"{closed.paths.database}{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, closed.paths.database)
    closed.start()


def test_a_backup_from_before_a_rejection_or_a_withdrawal_releases_nothing(closed: Closed, older: Path) -> None:
    withdrawn, rejected = closed.brought(), closed.brought()
    for name in (withdrawn, rejected):
        closed.approve("anna", name)
        closed.approve("boris", name)
    back_up(closed, older)
    closed.release("clara", withdrawn)
    made = clock.now()
    while clock.now() == made:
        pass
    closed.ask("clara", "POST", f"/v1/intake/{withdrawn}/withdraw", {"why": "recalled"})
    closed.approve("clara", rejected, decision="reject", why="not ordered")
    put_back(closed, older)
    for name in (withdrawn, rejected):
        assert "taken back" in closed.refusal("clara", name)
        assert is_hidden(closed, name)
    assert closed.approve("anna", withdrawn) == "approved"
    assert "taken back" in closed.refusal("clara", withdrawn)
    closed.approve("boris", withdrawn)
    with pytest.raises(LockgateError):
        closed.approve("boris", "alpha.bravo-000001")


def test_a_station_that_was_made_for_two_is_never_opened(closed: Closed, older: Path) -> None:
    """`open = true` in the configuration would let one person decide; the audit log remembers how it was made."""
    closed.stop()
    before = closed.paths.config.read_text()
    closed.paths.config.write_text(before.replace("open = false", "open = true"))
    try:
        said = closed.command("serve", "-C", closed.root, "--listen", "127.0.0.1:0", expect=3).stderr
        assert "never opened" in said
        shutil.copy(closed.paths.database, older)
        closed.paths.database.unlink()  # nor without its accounts
        assert "never opened" in closed.command("serve", "-C", closed.root, "--listen", "127.0.0.1:0", expect=3).stderr
    finally:
        closed.paths.config.write_text(before)
        shutil.copy(older, closed.paths.database)


def test_a_restore_voids_every_approval(closed: Closed) -> None:
    """What was withdrawn or rejected after the backup is not known any more: people are asked again."""
    from appliance.store.writes.ledger import ShutImports

    name = closed.brought()
    closed.approve("anna", name)
    closed.approve("boris", name)
    made = clock.now()
    while clock.now() == made:
        pass
    closed.stop()
    closed.write(ShutImports(actor="restore", at=clock.now()))
    closed.start()
    try:
        assert "taken back" in closed.refusal("clara", name)
        closed.approve("anna", name)
        closed.approve("boris", name)
        assert closed.release("clara", name)
    finally:
        edit(closed, "DELETE FROM restores")  # for the other tests: it shut their imports


def test_a_clock_that_was_set_back_revives_no_approval(closed: Closed, name: str) -> None:
    boris = closed.keys["boris"]
    closed.approve("anna", name)
    payload = closed.draft("boris", name, boris)
    floor = "INSERT INTO clock_floors (floor, why, created, actor) VALUES ('{}', 'x', '', '')"
    edit(closed, floor.format(clock.after(80 * 3600)))
    try:
        with pytest.raises(RefusedError, match="the clock stands before"):
            closed.hand_in("boris", name, boris.public.keyid, payload, boris.sign(payload))
        edit(closed, floor.format(clock.after(20 * 3600)))
        old = dated(closed, name, 60)  # good for 12 hours by the clock
        with pytest.raises(RefusedError, match="out of its time"):
            closed.hand_in("boris", name, boris.public.keyid, old, boris.sign(old))
    finally:
        edit(closed, "DELETE FROM clock_floors WHERE why = 'x'")


def test_two_sealed_envelopes_in_one_hand_are_one_person(closed: Closed, name: str) -> None:
    keys = {}
    for who, owner in (("erik", "Duty Officer"), ("frida", "Site Manager")):
        keys[who] = officer(closed, who, owner)
    named = ", ".join(f'"{key.public.keyid}"' for key in keys.values())
    closed.paths.approvals.write_text(f"[break_glass]\nkeys = [{named}]\n")
    try:
        erik = keys["erik"]
        payload = closed.draft("erik", name, erik)
        with pytest.raises(RefusedError, match="used by whom it stands for"):
            closed.hand_in("frida", name, erik.public.keyid, payload, erik.sign(payload))
        closed.hand_in("erik", name, erik.public.keyid, payload, erik.sign(payload))
        assert closed.approve("frida", name, keys["frida"]) == "approved"
        assert "too few others" in closed.refusal("frida", name)
        assert closed.release("anna", name)
    finally:
        closed.paths.approvals.unlink()
