"""Whatever names a thing that is not there: one line, the right status, and the name that was probably meant.

Every command of the table is here: with a name that nothing has, or with why it takes none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli.main import lockgate
from appliance.cli.shared.near import meant
from tests.cli.conftest import Run
from tests.cli.test_remedies import unparsed, wrong
from tests.stage import Station

A_DIGEST = "sha256:" + "a" * 64
KEYID = "0123456789abcdef"
BUNDLE = "alpha.bravo-000077"
GAP = "bravo.alpha-000077"

UNKNOWN: dict[str, tuple[str, int, str]] = {
    "advisories load": ("{tmp}/none.zip", 2, "check the path"),
    "advisories remove": ("osv", 1, "lockgate advisories list"),
    "attest": ("team/helo:1 --key engineer --type https://x.test/y --predicate {tmp}/none", 2, "none"),
    "audit prune": ("--exported {tmp}/none", 2, "an export"),
    "audit recall": (KEYID, 1, "lockgate key list"),
    "audit show": ("--act bundel", 2, "acts begin with"),
    "audit verify": ("--export {tmp}/none", 2, "an export"),
    "block add": ("team/helo:1 --why x", 1, "did you mean team/hello:1?"),
    "block remove": (A_DIGEST, 1, "lockgate block list"),
    "bundle build": ("--to bravo --out {tmp} --sign-with engineer team/helo:1", 1, "did you mean team/hello:1?"),
    "bundle custody": (BUNDLE, 1, "lockgate bundle list"),
    "bundle inspect": ("{tmp}/none", 1, "mounted"),
    "bundle recut": (f"{BUNDLE} --medium 1 --out {{tmp}}", 1, "lockgate bundle list"),
    "bundle sign": ("{tmp}/none --key engineer", 1, "mounted"),
    "bundle unpack": ("{tmp}/none --to {tmp}/there", 1, "mounted"),
    "bundle verify": ("{tmp}/none", 1, "mounted"),
    "bundle void": (f"{BUNDLE} --why x", 1, "lockgate bundle list"),
    "chart images": ("team/nosuch:1", 1, "lockgate repo list"),
    "collect": ("file:{tmp}/none", 2, "a file's path"),
    "completion": ("bsh", 2, "did you mean bash?"),
    "exception approve": ("none --key engineer", 1, "lockgate exception list"),
    "exception request": (
        "x --on team/** --owner Ada --reason x --until 2027-01-01T00:00:00Z --key engineer --rule severty",
        2,
        "severity",
    ),
    "file get": ("team/helo:1 --to {tmp}", 1, "did you mean team/hello:1?"),
    "guide": ("courrier", 2, "did you mean courier?"),
    "intake approve": (f"{GAP} --key engineer", 1, "lockgate intake list"),
    "intake import": ("{tmp}/none", 1, "mounted"),
    "intake inspect": (GAP, 1, "lockgate intake list"),
    "intake list": ("--state quarantine", 2, "did you mean quarantined?"),
    "intake reject": (f"{GAP} --key engineer --why x", 1, "lockgate intake list"),
    "intake release": (GAP, 1, "lockgate intake list"),
    "intake report": (f"{GAP} --out {{tmp}}/report.html", 1, "lockgate intake list"),
    "intake show": (GAP, 1, "lockgate intake list"),
    "intake stream reset": (f"nowhere.alpha --sequence 1 --digest {A_DIGEST} --why x", 1, "lockgate key list"),
    "intake stream show": ("nowhere.alpha", 1, "lockgate intake stream show"),
    "intake withdraw": (f"{GAP} --why x", 1, "lockgate intake list"),
    "job cancel": ("0123", 1, "lockgate job list"),
    "job log": ("0123", 1, "lockgate job list"),
    "job resume": ("0123", 1, "lockgate job list"),
    "job show": ("0123", 1, "lockgate job list"),
    "job watch": ("0123", 1, "lockgate job list"),
    "key ceremony": ("{tmp}/none --purpose bundle --owner x --from a --record {tmp}/r", 2, "a public key in PEM"),
    "key change": (f"{KEYID} --owner x --why y", 2, "lockgate key list"),
    "key escrow": ("enginer --out {tmp}/shares --shares 3 --needed 2", 2, "did you mean engineer?"),
    "key export": ("enginer", 2, "did you mean engineer?"),
    "key import": ("x {tmp}/none", 2, "a private key's file"),
    "key policy": ("--purpose bundel", 2, "use one of"),
    "key recover": ("x {tmp}/none --share {tmp}/none", 2, "a share's file"),
    "key revoke": (f"{KEYID} --why x", 2, "lockgate key list"),
    "key rotate": ("enginer", 2, "did you mean engineer?"),
    "key rotation accept": ("alpha-000009 --key engineer", 2, "lockgate key rotation list"),
    "key rotation make": ("--follow enginer=engineer --why x", 2, "did you mean engineer?"),
    "key rotation show": ("alpha-000009", 2, "lockgate key rotation list"),
    "key rotation sign": ("alpha-000009 --key engineer", 2, "lockgate key rotation list"),
    "key rotation take": ("{tmp}/none", 2, "a key rotation's file"),
    "key trust": ("{tmp}/none --purpose bundle --owner x --from a", 2, "PEM"),
    "key untrust": (f"{KEYID} --why x", 2, "lockgate key list"),
    "policy apply": ("{tmp}/none --key engineer", 2, "check the path"),
    "policy check": ("{tmp}/none", 2, "check the path"),
    "policy diff": ("{tmp}/none.toml", 2, "check the path"),
    "policy snippet": ("kyvreno", 2, "did you mean kyverno?"),
    "policy test": ("team/helo:1", 1, "lockgate repo list"),
    "migrate": ("--metadata mysql://db/lockgate", 2, "postgresql:///lockgate"),
    "rebuild": ("--receipt {tmp}/none", 2, "check the path"),
    "report": ("year", 2, "quarter"),
    "receipt read": ("{tmp}/none", 2, "check the path"),
    "receipt take": ("{tmp}/none", 2, "check the path"),
    "repo adopt": ("{tmp}/none", 2, "the registry stores in"),
    "repo copy": ("team/helo:1 team/other:1", 1, "did you mean team/hello:1?"),
    "repo delete": ("team/helo:1", 1, "did you mean team/hello?"),
    "repo promote": ("team/hello:1 --to production", 2, "lockgate policy apply FILE --key KEY"),
    "repo retire": ("team/helo:1 --successor team/hello:1 --after 2027-01-31", 1, "did you mean team/hello:1?"),
    "repo rollback": ("team/helo:1", 2, "lockgate policy explain"),
    "repo show": ("team/hello:2", 1, "lockgate repo tags team/hello"),
    "repo tags": ("team/helo", 1, "did you mean team/hello?"),
    "restore": ("--why x --head bravo=1", 2, "alpha.DESTINATION-000007"),
    "role explain": ("nobody team/hello", 1, "lockgate user list"),
    "role grant": ("nobody reader", 1, "lockgate user list"),
    "role withdraw": ("nobody reader", 1, "lockgate user list"),
    "sbom diff": ("team/helo:1 team/hello:1", 1, "did you mean team/hello:1?"),
    "sbom show": ("team/helo:1", 1, "did you mean team/hello:1?"),
    "scan": ("team/helo:1", 1, "did you mean team/hello:1?"),
    "diode receive": ("nowhere", 2, "config.toml"),
    "replica join": ("--from {tmp}/none", 2, "lockgate replica list"),
    "replica status": ("nowhere", 2, "config.toml"),
    "replica sync": ("nowhere", 2, "config.toml"),
    "diode send": ("{tmp}/none --over nowhere", 1, "mounted"),
    "sftp list": ("nowhere", 2, "config.toml"),
    "sftp pull": (f"{GAP} --from nowhere --out {{tmp}}", 2, "config.toml"),
    "sftp push": ("{tmp}/none --to nowhere", 1, "mounted"),
    "sign": ("team/helo:1 --key engineer", 1, "did you mean team/hello:1?"),
    "signature list": ("team/helo:1", 1, "did you mean team/hello:1?"),
    "probe": ("team/helo:1", 1, "lockgate repo list"),
    "warm": ("team/hello:1", 2, "[caches.NAME]"),
    "webhook replay": ("nobody", 1, "lockgate webhook list"),
    "site add": ("charlie --receipt-key {tmp}/none --owner x", 2, "PEM"),
    "site remove": ("brave", 1, "did you mean bravo?"),
    "token list": ("robot-nobody", 1, "lockgate user list"),
    "token revoke": (KEYID, 1, "lockgate token list"),
    "token rotate": ("robot-nobody", 1, "lockgate user list"),
    "trust snippet": ("dockr", 2, "did you mean docker?"),
    "user bind": ("nobody --uid 1500", 1, "lockgate user list"),
    "user bind-key": (f"nobody {KEYID}", 1, "lockgate user list"),
    "user cancel": ("77", 1, "lockgate user pending"),
    "user confirm": ("77", 1, "lockgate user pending"),
    "user disable": ("nobody", 1, "lockgate user list"),
    "user enable": ("nobody", 1, "lockgate user list"),
    "user show": ("nobody", 1, "lockgate user list"),
    "user unbind-key": (f"nobody {KEYID}", 1, "lockgate user list"),
}  # fmt: skip

OTHERWISE = {
    "a list, or a filter that may be empty": (
        "advisories list", "audit workloads", "block list", "bundle deltas", "bundle list", "diode list",
        "exception list", "job list", "key list", "key rotation list",
        "media list", "repo channels", "repo history", "repo retired", "sftp hosts", "sftp watch",
        "policy explain", "replica list", "repo list", "role list", "sbom find", "site list", "user list",
        "user pending",
        "user review", "webhook list",
    ),
    "about this station alone": (
        "config check", "console", "doctor", "gc", "intake check", "key review", "metrics dashboard", "metrics rules",
        "replica demote", "replica follow", "replica promote",
        "scrub", "serve", "status", "tls reload", "tls renew", "tls show", "top", "user code", "user logout",
        "user whoami",
    ),
    "makes what it names": (
        "audit export", "close", "init", "key create", "key export-trust", "receipt export", "user claim",
        "token create", "user create",
    ),
    "a name and a secret, which are wrong together": ("token renew", "user login", "user password"),
}  # fmt: skip


def commands() -> Iterator[str]:
    def walk(command: click.Command, path: str) -> Iterator[str]:
        context = click.Context(command)
        if not isinstance(command, click.Group):
            yield path
            return
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, f"{path} {name}".strip())

    return walk(lockgate, "")


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An outside station with a key, a known site and a file `team/hello:1`."""
    folder = tmp_path_factory.mktemp("unknown")
    (folder / "hello.txt").write_text("hello")
    with Station(folder / "alpha", "alpha", "outside") as station:
        station.run("key", "create", "engineer", "--no-passphrase")
        station.run("site", "add", "bravo")
        station.run("collect", f"file:{folder / 'hello.txt'}", "--as", "team/hello:1")
        yield folder / "alpha"


def test_no_command_is_forgotten() -> None:
    named = [*UNKNOWN, *(one for several in OTHERWISE.values() for one in several)]
    assert sorted(named) == sorted(commands())


@pytest.mark.parametrize("command", UNKNOWN)
def test_what_is_not_there_is_one_line_with_its_status(run: Run, alpha: Path, command: str, tmp_path: Path) -> None:
    typed, status, remedy = UNKNOWN[command]
    words = [] if command in ("completion",) else ["-C", alpha]
    ended = run(*command.split(), *(word.format(tmp=tmp_path) for word in typed.split()), *words)
    line = ended.err.rstrip("\n").rpartition("\n")[2]
    assert (ended.status, ended.out) == (status, "")
    assert remedy in line
    assert (wrong(line.partition("; ")[2]), unparsed(line)) == ([], [])


@pytest.mark.parametrize(
    ("thing", "names", "said"),
    [
        ("alpah.bravo-000001", ["alpha.bravo-000001", "alpha.bravo-000002"], "alpha.bravo-000001"),
        ("alpha.bravo-000003", ["alpha.bravo-000001", "alpha.bravo-000002"], ""),
        ("alpah.bravo-000003", ["alpha.bravo-000001"], ""),
        ("alpha.bravo-1", ["alpha.bravo-000001", "alpha.bravo-000002"], "alpha.bravo-000001"),
        ("alpha.bravo-12", ["alpha.bravo-000001", "alpha.bravo-000002"], ""),
        ("colector", ["collector", "courier"], "collector"),
        ("nobody", ["collector", "courier"], ""),
        ("anna", [], ""),
    ],
)
def test_a_close_name_is_offered_and_another_bundle_never_is(thing: str, names: list[str], said: str) -> None:
    assert meant(thing, names, "see: x") == (f"did you mean {said}? see: x" if said else "see: x")


def test_of_an_unknown_bundle_the_stream_is_compared() -> None:
    see = "see: lockgate intake stream show"
    assert meant("alpah.bravo-000003", ["alpha.bravo"], see) == f"did you mean alpha.bravo-000003? {see}"
    assert meant("alpha.bravo-000003", ["alpha.bravo"], see) == see
