"""What people of each role type wrong on a closed station: one line that names it, a remedy that they may follow.

Where no role of theirs may, the line says which role may. The open station's table is in test_natural_mistakes.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.errors import UsageError
from bundles.signing.keys import create_private, save_private
from tests.cli.test_remedies import unparsed, wrong
from tests.release.closed import Closed

A_DIGEST = "sha256:" + "a" * 64
KEYID = "0123456789abcdef"
BUNDLE = "alpha.bravo-000001"
OTHERS = {"max": "maintainer", "cora": "collector", "rita": "reader"}


@pytest.fixture(scope="module")
def bravo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """An inside with everybody, a bundle in quarantine, and files that lie about."""
    station = Closed(tmp_path_factory.mktemp("roles"))
    for name, role in OTHERS.items():
        station.ask("ada", "POST", "/v1/accounts", {"name": name, "password": "a password of some length"})
        station.ask("ada", "POST", f"/v1/accounts/{name}/grant", {"role": role, "pattern": "**"})
    save_private(station.folder / "other.pem", create_private(), None)
    (station.folder / "hello.txt").write_text("hello")
    (station.folder / "full").mkdir()
    yield station
    station.stop()


OFFICER = "it takes an account that is a security-officer and not this one"
ADMINISTRATOR = "it takes an account that is an administrator and not this one"

COURIER = [
    (f"intake approve {BUNDLE} --key {{other}}", 3, "quarantine", OFFICER),
    (f"intake release {BUNDLE}", 3, "release bundles", OFFICER),
    ("intake list", 3, "quarantine", OFFICER),
    (f"intake withdraw {BUNDLE} --why x", 3, "withdraw", OFFICER),
    ("user list", 3, "accounts", ADMINISTRATOR),
    ("role grant carl administrator", 3, "accounts", ADMINISTRATOR),
    ("audit show", 3, "audit log", "an account that is an auditor"),
    ("repo list", 3, "pull", "lockgate role grant carl reader"),
    ("repo delete team/hello:1", 3, "delete", "lockgate role grant carl maintainer"),
    ("gc", 3, "maintenance", ADMINISTRATOR),
    ("collect file:{hello} --as team/x:1", 3, "collect", "lockgate role grant carl collector"),
    (f"block add {A_DIGEST} --why x", 3, "blocks", OFFICER),
    ("intake import {full}", 2, "no bundle is here", "the folder that holds SHA256SUMS"),
    ("intake import {tmp}/none", 1, "{tmp}/none", "mounted"),
    ("receipt export --out {full}", 2, "{full}", "name a new file in it"),
    ("receipt take {hello}", 3, "hello.txt", "FILE.KEYID.sig"),
    (f"bundle custody {BUNDLE}", 1, BUNDLE, "lockgate intake stream show"),
    ("job show last", 1, "last", "lockgate job list"),
    ("user password carl", 2, "Old password", "--old-fd N"),
]
ANNA = [
    ("intake import {full}", 3, "import bundles", "an account that is a courier"),
    ("collect file:{hello} --as team/x:1", 3, "collect", "an account that is a collector"),
    (f"intake show {BUNDLE}", 1, BUNDLE, "lockgate intake list"),
    (f"intake approve {BUNDLE}", 2, BUNDLE, "--key KEY"),
    (f"intake approve {BUNDLE} --key {{hello}}", 2, "hello.txt", "PEM"),
    (f"intake approve {BUNDLE} --key {{other}} --key engineer", 2, "--key engineer", "give the one that is meant"),
    (f"intake approve {BUNDLE} --sign-with {{other}}", 2, "--sign-with", "did you mean --key?"),
    (f"intake reject {BUNDLE} --reason bad --key {{other}}", 2, "--reason", "did you mean --why?"),
    ("intake approve 1 --key {other}", 1, ": 1;", "lockgate intake list"),
    ("user disable carl", 3, "accounts", ADMINISTRATOR),
    ("audit show", 3, "audit log", "an account that is an auditor"),
    ("site add charlie", 3, "build bundles", "an account that is a collector"),
    ("repo delete team/hello:1", 3, "delete", "lockgate role grant anna maintainer"),
    (f"block add {'a' * 64} --why x", 2, "a" * 64, f"sha256:{'a' * 64}"),
    ("block remove team/hello:1", 2, "team/hello:1", "lockgate block list"),
    ("repo tags localhost:5000/team/hello:1", 2, "localhost:5000/team/hello:1", "name the repository alone"),
]
AUDITOR = [
    ("intake list", 3, "quarantine", OFFICER),
    ("user list", 3, "accounts", ADMINISTRATOR),
    ("repo list", 3, "pull", "lockgate role grant vera reader"),
    ("gc --dry-run", 3, "maintenance", ADMINISTRATOR),
    ("receipt export --out {tmp}/r.json", 3, "receipts", "a collector or a courier"),
    ("audit show --since yesterday", 2, "'yesterday'", "YYYY-MM-DD"),
    ("audit show --last 5", 2, "--last", "did you mean --limit?"),
    ("audit show --who anna", 2, "--who", "did you mean --actor?"),
    ("audit verify --expect-head 5", 2, "'5'", "NUMBER-SHA256"),
    ("audit verify --expect-head ''", 2, "--expect-head ''", "a variable may not be set"),
    ("audit show --actor ''", 2, "--actor ''", "a variable may not be set"),
    ("audit recall engineer", 1, "engineer", "lockgate key list"),
]
ADMIN = [
    (f"intake release {BUNDLE}", 3, "release bundles", OFFICER),
    ("intake import {full}", 3, "import bundles", "an account that is a courier"),
    ("audit show", 3, "audit log", "an account that is an auditor"),
    ("role grant carl security-officer", 3, "carl", "give the role to another account"),
    ("role grant ada auditor", 3, "ada", "give the role to another account"),
    ("role grant carl officer", 2, "'officer'", "security-officer"),
    ("role grant rita reader --on ''", 2, "--on ''", "a variable may not be set"),
    ("role grant rita reader --on team/* --on other/*", 2, "--on team/* --on other/*", "give the one that is meant"),
    ("user create otto --role courier --role=reader", 2, "--role courier --role reader", "give the one that is meant"),
    ("role grant rita reader --on=", 2, "--on ''", "a variable may not be set"),
    ("role withdraw rita reader --on ''", 2, "--on ''", "leave the option out"),
    ("role grant courier rita", 2, "courier rita", "write lockgate role grant rita courier"),
    ("role grant carll reader", 1, "carll", "did you mean carl?"),
    ("user create Eve", 2, "'Eve'", "write 1 to 64 of a-z"),
    ("user bind carl --uid -5", 2, "-5", "lockgate user bind --help"),
    ("user bind carl --uid 4294967295", 2, "4294967295", "lockgate user bind --help"),
    ("user create robot-ci", 2, "robot-ci", "lockgate token create robot-ci"),
    ("token create robot-ci --on team/x", 2, "--on", "see: lockgate token create --help"),
    ("token create robot-ci --days -3", 2, "-3", "lockgate token create --help"),
    ("user bind carl --uid root", 2, "'root'", "lockgate user bind --help"),
    (f"user bind-key carl {KEYID}", 2, KEYID, "lockgate key list"),
    ("user confirm 1", 1, ": 1;", "lockgate user pending"),
    ("user bind-key carl {annas}", 2, "is anna's", "lockgate user unbind-key anna "),
    ("cache list", 2, "lockgate cache", "did you mean: lockgate warm"),
    ("retag team/hello:1 team/hello:2", 2, "lockgate retag", "did you mean: lockgate repo copy"),
    ("token create ci", 2, "'ci'", "robot-NAME"),
    ("token create robot-ci --days 0", 2, ": 0;", "1 to 366"),
    ("token revoke robot-ci", 2, "robot-ci", "--all-of robot-ci"),
    ("tls renew --name https://bravo", 2, "https://bravo", "without a scheme"),
    ("gc --older-than 30", 2, "30", "--untagged"),
    ("scrub --budget 0", 2, ": 0;", "90s"),
    ("key revoke anna --why x", 2, "'anna'", "16 lower-case hex digits"),
]
OUTSIDERS = [
    ("max", "gc", 3, "maintenance", "lockgate role grant max administrator"),
    ("max", "bundle list", 3, "custody", "lockgate role grant max auditor"),
    ("max", "repo delete team/hello", 2, "team/hello", "team/app:*"),
    ("max", "repo tags team/hello:1", 2, "team/hello:1", "name the repository alone"),
    ("max", "bundle build --to alpha --out {full} --sign-with {other} a:1", 3, "build", "role grant max collector"),
    ("cora", "intake import {full}", 3, "import bundles", "lockgate role grant cora courier"),
    ("cora", "intake list", 3, "quarantine", OFFICER),
    ("cora", "repo delete team/hello:1", 3, "delete", "lockgate role grant cora maintainer"),
    ("cora", "collect docker.io/library/nginx", 2, "docker.io/library/nginx", "docker.io/library/nginx:TAG"),
    ("cora", "collect docker.io/Library/Nginx:1", 2, "Library/Nginx", "write docker.io/library/nginx:1"),
    ("cora", "bundle build --to alpha --output {full} a:1", 2, "--output", "did you mean --out?"),
    ("cora", "bundle build --to alpha --out {full} --key {other} a:1", 2, "--key", "did you mean --sign-with?"),
    ("rita", "repo copy team/hello:1 team/x:1", 3, "push", "lockgate role grant rita writer --on team/x"),
    ("rita", "job cancel 123", 1, "123", "lockgate job list"),
    ("rita", "user show rita", 3, "accounts", "lockgate role grant rita administrator"),
]  # fmt: skip
ROWS = [
    *(("carl", *row) for row in COURIER), *(("anna", *row) for row in ANNA), *(("vera", *row) for row in AUDITOR),
    *(("ada", *row) for row in ADMIN), *OUTSIDERS,
]  # fmt: skip


@pytest.mark.parametrize(
    ("who", "typed", "status", "names", "remedy"), ROWS, ids=[f"{row[0]} {row[1][:40]}" for row in ROWS]
)
def test_a_mistake_of_a_role_is_one_line_with_what_that_role_can_do(
    bravo: Closed, who: str, typed: str, status: int, names: str, remedy: str, tmp_path: Path
) -> None:
    places = {
        "tmp": tmp_path, "full": bravo.folder / "full", "hello": bravo.folder / "hello.txt",
        "other": bravo.folder / "other.pem", "annas": bravo.keys["anna"].public.keyid,
    }  # fmt: skip
    said = bravo.cli(who, *(word.format(**places) for word in shlex.split(typed)), expect=status)
    lines = [line for line in said.stderr.splitlines() if not line.startswith("  ")]  # a job's progress is indented
    assert (said.stdout, len(lines)) == ("", 1)
    assert names.format(**places) in lines[0]
    assert remedy in lines[0]
    assert (wrong(lines[0].partition("; ")[2]), unparsed(lines[0])) == ([], [])


def test_who_imports_twice_is_sent_where_they_may_look(bravo: Closed) -> None:
    made = bravo.carried()
    bravo.cli("carl", "intake", "import", made.folder)
    said = bravo.cli("carl", "intake", "import", made.folder, expect=3)
    told = said.stderr.rstrip("\n").rpartition("see: lockgate ")[2]
    assert made.signed.manifest.id.rpartition("-")[0] in bravo.cli("carl", *told.split()).stdout


def test_a_grant_on_an_empty_pattern_is_no_grant_on_everything(bravo: Closed) -> None:
    with pytest.raises(UsageError, match="not a pattern of repositories"):
        bravo.ask("ada", "POST", "/v1/accounts/rita/grant", {"role": "writer", "pattern": ""})
    assert bravo.ask("ada", "GET", "/v1/accounts/rita")["roles"] == [{"role": "reader", "pattern": "**"}]
