"""verify-export.sh: what an auditor runs over an export of the audit log, with stock tools alone. It fails closed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from appliance.audit import export as audit_export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.cli.station.audit import verify as verify_command
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from bundles.documents.audit_findings import GENESIS
from bundles.documents.audit_log import hash_of, line_of
from bundles.errors import LockgateError
from bundles.signing.keys import create_private, load_public
from tests.intake.inside import name_of
from tests.observe.exports import SCRIPT, Exported, export, make_export, released, ssh_key
from tests.peer_tools import require

NEW = "openssl list -public-key-algorithms"


def verify(exported: Exported | Path, *options: str, key: Path | None = None, shell: str = "dash", **environment: str):  # type: ignore[no-untyped-def]
    """The script over an export: (exit status, the verdict, everything it printed)."""
    folder = exported if isinstance(exported, Path) else exported.folder
    pem = key if key is not None else exported.pem  # type: ignore[union-attr]
    command = [shell, SCRIPT, *options, pem, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert done.stderr == "", done.stderr
    *_, verdict = done.stdout.splitlines()
    return done.returncode, verdict, done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Signed by a key of each kind that every openssl checks, decided by two, one an SSH key."""
    require("dash", "openssl", "ssh-keygen")
    root = tmp_path_factory.mktemp("plain")
    signers = [create_private(name) for name in ("ecdsa-p256", "ecdsa-p384", "ed25519")]
    return make_export(root, signers, [create_private("ed25519"), ssh_key(root)])


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Signed and decided by hybrid keys, of a station whose audit key is one since a rotation."""
    require("dash", "openssl")
    root, algorithm = tmp_path_factory.mktemp("hybrid"), "ecdsa-p384+ml-dsa-87"
    officers = [create_private(algorithm), create_private()]
    return make_export(root, [create_private(algorithm)], officers, audit=algorithm)


@pytest.fixture
def copy(made: Exported, tmp_path: Path) -> Exported:
    """An export that a test may change."""
    return Exported(Path(shutil.copytree(made.folder, tmp_path / "copy")), made.pem, made.key, made.digest)


@pytest.mark.peer
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_an_export_is_proved_by_every_kind_of_key_that_openssl_and_ssh_keygen_check(made: Exported, shell: str) -> None:
    status, verdict, said = verify(made, "--site", "bravo", shell=shell)
    assert (status, verdict[:12]) == (0, "verdict: OK:")
    assert len(re.findall(rf"{made.digest} signed by Builder \w+ \([0-9a-f]{{16}}\)\n", said)) == 3
    assert sorted(re.findall(r"approve by (Officer \d)", said)) == ["Officer 1", "Officer 2"]
    assert [line.split()[1] for line in said.splitlines() if " intake." in line] == ["intake.import", "intake.release"]


@pytest.mark.peer
def test_the_export_carries_the_script_and_readme_names_its_command(made: Exported) -> None:
    assert (made.folder / "verify-export.sh").read_bytes() == SCRIPT.read_bytes()
    (made.folder / "audit.pem").unlink(missing_ok=True)
    commands = re.findall(r"^  ((?:sh|openssl) .*)$", (made.folder / "README.txt").read_text(), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        at_hand = command.replace("audit.pem", str(made.pem))
        subprocess.run(["sh", "-ec", at_hand], cwd=made.folder, check=True, capture_output=True)


@pytest.mark.peer
def test_days_limit_what_is_listed_and_not_what_is_verified(made: Exported) -> None:
    status, _, said = verify(made, "--from", "2020-01-01", "--until", "2020-02-01")
    assert (status, " intake." in said, "signed by" in said) == (0, False, True)


@pytest.mark.peer
def test_the_verdict_says_what_crossed_in_the_days_or_that_nothing_did(made: Exported) -> None:
    status, verdict, _ = verify(made, "--from", "2020-01-01", "--until", "2020-02-01")
    assert (status, "nothing crossed from 2020-01-01 before 2020-02-01" in verdict) == (0, True)
    status, verdict, _ = verify(made, "--from", "2020-01-01")
    assert (status, "nothing crossed" in verdict, "listed from 2020-01-01: 2" in verdict) == (0, False, True)
    status, verdict, _ = verify(made)
    assert (status, "; listed: 2" in verdict) == (0, True)


@pytest.mark.peer
@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    "days",
    [
        ("--from", "yesterday"), ("--from", "2026-13-01"), ("--until", "2026-02-29"), ("--until", "2100-02-29"),
        ("--from", "2026-04-31"), ("--from", "2026-00-10"), ("--from", "2026-01-00"), ("--from", "2026-1-1"),
        ("--from", "2026-02-01", "--until", "2026-01-31"), ("--from", "2026-02-01", "--until", "2026-02-01"),
    ],
)  # fmt: skip
def test_days_that_are_none_and_a_range_without_a_day_are_wrong_usage(
    made: Exported, days: tuple[str, ...], shell: str
) -> None:
    status, verdict, said = verify(made, *days, shell=shell)
    assert (status, verdict[:22], "[ok]" in said) == (2, "verdict: NOT VERIFIED:", False)


def test_without_the_tool_that_prints_the_verdict_there_is_one_all_the_same(tmp_path: Path) -> None:
    ended = subprocess.run(
        ["/bin/sh", SCRIPT, "audit.pem", tmp_path], env={"PATH": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "verdict: NOT VERIFIED: stopped at the arguments\n")


@pytest.mark.peer
def test_the_last_day_of_a_february_of_a_leap_year_is_a_day(made: Exported) -> None:
    assert verify(made, "--from", "2000-02-29", "--until", "2000-03-01")[0] == 0


def mldsa(tmp_path: Path) -> str:
    """A PATH whose openssl has ML-DSA, by the cryptography library where the stock one is too old for it."""
    program = tmp_path / "bin/openssl"
    program.parent.mkdir()
    program.write_text(f"""#!{sys.executable}
import subprocess, sys
words = sys.argv[1:]
if words == ["list", "-public-key-algorithms"]:
    print("ML-DSA-87")
elif "-rawin" in words and "ML-DSA" not in words:
    from cryptography.hazmat.primitives import serialization
    read = lambda option: open(words[words.index(option) + 1], "rb").read()
    key = serialization.load_pem_public_key(read("-inkey"))
    try:
        key.verify(read("-sigfile"), read("-in"))
    except Exception:
        sys.exit(1)
else:
    sys.exit(subprocess.run(["{shutil.which("openssl")}", *words]).returncode)
""")
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.peer
def test_the_verdict_names_the_half_that_an_old_openssl_did_not_check(hybrid: Exported) -> None:
    new = b"ML-DSA-87" in subprocess.run(NEW.split(), capture_output=True, check=True).stdout
    status, verdict, _ = verify(hybrid)
    if new:
        assert (status, verdict[:12]) == (0, "verdict: OK:")
    else:
        assert status == 4
        assert verdict.startswith("verdict: INCOMPLETE: what was checked holds; not checked: the ML-DSA half")


@pytest.mark.peer
def test_an_openssl_that_knows_ml_dsa_checks_both_halves(hybrid: Exported, tmp_path: Path) -> None:
    path = mldsa(tmp_path)
    assert verify(hybrid, PATH=path)[:2][0] == 0
    copy = Exported(Path(shutil.copytree(hybrid.folder, tmp_path / "copy")), hybrid.pem, hybrid.key, hybrid.digest)
    (half,) = copy.folder.glob("bundles/*/SHA256SUMS.*.mldsa")
    half.write_bytes(half.read_bytes()[:-1] + bytes([half.read_bytes()[-1] ^ 1]))
    copy.resign()
    assert verify(copy, PATH=path)[0] == 3
    half.unlink()
    copy.resign()
    assert verify(copy, PATH=path)[0] == 3
    assert verify(copy)[0] == 3  # also where that half could not have been checked


@pytest.mark.peer
def test_the_one_file_of_both_halves_that_earlier_versions_wrote_is_checked(hybrid: Exported, tmp_path: Path) -> None:
    copy = Exported(Path(shutil.copytree(hybrid.folder, tmp_path / "copy")), hybrid.pem, hybrid.key, hybrid.digest)
    (half,) = copy.folder.glob("bundles/*/decisions/*.mldsa")
    with half.with_suffix(".sig").open("ab") as whole:
        whole.write(half.read_bytes())
    half.unlink()
    copy.resign()
    assert verify(copy, PATH=mldsa(tmp_path))[0] == 0
    key = load_public(hybrid.pem)
    assert audit_export.verify_export(copy.folder, key, "bravo").findings == []


def command(exported: Exported) -> tuple[int, dict[str, Any]]:
    """`audit verify --export`: its exit status and what it says."""
    options = ["--export", str(exported.folder), "--key", str(exported.pem), "--site", "bravo", "--json"]
    done = CliRunner().invoke(verify_command, options)
    error = done.exception
    status = error.exit_status if isinstance(error, LockgateError) else done.exit_code
    return status, json.loads(done.stdout)


def both(exported: Exported) -> tuple[int, str, str]:
    """`verify`, and the command says the same."""
    found = verify(exported)
    status, said = command(exported)
    assert (status, said["ok"]) == (found[0], found[0] != 3), (found[1], said)
    return found


def files(exported: Exported, pattern: str) -> list[Path]:
    found = sorted(exported.folder.glob(pattern))
    assert found, pattern
    return found


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def swapped_signatures(exported: Exported) -> None:
    swap(*files(exported, "bundles/*/SHA256SUMS.*.sig")[:2])


def swapped_decisions(exported: Exported) -> None:
    swap(files(exported, "bundles/*/decisions/001.json.*")[0], files(exported, "bundles/*/decisions/002.json.*")[0])


def a_foreign_key(algorithm: str) -> Callable[[Exported], None]:
    """Another key under a signer's name, and its signature: what a forger of the export would do."""

    def change(exported: Exported) -> None:
        for signature in files(exported, "bundles/*/SHA256SUMS.*.sig"):
            keyid = signature.name.split(".")[1]
            file = exported.folder / f"keys/{keyid}.pem"
            if load_public(file).algorithm == algorithm:
                key = create_private(algorithm)
                file.write_bytes(key.public.to_pem())
                signature.write_bytes(key.sign((signature.parent / "SHA256SUMS").read_bytes()))

    return change


def another_manifest(exported: Exported) -> None:
    (file,) = files(exported, "bundles/*/manifest.json")
    file.write_bytes(file.read_bytes().replace(b'"1"', b'"2"'))


def a_report_exchanged(exported: Exported) -> None:
    file = files(exported, "bundles/*/reports/*.json")[0]
    file.write_bytes(file.read_bytes().replace(b'"ok"', b'"no"', 1))


def a_signature_less(exported: Exported) -> None:
    files(exported, "bundles/*/SHA256SUMS.*.sig")[0].unlink()


def a_signature_more(exported: Exported) -> None:
    one = files(exported, "bundles/*/SHA256SUMS.*.sig")[0]
    shutil.copy(one, one.with_name("SHA256SUMS.0123456789abcdef.sig"))


def decisions_gone(exported: Exported) -> None:
    shutil.rmtree(files(exported, "bundles/*/decisions")[0])


def a_decision_gone(exported: Exported) -> None:
    """One of two: an approval of the bundle is still there."""
    for file in files(exported, "bundles/*/decisions/002.json*"):
        file.unlink()


def a_key_of_another_purpose(exported: Exported) -> None:
    for file in files(exported, "keys/*.json"):
        file.write_text(file.read_text().replace('["release"]', '["bundle"]'))


def lanes_changed(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Exported], None]:
    def changed(exported: Exported) -> None:
        (lane,) = files(exported, "lanes/*.jsonl")
        lane.write_bytes(b"".join(change(lane.read_bytes().splitlines(keepends=True))))

    return changed


def edited(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b'"tester(0)"', b'"nobody(0)"') for line in lines]


def chained_anew(lines: list[bytes]) -> list[bytes]:
    """Edited, and each `prev` made right again."""
    before, made = GENESIS, []
    for line in edited(lines):
        made.append(line_of(json.loads(line) | {"prev": before}))
        before = hash_of(made[-1])
    return made


def a_checkpoint(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Exported], None]:
    def changed(exported: Exported) -> None:
        file = exported.folder / "checkpoints.jsonl"
        file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))

    return changed


CHANGES = {
    "swapped-signatures": (swapped_signatures, "bundle "),
    "swapped-decisions": (swapped_decisions, "decision "),
    "foreign-p256": (a_foreign_key("ecdsa-p256"), "is another key"),
    "foreign-ed25519": (a_foreign_key("ed25519"), "is another key"),
    "another-manifest": (another_manifest, "manifest.json"),
    "another-report": (a_report_exchanged, "report"),
    "signature-less": (a_signature_less, "exactly those"),
    "signature-more": (a_signature_more, "exactly those"),
    "decisions-gone": (decisions_gone, "no approval"),
    "decision-gone": (a_decision_gone, "its document is not there"),
    "other-purpose": (a_key_of_another_purpose, "not pinned for release"),
    "event-edited": (lanes_changed(edited), "was changed"),
    "chained-anew": (lanes_changed(chained_anew), "is not the one that checkpoint"),
    "end-cut": (lanes_changed(lambda lines: lines[:-1]), "its end was cut"),
    "beginning-cut": (lanes_changed(lambda lines: lines[1:]), "no signed cut"),
    "middle-cut": (lanes_changed(lambda lines: lines[:1] + lines[2:]), "removed, inserted or moved"),
    "half-a-line": (lanes_changed(lambda lines: [*lines[:-1], lines[-1][:-9]]), "cut off"),
    "no-mac": (lanes_changed(lambda lines: [re.sub(b'"mac":"[0-9a-f]*",', b"", line) for line in lines]), ""),
    "checkpoints-gone": (a_checkpoint(lambda _: []), "checkpoints"),
    "checkpoint-cut": (a_checkpoint(lambda lines: lines[1:] or [b"{}\n"]), "checkpoint"),
    "checkpoint-edited": (a_checkpoint(lambda ls: [*ls[:-1], ls[-1].replace(b'"seq":', b'"seq":1')]), "signature"),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_found_even_where_sha256sums_was_signed_anew(name: str, copy: Exported) -> None:
    change, word = CHANGES[name]
    change(copy)
    copy.resign()
    status, verdict, _ = verify(copy)
    assert (status, verdict[:16], word in verdict) == (3, "verdict: FAILED ", True), verdict


@pytest.mark.peer
@pytest.mark.parametrize("name", ["swapped-signatures", "report-exchanged"])
def test_what_was_changed_is_found_by_sha256sums(name: str, copy: Exported) -> None:
    (swapped_signatures if name == "swapped-signatures" else a_report_exchanged)(copy)
    status, verdict, _ = verify(copy)
    assert (status, verdict[:29]) == (3, "verdict: FAILED at the files:")


@pytest.mark.peer
@pytest.mark.parametrize(
    "name", ["lanes/01.000001.jsonl", "README.txt", "SHA256SUMS", "bundles/*/report.json", "keys/*"]
)
def test_a_missing_file_is_found(name: str, copy: Exported) -> None:
    files(copy, name)[0].unlink()
    assert verify(copy)[0] == 3


@pytest.mark.peer
@pytest.mark.parametrize("resigned", [False, True])
def test_a_hostile_name_is_refused_and_runs_nothing(resigned: bool, made: Exported, tmp_path: Path) -> None:
    names = ["-rf", "$(touch ran)", "a b", "\x1b[31m", "lanes/02.000001.jsonl\t", "é", "lanes/-x"]
    for number, name in enumerate(names if resigned else [*names, "line\nend", "README.txt\n", "more"]):
        folder = Path(shutil.copytree(made.folder, tmp_path / str(number)))
        (folder / name).write_text("x")
        copy = Exported(folder, made.pem, made.key, made.digest)
        if resigned:
            copy.resign()
        status, verdict, said = verify(copy)
        assert (status, "\x1b" in said, verdict[:16]) == (3, False, "verdict: FAILED "), name
    assert not [*tmp_path.rglob("ran"), *Path.cwd().glob("ran")]


@pytest.mark.peer
def test_links_and_folders_in_files_places_are_refused(copy: Exported) -> None:
    target = copy.folder / "checkpoints.jsonl"
    target.rename(copy.folder.parent / "elsewhere")
    target.symlink_to(copy.folder.parent / "elsewhere")
    assert verify(copy)[0] == 3
    target.unlink()
    target.mkdir()
    assert verify(copy)[0] == 3


@pytest.mark.peer
@pytest.mark.parametrize("name", ["-e", "a b;touch ran", "$(touch ran)", "line\nend"])
def test_folders_and_keys_of_any_name_are_taken(name: str, made: Exported, tmp_path: Path) -> None:
    folder, key = tmp_path / name / name, tmp_path / f"{name}.pem"
    shutil.copytree(made.folder, folder)
    shutil.copy(made.pem, key)
    command = ["dash", SCRIPT, "--", f"{name}.pem", f"{name}/{name}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.peer
def test_another_key_or_another_site_is_said_to_be_that(made: Exported, tmp_path: Path) -> None:
    for algorithm in ("ecdsa-p256", "ed25519"):
        other = tmp_path / f"{algorithm}.pem"
        other.write_bytes(create_private(algorithm).public.to_pem())
        status, verdict, _ = verify(made, key=other)
        assert (status, "the wrong key" in verdict) == (3, True)
    status, verdict, _ = verify(made, "--site", "alpha")
    assert (status, "the wrong site" in verdict) == (3, True)
    other.write_text("no key")
    assert verify(made, key=other)[0] == 2
    assert verify(made, key=tmp_path / "nowhere")[0] == 2


@pytest.mark.parametrize(("option", "word"), [("key", "another key"), ("site", "another station")])
def test_the_command_says_it_too_and_does_not_speak_of_a_change(
    option: str, word: str, made: Exported, tmp_path: Path
) -> None:
    pem, site = made.pem, "bravo"
    if option == "key":
        pem = tmp_path / "other.pem"
        pem.write_bytes(create_private().public.to_pem())
    else:
        site = "alpha"
    ran = CliRunner().invoke(
        verify_command, ["--export", str(made.folder), "--key", str(pem), "--site", site], standalone_mode=False
    )
    assert ran.exception is not None
    error = ran.exception
    assert (error.exit_status, word in str(error)) == (3, True)  # type: ignore[attr-defined]
    assert "changed" not in str(error)


@pytest.mark.peer
def test_a_head_that_was_written_down_shows_a_cut_end(made: Exported) -> None:
    head = re.search(r"Head of the log: (\S+)", (made.folder / "README.txt").read_text())
    assert head is not None
    assert verify(made, "--head", head[1])[0] == 0
    assert verify(made, "--head", "9-" + "0" * 64)[0] == 3


@pytest.mark.peer
@pytest.mark.parametrize("tool", ["openssl", "sha256sum", "awk"])
def test_a_missing_tool_is_no_proof(tool: str, made: Exported, tmp_path: Path) -> None:
    for folder in ("/usr/bin", "/bin"):
        for name in ("awk", "cat", "cp", "cut", "find", "grep", "head", "mktemp", "od", "openssl", "rm", "sed",
                     "sha256sum", "sort", "split", "tail", "tr", "uniq", "wc", "xargs", "ls", "mkdir"):  # fmt: skip
            if name != tool and Path(folder, name).exists() and not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(Path(folder, name))
    status, verdict, _ = verify(made, shell="/usr/bin/dash", PATH=str(tmp_path))
    assert (status, verdict) == (1, f"verdict: NOT VERIFIED: {tool} is missing")


@pytest.mark.peer
def test_a_pruned_log_is_proved_by_both_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real prune, and one whose signature or beginning does not hold."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    with released(tmp_path, [create_private()], [create_private(), create_private("ed25519")]) as station:
        audit = station.station.audit
        for number in range(16):
            audit.record(AuditEvent(Act.JOB_READ, "tester(0)", f"job{number}", "done", {"pad": "x" * 400}))
        earlier = export(station, tmp_path / "earlier")
        gone, cut = prune_log(station.station.paths, earlier.folder)
        assert gone > 0
        after = export(station, tmp_path / "after")
    status, verdict, said = verify(earlier)
    assert (status, said.count(" intake.")) == (0, 2)
    status, verdict, said = verify(after)
    assert (status, "pruned: lane 1 begins with event" in verdict) == (0, True)
    assert cut is not None
    assert cut.sums in verdict
    assert sorted(re.findall(r"approve by (Officer \d)", said)) == ["Officer 1", "Officer 2"]
    lanes = sorted(after.folder.glob("lanes/*.jsonl"))
    shutil.copytree(after.folder, tmp_path / "further")
    further = Exported(tmp_path / "further", after.pem, after.key, after.digest)
    (further.folder / "lanes" / lanes[0].name).unlink()
    further.resign()
    assert verify(further)[0] == 3
    newest = lanes[-1].read_bytes()
    for old, new in ((b'"cut":{"head":"', b'"cut":{"head":"1'), (b'"detail":{"cut":', b'"detail":{"cat":')):
        lanes[-1].write_bytes(newest.replace(old, new))
        after.resign()
        assert verify(after)[0] == 3


@pytest.mark.peer
def test_a_lane_that_the_station_did_not_write_stops_it(tmp_path: Path) -> None:
    with released(tmp_path, [create_private()], [create_private(), create_private()]) as station:
        paths = station.station.paths
        lane = paths.audit / "lanes/01.000001.jsonl"
        forged = json.loads(lane.read_text().splitlines()[0]) | {"lane": 2, "thing": name_of(9)}
        (paths.audit / "lanes/02.000001.jsonl").write_bytes(line_of(forged))
        status, verdict, _ = verify(export(station, tmp_path / "out"))
    assert (status, "refused to sign" in verdict) == (3, True)


@pytest.mark.peer
def test_what_the_export_has_no_key_or_no_documents_for_is_no_proof(copy: Exported) -> None:
    for file in files(copy, "keys/*"):
        file.unlink()
    copy.resign()
    status, verdict, _ = verify(copy)
    assert (status, "signatures whose keys are not in the export: 5" in verdict) == (4, True)
    shutil.rmtree(copy.folder / "bundles")
    copy.resign()
    status, verdict, _ = verify(copy)
    assert (status, "released bundles whose documents are not in the export: 1" in verdict) == (4, True)


@pytest.mark.peer
@pytest.mark.parametrize("name", ["decisions-gone", "decision-gone", "swapped-decisions"])
def test_the_command_names_a_decision_without_its_document_as_the_script_does(name: str, copy: Exported) -> None:
    CHANGES[name][0](copy)
    copy.resign()
    assert both(copy)[0] == 3
    assert {one["code"] for one in command(copy)[1]["findings"]} == {"undocumented"}


@pytest.mark.peer
def test_the_command_says_what_it_could_not_check_as_the_script_does(copy: Exported) -> None:
    shutil.rmtree(copy.folder / "bundles")
    copy.resign()
    assert both(copy)[0] == 4
    assert len(command(copy)[1]["unchecked"]) == 3, "two approvals and the release"


def test_the_event_of_a_decision_without_its_document_is_never_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later export could tell of it. What came before goes, and after a restore all of it."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    with released(tmp_path, [create_private()], [create_private(), create_private()]) as station:
        audit, paths = station.station.audit, station.station.paths

        def say(act: Act, **detail: object) -> None:
            audit.record(AuditEvent(act, "boris", name_of(), "done", detail))

        def pad() -> None:
            for number in range(16):
                audit.record(AuditEvent(Act.JOB_READ, "tester(0)", f"job{number}", "done", {"pad": "x" * 400}))

        def lanes() -> bytes:
            return b"".join(path.read_bytes() for path in sorted((paths.audit / "lanes").iterdir()))

        pad()
        say(Act.INTAKE_APPROVE, digest=export(station, tmp_path / "whole").digest, keyid="0123456789abcdef")
        pad()
        assert prune_log(paths, export(station, tmp_path / "deleted").folder)[0] > 0
        assert (b"0123456789abcdef" in lanes(), b'"act":"intake.import"' in lanes()) == (True, False)
        assert prune_log(paths, export(station, tmp_path / "again").folder)[0] == 0
        say(Act.RESTORE)
        assert prune_log(paths, export(station, tmp_path / "restored").folder)[0] > 0
        assert b"0123456789abcdef" not in lanes()


@pytest.mark.peer
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_decision_of_the_log_without_its_document_is_no_ok(decision: str, tmp_path: Path) -> None:
    """Deleted in the database before the export was made; what a restore may have lost is not checked."""
    require("dash", "openssl")
    officers = [create_private(), create_private()]
    with released(tmp_path, [create_private()], officers) as station:
        audit, kept = station.station.audit, officers[0].public.keyid

        def say(act: str, outcome: str = "done", **detail: object) -> None:
            audit.record(AuditEvent(Act(act), "boris", name_of(), outcome, detail))  # type: ignore[arg-type]

        made = export(station, tmp_path / "whole")
        say(f"intake.{decision}", digest=made.digest, keyid="0123456789abcdef", why='x","keyid":"' + kept)
        say(f"intake.{decision}", "failed", reason="no space", takes_back=True)
        assert both(export(station, tmp_path / "taken back"))[0] == 0
        say(f"intake.{decision}", digest=made.digest, keyid="0123456789abcdef", why="")
        status, verdict, _ = both(export(station, tmp_path / "deleted"))
        assert (status, verdict.startswith("verdict: FAILED at what was decided"), "0123456789abcdef" in verdict) == (
            3, True, True,
        )  # fmt: skip
        say("restore")
        status, verdict, _ = both(export(station, tmp_path / "restored"))
        assert (status, "decisions whose documents are not in the export: 1 " in verdict) == (4, True), verdict
        say("audit.export")  # what comes behind it came behind the documents, too
        say(f"intake.{decision}", digest=made.digest, keyid="fedcba9876543210", why="")
        status, _, said = both(export(station, tmp_path / "under way"))
        assert (status in {0, 4}, "fedcba9876543210" in said) == (True, False)


@pytest.mark.parametrize("option", ["--head", "--site", "--from", "--until"])
def test_an_option_with_an_empty_value_is_no_option_that_was_left_out(made: Exported, option: str) -> None:
    """A shell's variable that is not set must not leave a head or a station unchecked."""
    assert verify(made, option, "")[:2] == (2, f"verdict: NOT VERIFIED: {option} has an empty value")
