"""What people type wrong, on one running station: one line that names the thing, a remedy that works, the right status.

The table grows with every mistake that somebody really made.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Run
from tests.cli.test_remedies import unparsed, wrong
from tests.stage import Station

A_DIGEST = "sha256:" + "a" * 64
KEYID = "0123456789abcdef"


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An outside station with a key, a file `team/hello:1`, and things that lie about."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "hello.txt").write_text("hello")
    (folder / "full").mkdir()
    (folder / "full" / "note.txt").write_text("mine")
    (folder / "empty").mkdir()
    for name in ("alpha.bravo-000001", "alpha.bravo-000002"):
        (folder / "stick" / name).mkdir(parents=True)
        (folder / "stick" / name / "SHA256SUMS").touch()
    (folder / "broken.toml").write_text("[[source]\n")
    (folder / "tables.toml").write_text('[[content_rules]]\nid = "secrets"\n')
    (folder / "rules.toml").write_text('[[image]]\nrepositoreis = ["team/**"]\n')
    with Station(folder / "alpha", "alpha", "outside") as station:
        station.run("key", "create", "engineer", "--no-passphrase")
        station.run("key", "export", "engineer", "--out", str(folder / "engineer.pem"))
        station.run("collect", f"file:{folder / 'hello.txt'}", "--as", "team/hello:1")
        yield folder


COMMANDS = [
    ("", 2, "no command was given", "lockgate --help"),
    ("media", 2, "lockgate media", "use one of list; see: lockgate media --help"),
    ("key rotation", 2, "lockgate key rotation", "see: lockgate key rotation --help"),
    ("import /media/usb", 2, "lockgate import", "did you mean: lockgate intake import"),
    ("bundle bild --to bravo", 2, "lockgate bundle bild", "did you mean: lockgate bundle build"),
    ("stats", 2, "lockgate stats", "did you mean: lockgate status"),
    ("approve x", 2, "lockgate approve", "did you mean: lockgate intake approve"),
    ("aprove x", 2, "lockgate aprove", "did you mean: lockgate intake approve"),
    ("bundle approve x", 2, "lockgate bundle approve", "did you mean: lockgate intake approve"),
    ("login ada", 2, "lockgate login", "did you mean: lockgate user login"),
    ("user add ada", 2, "lockgate user add", "did you mean: lockgate user create"),
    ("key genrate x", 2, "lockgate key genrate", "see: lockgate key --help"),
    ("job ls", 2, "lockgate job ls", "did you mean: lockgate job list"),
    ("intake stram show", 2, "lockgate intake stram", "did you mean: lockgate intake stream"),
    ("policy -C {alpha} check", 2, "'-C'", "lockgate policy COMMAND -C"),
    ("metrics --json", 2, "--json", "lockgate metrics COMMAND --json"),
    ("help", 2, "lockgate help", "did you mean: lockgate --help"),
    ("frobnicate", 2, "lockgate frobnicate", "see: lockgate --help"),
    ("-C {alpha} status", 2, "'-C'", "lockgate COMMAND -C DIR"),
    ("status --jsno -C {alpha}", 2, "--jsno", "--json"),
    ("status", 2, "no station was named", "-C DIR"),
    ("status -C {empty}", 2, "{empty}", "lockgate init DIR"),
    ("init {full} --site bravo --side inside", 2, "{full}", "give a new one"),
    ("init {tmp}/x --site Bravo --side inside", 2, "'Bravo'", "lower-case"),
    ("init {tmp}/x --site bravo --side inside --name https://bravo:5000", 2, "https://bravo:5000", "without a scheme"),
    ("audit verify --export", 2, "'--export'", "see: lockgate audit verify --help"),
    ("-V", 2, "'-V'", "did you mean: lockgate --version"),
    ("audit log", 2, "lockgate audit log", "did you mean: lockgate audit show"),
    ("trust list", 2, "lockgate trust list", "did you mean: lockgate key list"),
    ("trust add x", 2, "lockgate trust add", "did you mean: lockgate key trust"),
    ("key show engineer", 2, "lockgate key show", "did you mean: lockgate key list"),
    ("key fingerprint x.pem", 2, "lockgate key fingerprint", "did you mean: lockgate key list"),
    ("site show bravo", 2, "lockgate site show", "did you mean: lockgate site list"),
    ("receipt show x", 2, "lockgate receipt show", "did you mean: lockgate receipt read"),
    ("init {tmp}/x --site bravo --side inside --open --name h", 2, "--name h", "--open or --name"),
    ("init {hello} --site bravo --side inside --open", 2, "'{hello}' is a file", "lockgate init --help"),
    ("init {tmp}/x --site bravo --side middle", 2, "'middle'", "lockgate init --help"),
]

REFERENCES = [
    ("repo show 127.0.0.1:5000/team/hello:1", 2, "127.0.0.1:5000", "write team/hello:1"),
    ("repo show docker://localhost:5000/team/hello:1", 2, "docker://", "write team/hello:1"),
    ("repo show Team/Hello:1", 2, "Team/Hello", "write team/hello:1"),
    ("repo show team/hello", 2, "team/hello", "team/hello:TAG"),
    ("repo show team/helo:1", 1, "team/helo:1", "lockgate repo list"),
    ("repo tags team/helo", 1, "team/helo", "lockgate repo list"),
    ("block add team/helo:1 --why x", 1, "team/helo:1", "lockgate repo list"),
    ("bundle build --to bravo --out {tmp} --sign-with engineer team/helo:1", 1, "team/helo:1", "lockgate repo list"),
    ("bundle build --to bravo --out {tmp} --dry-run team/helo:1", 1, "team/helo:1", "lockgate repo list"),
    ("block remove team/hello:1", 2, "team/hello:1", "lockgate block list"),
    ("collect team/app:1", 2, "team/app:1", "name the registry too: HOST/team/app:1"),
    ("collect file:{tmp}/nothing.bin", 2, "nothing.bin", "give a file's path"),
    ("collect -f {broken}", 2, "broken.toml", "write TOML"),
    ("collect", 2, "no source", "name a SOURCE"),
    ("collect tar:{hello}", 2, "tar:{hello}", "; write file:/"),
    ("collect oci:{hello}", 2, "{hello}", " or oci-archive:/"),
    ("collect 127.0.0.1:1/a:* --newest -1", 2, "-1", "lockgate collect --help"),
    ("collect file:{hello} file:{hello} --as a:1", 2, "a:1", "give one SOURCE"),
]

KEYS = [
    ("key policy --signers 2", 2, "--signers", "give --purpose, too"),
    ("key policy --no-gaps", 2, "--gaps", "give --purpose, too"),
    ("key recover fresh {hello} --share {hello}", 2, "{hello}", "a file that the escrow wrote"),
    ("key recover engineer {hello} --share {hello}", 2, "engineer.pem", "another name"),
    ("key rotation make --follow enginer=engineer --why x", 2, "enginer", "did you mean engineer?"),
    (
        "key trust {engineer} --purpose release --owner x --not-before 2031-01-01T00:00:00Z"
        " --not-after 2030-01-01T00:00:00Z",
        2,
        "2031-01-01T00:00:00Z",
        "the later time last",
    ),
    ("key export enginer", 2, "enginer", "did you mean engineer?"),
    ("key export nobody", 2, "nobody", "see: lockgate key list"),
    ("key create engineer --no-passphrase", 2, "engineer.pem", "another name"),
    ("key create fresh.pem --no-passphrase", 2, "fresh.pem", "write fresh"),
    ("key trust engineer --purpose image --owner x", 2, "engineer", "lockgate key export engineer --out FILE"),
    ("key create fresh", 2, "Passphrase for fresh", "--passphrase-fd N, or as the systemd credential lockgate.fresh"),
    ("key create fresh --passphrase-fd 999", 2, "--passphrase-fd 999", "--passphrase-fd 3 3< FILE"),
    ("key create fresh --passphrase-fd -1", 2, "--passphrase-fd -1", "--passphrase-fd 3 3< FILE"),
    ("key create fresh --passphrase-fd 99999999999", 2, "99999999999", "--passphrase-fd 3 3< FILE"),
    ("key export engineer --out {engineer}", 2, "engineer.pem", "another name"),
    ("key trust {alpha}/keys/engineer.pem --purpose release --owner x", 2, "engineer.pem", "lockgate key export NAME"),
    ("key trust {tmp}/nothing.pem --purpose bundle --owner x --from alpha", 2, "nothing.pem", "PEM"),
    ("key policy --purpose bundle --signers 2 --from ''", 2, "--from ''", "a variable may not be set"),
    (f"key revoke {KEYID} --why x", 2, KEYID, "lockgate key list"),
    ("bundle build --to bravo --out {tmp} --sign-with enginer team/hello:1", 2, "enginer", "did you mean engineer?"),
    (
        "bundle build --to bravo --out {tmp} --sign-with engineer.pem team/hello:1",
        2,
        "engineer.pem",
        "did you mean engineer?",
    ),
    ("bundle build --to bravo --out {tmp} team/hello:1", 2, "no key", "--sign-with KEY"),
    ("intake approve alpha.bravo-000001 --key enginer", 2, "enginer", "did you mean engineer?"),
    ("key export-trust {full}", 2, "{full}", "give a new one"),
    ("key rotate enginer", 2, "enginer", "did you mean engineer?"),
    ("key recover x {engineer} --share {tmp}/none.txt", 2, "none.txt", "a share's file"),
    ("intake reject alpha.bravo-000001 --key engineer", 2, "alpha.bravo-000001", "--why"),
]

ACCOUNTS = [
    ("user claim ada", 2, "alpha", "lockgate close -C"),
    ("user code", 2, "alpha", "lockgate close -C"),
    ("user login ada", 2, "Password of ada", "--password-fd N"),
    ("user create ada", 2, "Password of ada", "--password-fd N"),
    ("user login robot-ci --secret-fd -1", 2, "--secret-fd -1", "--secret-fd 3 3< FILE"),
    ("user login robot-ci --secret-fd 999", 2, "--secret-fd 999", "--secret-fd 3 3< FILE"),
    ("user login ada --password-fd -1", 2, "--password-fd -1", "--password-fd 3 3< FILE"),
]

REST = [
    ("audit verify --site alpha", 2, "--site", "give --export DIR, too"),
    ("audit verify --key {engineer}", 2, "--key", "give --export DIR, too"),
    ("bundle custody alpha.bravo-000001 --from x", 2, "taker", "--to WHO --medium LABEL"),
    ("chart images {empty}", 2, "no Chart.yaml is in it: {empty}", "give the chart's folder"),
    ("repo adopt {hello}", 2, "not a folder: {hello}", "the registry stores in"),
    ("policy check {empty}", 2, "{empty}", "lockgate policy check --help"),
    ("policy test team/hello:1 --to prod", 2, "prod", "lockgate policy apply FILE --key KEY"),
    ("top --seconds x", 2, "'x' is not a number", "lockgate top --help"),
    ("audit show --since garbage", 2, "'garbage'", "YYYY-MM-DD"),
    ("audit show --since 2026-13-01", 2, "'2026-13-01'", "YYYY-MM-DD"),
    ("audit show --until yesterday", 2, "'yesterday'", "YYYY-MM-DD"),
    ("audit show --since 2026-02-01 --until 2026-01-01", 2, "2026-02-01", "--since"),
    ("audit show --act intake.aprove", 2, "intake.aprove", "intake"),
    ("audit show --limit many", 2, "'many' is not a whole number", "lockgate audit show --help"),
    ("intake stream reset alpha.bravo --sequence -4 --why x", 2, "-4", "lockgate intake stream reset --help"),
    ("bundle recut alpha.bravo-000001 --medium 0 --out {tmp}", 2, "0", "lockgate bundle recut --help"),
    ("audit export --out {full}", 2, "{full}", "name a new one"),
    ("job show 12", 1, "12", "lockgate job list"),
    ("job cancel nothing", 1, "nothing", "lockgate job list"),
    ("intake show alpha.bravo-000001", 1, "alpha.bravo-000001", "lockgate intake list"),
    ("intake stream reset alpha.bravo --clock yesterday --why x", 2, "'yesterday'", "YYYY-MM-DD"),
    ("intake list --state foo", 2, "'foo'", "quarantined"),
    ("intake stream show nope.bravo", 1, "nope.bravo", "lockgate intake stream show"),
    ("bundle verify {stick} --trust {alpha}", 2, "{alpha}", "give its trust folder, "),
    (
        "bundle build --to bravo --out {tmp} --sign-with engineer --since yesterday team/hello:1",
        2,
        "yesterday",
        "say last or none",
    ),
    ("intake import {tmp}/nowhere", 1, "nowhere", "that the medium is mounted"),
    ("intake import {empty}", 2, "{empty}", "give the folder that holds SHA256SUMS"),
    ("receipt export --out {tmp}/no/receipt.json", 2, "{tmp}/no", "check the path"),
    ("bundle verify {stick}", 2, "{stick}", "/stick/alpha.bravo-000001 or /"),
    ("bundle inspect {stick}", 2, "2 bundles", "/stick/alpha.bravo-000002"),
    ("bundle verify {empty}", 2, "{empty}", "give the folder that holds SHA256SUMS"),
    ("bundle void alpha.bravo-000009 --why x", 1, "alpha.bravo-000009", "lockgate bundle list"),
    ("bundle build --to Bravo --out {tmp} --sign-with engineer team/hello:1", 2, "'Bravo'", "lower-case"),
    ("bundle build --to bravo --out {tmp} --volume 4GB! --sign-with engineer team/hello:1", 2, "4GB!", "fat32"),
]

IMAGES = [
    ("guide officr", 2, "'officr'", "did you mean officer?"),
    ("trust snippet podmann", 2, "'podmann'", "did you mean podman?"),
    ("sbom libssl", 2, "lockgate sbom libssl", "did you mean: lockgate sbom find"),
    ("sbom find ''", 2, "lockgate sbom find ''", "name it"),
    ("sbom find pkg:deb", 2, "pkg:deb", "pkg:TYPE/NAME[@VERSION]"),
    ("sbom find openssl@", 2, "openssl@", "NAME@VERSION"),
    ("bundle build --to bravo --out {tmp} --sign-with engineer ''", 2, "--sign-with engineer ''", "name it"),
    ("scan ''", 2, "lockgate scan ''", "name it"),
    ("scan find", 2, "scan find", "scan find ID"),
    ("scan CVE-2024-3094", 2, "CVE-2024-3094", "did you mean: lockgate scan find CVE-2024-3094"),
    ("scan team/hello:2", 1, "team/hello:2", "lockgate repo tags team/hello"),
    ("bundle void bravo.charlie-000001 --why x", 2, "bravo.charlie-000001", "void it at bravo"),
    ("bundle void alpha.bravo-1 --why x", 2, "alpha.bravo-1", "alpha.bravo-000001"),
    ("signature team/hello:1", 2, "lockgate signature team/hello:1", "did you mean: lockgate signature list"),
    ("policy aply", 2, "lockgate policy aply", "did you mean: lockgate policy apply"),
    ("policy check {tmp}/none.toml", 2, "no such file: {tmp}/none.toml", "check the path"),
    ("policy check {rules}", 2, "repositoreis", "did you mean repositories? it is [[image]] with: repositories, mode"),
    ("policy check {tables}", 2, "content_rules", "did you mean [[content_rule]]? a policy is made of: [[image]]"),
    ("repo promote team/hello:1 --stage prod", 2, "--stage", "did you mean --to?"),
    ("repo promote team/hello:1 --to prod", 2, "prod", "lockgate policy apply FILE --key KEY"),
    ("repo list team/hello", 2, "(team/hello)", "did you mean --filter team/hello?"),
    ("scan team/hello:1 --content --known", 2, "--known", "leave the other options out"),
    ("scan --content find CVE-2024-3094", 2, "find CVE-2024-3094", "lockgate scan --help"),
    ("doctor --clamd-conf {tmp}/none.conf", 2, "none.conf", "lockgate doctor --help"),
    ("replica status bravo", 2, "bravo", "config.toml as [replicas.NAME]"),
    ("policy test team/hello:1 --file {tmp}/none.toml", 2, "no such file: {tmp}/none.toml", "check the path"),
    ("advisories load {hello}", 2, "hello.txt", "give an export of OSV"),
    (
        "attest team/hello:1 --key engineer --predicate {hello} --type https://x.example/t",
        2,
        "hello.txt",
        "JSON object",
    ),
    ("advisories load team/hello:1", 2, "File is not a zip file", "all.zip of an ecosystem"),
    ("advisories load {tmp}/none.zip", 2, "{tmp}/none.zip", "check the path"),
    ("advisories remove osv-pipy", 1, "osv-pipy", "lockgate advisories list"),
    ("collect -f {empty}", 2, "not a file: {empty}", "give a file"),
    ("collect --authfile {empty} 127.0.0.1:1/x:1", 2, "{empty}", "containers-auth.json"),
    ("collect --retry-failed file:{hello}", 2, "--retry-failed", "give it alone"),
    ("key policy --purpose bundle --signers 0", 2, "0", "1<=x"),
    ("receipt read {empty}", 2, "not a file: {empty}", "give a file"),
    ("upstream list", 2, "lockgate upstream", "did you mean: lockgate collect"),
]


def line_of(ended: Ended) -> str:
    return ended.err.rstrip("\n").rpartition("\n")[2]


def remedy_in(line: str) -> str:
    return line.partition("; ")[2]


@pytest.mark.parametrize(
    ("typed", "status", "names", "remedy"),
    COMMANDS + REFERENCES + KEYS + ACCOUNTS + REST + IMAGES,
    ids=lambda part: part if isinstance(part, str) and " " in part else "",
)
def test_a_mistake_is_one_line_that_names_the_thing_and_a_remedy_that_exists(
    run: Run, alpha: Path, typed: str, status: int, names: str, remedy: str, tmp_path: Path
) -> None:
    places = {
        "stick": alpha / "stick", "alpha": alpha / "alpha", "empty": alpha / "empty", "full": alpha / "full",
        "tmp": tmp_path, "broken": alpha / "broken.toml", "hello": alpha / "hello.txt",
        "engineer": alpha / "engineer.pem", "rules": alpha / "rules.toml", "tables": alpha / "tables.toml",
    }  # fmt: skip
    words = [word.format(**places) for word in shlex.split(typed)]
    if (typed, status, names, remedy) not in COMMANDS:
        words += ["-C", str(alpha / "alpha")]
    ended = run(*words)
    line = line_of(ended)
    assert (ended.status, ended.out) == (status, "")
    assert line.startswith("lockgate: ")
    assert names.format(**places) in line
    assert remedy in line
    assert (wrong(remedy_in(line)), unparsed(line)) == ([], [])


def test_who_makes_an_account_on_an_open_station_is_told_that_it_will_not_start_again(run: Run, alpha: Path) -> None:
    ended = run("token", "create", "robot-ci", "--no-secret", "-C", alpha / "alpha")
    (line,) = ended.err.splitlines()
    assert (ended.status, line.startswith("[!!] an open station"), unparsed(line)) == (0, True, [])


def test_a_channel_that_nothing_was_promoted_to_is_said_to_be_none(run: Run, alpha: Path) -> None:
    for command in ("history", "channels"):
        ended = run("repo", command, "prd", "-C", alpha / "alpha")
        assert (ended.status, len(ended.out.splitlines())) == (0, 1)
        assert ended.err == "nothing was promoted to prd; see: lockgate repo channels\n"
