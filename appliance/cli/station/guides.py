"""What `lockgate guide` prints: each role's way through a station, as commands in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Side = Literal["outside", "inside", "both"]


@dataclass(frozen=True, slots=True)
class Step:
    """A command as it is typed, and what it is for."""

    command: str
    what: str


@dataclass(frozen=True, slots=True)
class Guide:
    """A role's way. `side`: the stations that have the role; `how_to`: the page that says more."""

    role: str
    who: str
    side: Side
    steps: tuple[Step, ...]
    how_to: str


GUIDES: Final = (
    Guide(
        "owner",
        "who installs a station, and whose system account its folder belongs to: keys of the station, whom it believes",
        "both",
        (
            Step("lockgate init /srv/bravo --site bravo --side inside --admin ada", "outside: --side outside"),
            Step("lockgate key create engineer", "outside: a key that signs bundles; it asks for a passphrase"),
            Step("lockgate key export engineer --out engineer.pem", "its public half, to be carried to each inside"),
            Step('lockgate key trust engineer.pem --purpose bundle --owner "Engineering" --from alpha',
                 "inside: after its words were read out and compared"),
            Step('lockgate key trust anna.pub.pem --purpose release --owner "Anna Berg"', "inside: an officer's key"),
            Step("lockgate key list", "who is believed, with fingerprints and words"),
            Step("lockgate config check", "the settings in config.toml"),
            Step("lockgate serve", "the station; as a service: docs/howto/install.md"),
        ),
        "docs/howto/install.md",
    ),
    Guide(
        "administrator",
        "accounts, roles and robots; never approves, releases or pins keys",
        "both",
        (
            Step("lockgate user login ada", "be ada in the commands that follow; or give --user ada to each"),
            Step("lockgate user create carl --role courier", "an account; outside: --role collector"),
            Step("lockgate user create anna --role security-officer --key anna.pub.pem",
                 "inside: an officer, and the pinned key that is hers"),
            Step("lockgate token create robot-ci", "a robot; its secret is shown once"),
            Step("lockgate role grant robot-ci reader --on 'team/**'", "what it may do"),
            Step("lockgate user list", "who is here; changes that wait: lockgate user pending"),
        ),
        "docs/howto/access.md",
    ),
    Guide(
        "collector",
        "brings content in and builds bundles",
        "outside",
        (
            Step("lockgate collect registry.example/team/app:1", "from a registry; layouts, archives and files, too"),
            Step("lockgate repo list", "what is here"),
            Step("lockgate bundle build --to bravo --out /media/usb --sign-with engineer --dry-run team/app:1",
                 "what a bundle would carry"),
            Step("lockgate bundle build --to bravo --out /media/usb --sign-with engineer team/app:1",
                 "build, sign, write, compare; the last line is the bundle's folder"),
            Step("lockgate receipt take bravo.receipt", "what came back from the inside"),
        ),
        "docs/howto/carry-out.md",
    ),
    Guide(
        "co-signer",
        "looks at a bundle and signs it as a second person, on a machine without a station",
        "outside",
        (
            Step("lockgate-verify key create anna.pem", "once: your own key; anna.pub.pem is to be pinned inside"),
            Step("lockgate bundle inspect /media/usb", "what the bundle claims to hold"),
            Step("lockgate bundle sign /media/usb --key anna.pem", "read every byte, and sign"),
        ),
        "docs/howto/personal-keys.md",
    ),
    Guide(
        "courier",
        "carries media, imports bundles, brings receipts back; decides nothing",
        "inside",
        (
            Step("lockgate media list", "what is mounted, and the bundles on it"),
            Step("lockgate intake import /media/usb", "into quarantine; the last line is the bundle's id"),
            Step("lockgate job list", "how the import ended"),
            Step("lockgate receipt export --out /media/back/bravo.receipt", "for the outside, on another medium"),
        ),
        "docs/howto/bring-in.md",
    ),
    Guide(
        "security-officer",
        "reads what the station found, approves or rejects, releases, blocks",
        "inside",
        (
            Step("lockgate-verify key create anna.pem", "once, on your own machine: your key"),
            Step("lockgate intake list --state quarantined", "what waits for a decision"),
            Step("lockgate intake show alpha.bravo-000001", "the inspection report"),
            Step("lockgate intake approve alpha.bravo-000001 --key anna.pem",
                 "two officers, each with their own key and log-in"),
            Step('lockgate intake reject alpha.bravo-000001 --key anna.pem --why "not ordered"', "or no, for good"),
            Step("lockgate intake release alpha.bravo-000001", "clients can pull it from then on"),
        ),
        "docs/howto/bring-in.md",
    ),
    Guide(
        "auditor",
        "reads the audit log, changes nothing",
        "both",
        (
            Step("lockgate audit show", "the newest acts"),
            Step("lockgate audit verify", "the chain and its signatures; as the station's owner"),
            Step("lockgate audit recall team/app:1", "what a key or content touched, and who pulled it"),
            Step("lockgate audit export --out /media/audit", "proof for elsewhere; as the station's owner"),
        ),
        "docs/howto/prove-what-crossed.md",
    ),
    Guide(
        "client",
        "readers, writers and maintainers: machines and people that pull and push with stock tools",
        "both",
        (
            Step("lockgate trust snippet podman", "what a client needs to trust the station; as its owner"),
            Step("podman login registry.bravo.example:5000", "with a name and a password, or a robot's secret"),
            Step("podman pull registry.bravo.example:5000/team/app:1", "what was released, under the same name"),
        ),
        "docs/howto/access.md",
    ),
)  # fmt: skip

ALIASES: Final = {"reader": "client", "writer": "client", "maintainer": "client", "officer": "security-officer"}
"""Other words for a role, and the guide that is meant."""

NAMES: Final = (*(guide.role for guide in GUIDES), *ALIASES)


def guide_of(role: str) -> Guide:
    """The guide of a role, by one of `NAMES`."""
    wanted = ALIASES.get(role, role)
    return next(guide for guide in GUIDES if guide.role == wanted)


def guides_for(side: str) -> list[Guide]:
    """The guides of a station's side; all where it is ""."""
    return [guide for guide in GUIDES if not side or guide.side in (side, "both")]
