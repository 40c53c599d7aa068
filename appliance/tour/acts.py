"""The tour: two stations, one bundle over several volumes, and everything that is to be refused."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import time
import urllib.error
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from appliance.tour.content import pack
from appliance.tour.pull import Pulled, pull
from appliance.tour.stage import Outcome, Station
from bundles.errors import FailedError
from bundles.io.display import some
from bundles.oci.reference import Reference
from bundles.processes import start

MB: Final = 1_000_000
_ENGINEER: Final = ("release-engineer", "correct horse battery staple")
_OFFICER: Final = ("officer", "two locks on every gate")


@dataclass
class Account:
    """What the closing account tells: seconds and bytes by step."""

    steps: list[tuple[str, float, int]] = field(default_factory=list)

    def add(self, name: str, seconds: float, size: int = 0) -> None:
        self.steps.append((name, seconds, size))

    def lines(self) -> list[str]:
        """One line a step: what, MB, seconds, MB/s."""
        lines = []
        for name, seconds, size in self.steps:
            rate = f"{size / MB / seconds:8.1f} MB/s" if size else ""
            amount = f"{size / MB:8.1f} MB" if size else " " * 11
            lines.append(f"  {name:<34}{amount}{seconds:8.2f} s{rate:>15}")
        return lines


class Tour:
    """Runs the steps in order; any step that does not end as it must raises FailedError."""

    def __init__(self, root: Path, remote: list[str], volume: str = "32MB") -> None:
        self.root, self.remote, self.volume = root, remote, volume
        self.medium = root / "medium"
        self.account = Account()
        self.references: list[Reference] = []
        self.stage = ExitStack()

    def run(self) -> None:
        with self.stage:
            self._stations()
            self._keys()
            self._collect()
            bundle = self._build()
            self._check_with_stock_tools(bundle)
            self._refuse_a_flipped_bit(bundle)
            self._bring_in(bundle)
            self._compare()
            self._refusals(bundle)
            self._receipt()
        self._close(bundle)

    def _say(self, text: str) -> None:
        print(f"\n== {text}", flush=True)

    def _done(self, text: str) -> None:
        print(f"   [ok] {text}", flush=True)

    def _stations(self) -> None:
        self._say("Two stations on loopback: alpha (outside) and bravo (inside)")
        started = time.monotonic()
        self.alpha = self.stage.enter_context(Station(self.root / "alpha", "alpha", "outside"))
        self.bravo = self.stage.enter_context(Station(self.root / "bravo", "bravo", "inside"))
        self.account.add("start two stations", time.monotonic() - started)
        self._done(f"alpha at {self.alpha.base}, bravo at {self.bravo.base}")

    def _keys(self) -> None:
        self._say("Keys: the release engineer signs bundles at alpha, the officer approves at bravo")
        name, passphrase = _ENGINEER
        self.alpha.run("key", "create", name, passphrase=passphrase)
        self.public_key = self.root / "pub.pem"
        self.public_key.write_text(self.alpha.run("key", "export", name).stdout)
        owner = ("--owner", "Release Engineering")
        self.bravo.run("key", "trust", self.public_key, "--purpose", "bundle", *owner, "--from", "alpha")
        name, passphrase = _OFFICER
        self.bravo.run("key", "create", name, passphrase=passphrase)
        officer = self.root / "officer.pub.pem"
        officer.write_text(self.bravo.run("key", "export", name).stdout)
        self.bravo.run("key", "trust", officer, "--purpose", "release", "--owner", "Security Officer")
        self._done("bravo pins both; nothing on a medium can add a key")

    def _collect(self) -> None:
        if self.remote:
            self._say(f"Collect {len(self.remote)} image(s) from their registries")
            outcomes = [self.alpha.run("collect", source, "--json") for source in self.remote]
        else:
            self._say("Collect real content: this machine's Python as an image, a two-platform index, and a file")
            layout = self.root / "layout"
            pack(layout)
            outcomes = [
                self.alpha.run("collect", f"oci:{layout}", "--json"),
                self.alpha.run("collect", f"file:{sys.executable}", "--as", "files/python-executable:local", "--json"),
            ]
        listed = [reference for outcome in outcomes for reference in outcome.json["references"]]
        self.references = [Reference.parse(text) for text in listed]
        self.outside = {reference: pull(self.alpha.base, reference) for reference in self.references}
        size = sum(pulled.bytes for pulled in self.outside.values())
        self.account.add("collect", sum(outcome.seconds for outcome in outcomes), size)
        for reference, pulled in self.outside.items():
            self._done(f"{reference}  {pulled.digest}  {pulled.bytes / MB:.1f} MB")

    def _build(self) -> Path:
        self._say(f"Build a bundle for bravo in volumes of {self.volume}, sign it, write it, compare it")
        outcome = self._build_for("bravo", self.medium)
        bundle = Path(outcome.last_line)
        volumes = sorted((bundle / "volumes").iterdir())
        size = sum(volume.stat().st_size for volume in volumes)
        self.account.add("build (SBOMs, hash, sign, write)", outcome.seconds, size)
        self._done(f"{bundle.name}: {some(len(volumes), 'volume')}, {size / MB:.1f} MB")
        if len(volumes) < 3 and not self.remote:
            raise FailedError("the bundle has fewer than three volumes", thing=str(bundle))
        return bundle

    def _build_for(self, site: str, out: Path) -> Outcome:
        out.mkdir(exist_ok=True)
        name, passphrase = _ENGINEER
        references = [str(reference) for reference in self.references]
        options = ("--to", site, "--new-site", "--out", out, "--volume", self.volume, "--sign-with", name)
        return self.alpha.run("bundle", "build", *options, *references, passphrase=passphrase)

    def _check_with_stock_tools(self, bundle: Path) -> None:
        self._say("Check the medium with openssl and sha256sum alone, as its README.txt says")
        started = time.monotonic()
        for command in stock_commands((bundle / "README.txt").read_text()):
            words = shlex.split(command.replace("pub.pem", str(self.public_key)))
            tool = start.find_program(words[0])
            if tool is None:
                raise FailedError("a stock tool is missing", thing=words[0], remedy="install it")
            ended = start.run([tool, *words[1:]], env=start.environment(), cwd=bundle)
            if ended is None or ended.returncode:
                reason = "" if ended is None else ended.stderr.decode().strip()
                raise FailedError("a stock tool does not agree", thing=command, remedy=reason)
            self._done(f"{command}: {ended.stdout.decode().strip().splitlines()[-1]}")
        self.account.add("openssl and sha256sum", time.monotonic() - started)
        self.bravo.run("bundle", "verify", bundle, "--trust", self.bravo.folder / "trust")
        self._done("lockgate bundle verify agrees, without a station")

    def _refuse_a_flipped_bit(self, bundle: Path) -> None:
        self._say("One bit of one volume flips on the way")
        flipped = self.root / "flipped" / bundle.name
        shutil.copytree(bundle, flipped)
        _flip_one_bit(max((flipped / "volumes").iterdir()))
        refusal = self.bravo.run("intake", "import", flipped, expect=3)
        self._done(f"exit 3, {refusal.stderr.strip().splitlines()[-1]}")
        self._invisible("and nothing of it is visible")
        shutil.rmtree(flipped.parent)

    def _bring_in(self, bundle: Path) -> None:
        self._say("Carry it in: import into quarantine, approve, release")
        size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
        outcome = self.bravo.run("intake", "import", self.medium)
        self.account.add("import into quarantine", outcome.seconds, size)
        if outcome.last_line != bundle.name:
            raise FailedError("the import named another bundle", thing=outcome.last_line)
        self._done(f"{bundle.name} is in quarantine")
        self._invisible("quarantined content cannot be pulled")
        name, passphrase = _OFFICER
        self.bravo.run("intake", "approve", bundle.name, "--key", name, passphrase=passphrase)
        self._invisible("nor approved content, until it is released")
        outcome = self.bravo.run("intake", "release", bundle.name)
        self.account.add("release", outcome.seconds)
        self._done("released")

    def _invisible(self, text: str) -> None:
        for reference in self.references:
            try:
                pull(self.bravo.base, reference)
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
            else:
                raise FailedError("content was visible before its release", thing=str(reference))
        self._done(text)

    def _compare(self) -> None:
        self._say("Pull from the inside and compare with the outside")
        started = time.monotonic()
        inside: dict[Reference, Pulled] = {r: pull(self.bravo.base, r) for r in self.references}
        size = sum(pulled.bytes for pulled in inside.values())
        self.account.add("pull from the inside", time.monotonic() - started, size)
        for reference, pulled in inside.items():
            if pulled != self.outside[reference]:
                raise FailedError("inside and outside differ", thing=str(reference))
            self._done(f"{reference}: {len(pulled.sizes)} digests equal")

    def _refusals(self, bundle: Path) -> None:
        self._say("What else must be refused")
        other = self._build_for("charlie", self.root / "medium-charlie").last_line
        cases: list[tuple[str, Callable[[], Outcome]]] = [
            ("a replay", lambda: self.bravo.run("intake", "import", bundle, expect=3)),
            ("a bundle for another site", lambda: self.bravo.run("intake", "import", other, expect=3)),
        ]
        for what, attempt in cases:
            self._done(f"{what}: exit 3, {attempt().stderr.strip().splitlines()[-1]}")
        self._compare_again()

    def _compare_again(self) -> None:
        for reference in self.references:
            if pull(self.bravo.base, reference) != self.outside[reference]:
                raise FailedError("a refused bundle changed what is served", thing=str(reference))
        self._done("what bravo serves is unchanged")

    def _receipt(self) -> None:
        self._say("The receipt that goes back")
        receipt = self.root / "receipt.json"
        self.bravo.run("receipt", "export", "--out", receipt)
        self._done(f"{receipt.name}: {receipt.stat().st_size} bytes, signed by bravo")

    def _close(self, bundle: Path) -> None:
        self._say("Account")
        print("\n".join(self.account.lines()))
        print(f"\n  the medium       {bundle}")
        print(f"  start with       {bundle / 'README.txt'}")
        print(f"  the stations     {self.alpha.folder} and {self.bravo.folder}")
        print(f"  a receipt        {self.root / 'receipt.json'}")
        print(
            f"  look around      lockgate serve -C {self.bravo.folder}   and   lockgate console -C {self.bravo.folder}"
        )
        print(f"  throw it away    rm -r {self.root}")


def stock_commands(readme: str) -> list[str]:
    """The commands that README.txt tells a person to type to verify, one a line, in its order."""
    found = re.findall(r"^\s+((?:openssl dgst|sha256sum -c)[^&\n]*)", readme, re.MULTILINE)
    commands = [command.strip().rstrip("\\").strip() for command in found]
    if not any(command.startswith("openssl") for command in commands) or len(commands) < 2:
        raise FailedError("README.txt does not say how to verify", remedy="it must name openssl and sha256sum")
    return commands


def _flip_one_bit(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
