"""Two running stations, the command line alone: one record of both sides, and heads that hold each other's logs."""

from __future__ import annotations

from pathlib import Path

from tests.stage import Station


def test_a_receipt_makes_one_custody_record_of_both_sides(tmp_path: Path) -> None:
    with (
        Station(tmp_path / "alpha", "alpha", "outside") as alpha,
        Station(tmp_path / "bravo", "bravo", "inside") as bravo,
    ):

        def pin(at: Station, of: Station, key: str, *words: str) -> None:
            pem = tmp_path / f"{of.site}-{key}.pem"
            pem.write_text(of.run("key", "export", key).stdout)
            at.run("key", "trust", pem, *words)

        alpha.run("key", "create", "builder", "--no-passphrase")
        bravo.run("key", "create", "anna", "--no-passphrase")
        pin(bravo, alpha, "builder", "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
        pin(bravo, bravo, "anna", "--purpose", "release", "--owner", "Anna Berg")
        pin(alpha, bravo, "receipt", "--purpose", "receipt", "--owner", "Site bravo", "--from", "bravo")
        (tmp_path / "notes.txt").write_text("hello\n")
        (tmp_path / "medium").mkdir()
        reference = alpha.run("collect", f"file:{tmp_path}/notes.txt", "--as", "files/notes:1").last_line
        built = alpha.run("bundle", "build", "--to", "bravo", "--out", tmp_path / "medium", "--sign-with", "builder",
                          "--purpose", "monthly patches", reference)  # fmt: skip
        name = Path(built.last_line).name
        alpha.run("bundle", "custody", name, "--from", "Builder", "--to", "Courier", "--medium", "USB-7")
        bravo.run("intake", "import", built.last_line)
        bravo.run("bundle", "custody", name, "--from", "Courier", "--to", "Operator", "--medium", "USB-7")
        bravo.run("intake", "approve", name, "--key", "anna")
        bravo.run("intake", "release", name)

        inside = bravo.run("bundle", "custody", name)
        assert "made            at alpha" in inside.stdout
        assert "monthly patches" in inside.stdout
        assert "THE OTHER SIDE" not in inside.stdout

        exported = bravo.run("receipt", "export", "--out", tmp_path / "receipt.json")
        head = next(line for line in exported.stdout.splitlines() if line.startswith("audit head ")).split()[-1]
        bravo.run("audit", "verify", "--expect-head", head)
        read = alpha.run("receipt", "read", tmp_path / "receipt.json").stdout
        assert f"audit head {head}" in read
        assert f"{name} is released" in read
        taken = alpha.run("receipt", "take", tmp_path / "receipt.json").stdout
        assert taken.splitlines() == ["receipt 1 of bravo", f"  custody of {name}", f"  audit head {head}"]
        assert "taken before" in alpha.run("receipt", "take", tmp_path / "receipt.json").stdout
        bravo_took = bravo.run("receipt", "take", tmp_path / "receipt.json", expect=3)
        assert bravo_took.stderr.count("\n") == 1

        joined = alpha.run("bundle", "custody", name, "--html", tmp_path / "form.html")
        for said in ("THE OTHER SIDE", "Builder to Courier", "Courier to Operator", "approve signed", "Anna Berg", head,
                     "own key builder", "told by         receipt 1"):  # fmt: skip
            assert said in joined.stdout, said
        assert "Courier to Operator" in (tmp_path / "form.html").read_text()
        (event,) = alpha.run("audit", "show", "--act", "receipt.take", "--outcome", "done", "--json").json["items"]
        assert event["detail"]["head"] == head
        listed = alpha.run("status", "--json").json["audit"]
        assert set(listed) == {"head", "created", "events", "refused"}
        assert listed["refused"] == []
