"""Rows made by hand that show quarantined content, at a station whose database nobody else has touched."""

from __future__ import annotations

from tests.release.closed import Closed, edit


def test_content_that_a_row_made_by_hand_shows_is_found(closed: Closed) -> None:
    name, released = closed.brought(), closed.brought()
    closed.approve("anna", released)
    closed.approve("boris", released)
    closed.release("clara", released)
    assert closed.cli("vera", "intake", "check").stdout == "[ok] all that is shown was released\n"
    at = "2026-01-01T00:00:00Z"
    documents = "FROM intake i JOIN intake_documents d USING (digest)"
    wanted = f"{documents}, json_each(d.manifest, '$.blobs') b WHERE i.id = '{name}'"
    edit(
        closed,
        f"INSERT INTO repositories (name, created) VALUES ('stolen', '{at}')",
        "INSERT INTO links (repository_id, digest, kind, created) SELECT (SELECT id FROM repositories WHERE"
        f" name = 'stolen'), json_extract(b.value, '$.digest'), 'blob', '{at}' {wanted}",
        f"UPDATE intake SET state = 'released' WHERE id = '{name}'",
    )
    said = closed.cli("vera", "intake", "check", expect=3)
    assert name in said.stdout
    assert released not in said.stdout
    assert "nobody released" in said.stderr
    alerts = closed.ask("vera", "GET", "/v1/status")["alerts"]
    assert any(f"release: {name} is shown and nobody released it" in alert for alert in alerts)
    edit(closed, "DELETE FROM links WHERE repository_id = (SELECT id FROM repositories WHERE name = 'stolen')")
    state, step = closed.ask("vera", "GET", "/v1/releases/check")["items"]
    assert [state[word] for word in ("kind", "bundle", "found", "expected")] == [
        "state",
        name,
        "released",
        "quarantined",
    ]
    assert [step[word] for word in ("kind", "bundle", "found")] == ["record", name, "missing"]
    assert "by the audit log quarantined" in closed.cli("vera", "intake", "check", expect=3).stderr
    edit(closed, f"UPDATE intake SET state = 'quarantined' WHERE id = '{name}'")
    assert closed.ask("vera", "GET", "/v1/releases/check")["ok"] is True
