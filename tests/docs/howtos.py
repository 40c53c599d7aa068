"""What each page's commands are run on: one place for all of them.

A page without an entry in `SETUPS` is run beside two stations that are stopped, with nothing typed before. `before` is
typed first, line by line, in the shell that a `NAME$ ` names, as the page's own commands are: what a reader has done
already. Folders of the page (`/srv`, `/media` and so on) are below the test's own folder, ports are free ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ELSEWHERE = {
    "docs/howto/check-with-stock-tools.md": "tests/verifier/test_stock_page.py",
    "docs/howto/prove-what-crossed.md": "tests/observe/test_prove_what_crossed.py",
}
"""Pages whose every block a test of its own runs."""

PAIR = """
outside$ lockgate init /srv/alpha --site alpha --side outside --open
outside$ lockgate key create engineer
outside$ lockgate key export engineer > alpha-engineering.pem
outside$ printf 'firmware' > /srv/firmware.bin
outside$ lockgate serve --listen 127.0.0.1:5000 &
outside$ lockgate collect oci:/srv/layout:app --as team/app:1
outside$ lockgate collect file:/srv/firmware.bin --as files/firmware:2
outside$ lockgate bundle build --to bravo --out /media/usb1 --sign-with engineer team/app:1 files/firmware:2
inside$ lockgate init /srv/bravo --site bravo --side inside --open
inside$ for name in anna boris officer; do lockgate key create $name; lockgate key export $name > $name.pub.pem; done
inside$ cp /srv/bravo/keys/anna.pem anna.pem
inside$ lockgate key export receipt > bravo-receipt.pem
"""
"""Two open stations on one machine; the outside has written a first bundle. Made once, and copied for each page."""

TRUSTED = """
inside$ lockgate key trust alpha-engineering.pem --purpose bundle --owner "Engineering, site alpha" --from alpha
inside$ lockgate key trust anna.pub.pem --purpose release --owner "Anna Berg"
inside$ lockgate key trust boris.pub.pem --purpose release --owner "Boris Lind"
"""
SERVE_OUTSIDE = "outside$ lockgate serve --listen 127.0.0.1:5000 &\n"
SERVE_INSIDE = "inside$ lockgate serve --listen 127.0.0.1:5001 &\n"
QUARANTINED = f"{TRUSTED}{SERVE_INSIDE}inside$ lockgate intake import /media/usb1\n"
RELEASED = (
    f"{QUARANTINED}inside$ lockgate intake approve alpha.bravo-000001 --key anna\n"
    "inside$ lockgate intake release alpha.bravo-000001\n"
)


_WAITING = Path(__file__).with_name("waiting.py")
WAITING = f"outside$ waiting=$(python {_WAITING} /srv/alpha engineering /media/usb2 team/app:1)\n"


@dataclass(frozen=True)
class Setup:
    """A page's: `before` is typed first, and each of `between` before the command that begins so. `shell` is where
    lines without a named prompt are typed; `needs` are stock tools. `stands_for` says what an example's placeholder is
    here. `answers` are typed where a question matches (else a passphrase, the newest one-time code, or y). `promises`
    are what a command that begins so must print. A `fresh` page begins without stations."""

    before: str = ""
    between: Mapping[str, str] = field(default_factory=dict)
    shell: str = "page"
    needs: tuple[str, ...] = ()
    stands_for: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    promises: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False


SETUPS = {
    "docs/howto/examine-the-station.md": Setup(before=SERVE_INSIDE),
    "README.md": Setup(
        fresh=True,
        before="outside$ skopeo copy --quiet oci:/srv/layout:app docker-archive:app.tar:team/app:1\n",
        needs=("skopeo",),
        promises={"lockgate bundle build": r"alpha\.bravo-000001\s*\Z", "lockgate intake release": r"team/app:1"},
    ),
    "docs/howto/access.md": Setup(
        fresh=True,
        shell="inside",
        between={
            "lockgate close": "inside$ lockgate init /srv/charlie --site charlie --side inside --open\n",
            "lockgate user bind-key": "inside$ lockgate-verify key create bob.pem\n"
            "inside$ lockgate key trust bob.pub.pem --purpose release --owner 'Bob Bell'\n",
            "lockgate user password bob": "inside$ lockgate user create adam\n"
            "inside$ lockgate role grant adam administrator\nada$ lockgate user login ada\n"
            "adam$ lockgate user login adam\nbob$ lockgate user login bob\n",
        },
        stands_for={"KEYID": "$(keyid bob.pub.pem)", "ID": "$(lockgate user pending --json | field items.0.id)"},
        promises={
            "lockgate role explain": "team/app",
            "lockgate user password": "waits",
            "lockgate token create": "robot-ci",
        },
    ),
    "docs/howto/carry-by-sftp.md": Setup(
        before='outside$ printf \'[transfer_hosts.dropzone]\\naddress = "sftp.example"\\nuser = "lockgate"\\n'
        'host_keys = ["SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDPIWqlK61UWTyjfXc"]\\nkey = "keys/dropzone"\\n\''
        " >> /srv/alpha/config.toml\n"
        + SERVE_OUTSIDE
        + "inside$ mkdir -p /srv/incoming\ninside$ printf '[drop_folders.incoming]\\npath = \"%s\"\\n' /srv/incoming"
        " >> /srv/bravo/config.toml\n" + SERVE_INSIDE,
        promises={"lockgate sftp hosts": "lockgate@sftp.example", "lockgate sftp watch": "incoming: "},
        needs=("ssh-keygen",),
    ),
    "docs/howto/cache-a-registry.md": Setup(shell="outside"),
    "docs/howto/carry-by-diode.md": Setup(
        before="outside$ printf '[diodes.gap]\\naddress = \"10.9.0.2:7416\"\\nrate = 20000000\\n'"
        " >> /srv/alpha/config.toml\n"
        + SERVE_OUTSIDE
        + 'inside$ mkdir -p /srv/incoming\ninside$ printf \'[drop_folders.incoming]\\npath = "%s"\\n'
        '[diodes.gap]\\naddress = "10.9.0.2:7416"\\ndrop_folder = "incoming"\\n\' /srv/incoming'
        " >> /srv/bravo/config.toml\n" + SERVE_INSIDE,
        promises={"lockgate diode list": "10.9.0.2:7416"},
    ),
    "docs/howto/follow-a-station.md": Setup(
        before='outside$ printf \'[replicas.north]\\nurl = "https://north.example:5000"\\nca = "tls/north-ca.pem"\\n'
        'account = "robot-follower"\\nrepositories = ["team/**"]\\n\\n\' >> /srv/alpha/config.toml\n'
        "outside$ mkdir -p /srv/alpha/tls\n"
        "outside$ openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=north -days 2"
        " -keyout north-ca.key -out /srv/alpha/tls/north-ca.pem\n" + SERVE_OUTSIDE,
        promises={"lockgate replica list": "https://north.example:5000"},
        needs=("openssl",),
    ),
    "docs/howto/observe.md": Setup(
        before='outside$ sed -i \'s|^.webhooks.$|[webhooks.deploy]\\nurl = "https://hooks.example/lockgate"\\n'
        'addresses = ["10.0.7.0/24"]\\nacts = ["block"]|\' /srv/alpha/config.toml\n'
        + SERVE_OUTSIDE
        + "outside$ lockgate collect oci:/srv/layout:app --as base/canary:1\n",
        promises={"lockgate probe": r"worker-2\s+\[ok\]", "lockgate report": r"Transfer\s"},
    ),
    "docs/howto/after-a-restore.md": Setup(
        before=f"{RELEASED}inside$ lockgate receipt export --out receipt-0007.json\n",
        shell="inside",
        stands_for={
            "DIR": "/srv/alpha",
            "DIGEST": "sha256:$(sha256sum < /media/usb1/alpha.bravo-000001/SHA256SUMS | cut -d' ' -f1)",
        },
    ),
    "docs/howto/approve-elsewhere.md": Setup(
        before=QUARANTINED,
        between={"lockgate user bind-key": "inside$ lockgate user create anna\n"},
        shell="inside",
        stands_for={"KEYID": "$(keyid anna.pub.pem)"},
        answers={"(?i)approve": "approve"},
    ),
    "docs/howto/bring-in.md": Setup(
        before=SERVE_INSIDE,
        shell="inside",
        promises={
            "lockgate bundle inspect": r"alpha\.bravo-000001",
            "lockgate intake import": r"alpha\.bravo-000001\s*\Z",
            "lockgate intake release": r"team/app:1",
            "lockgate receipt export": r"bravo\.receipt\s*\Z",
        },
    ),
    "docs/howto/carry-out.md": Setup(
        before=f"outside$ rm -r /media/usb1/*\n{SERVE_OUTSIDE}",
        between={
            "lockgate bundle sign --job": WAITING,
            "lockgate bundle inspect /media/usb3": "outside$ lockgate key trust anna.pub.pem --purpose release"
            " --owner A\n"
            "outside$ lockgate bundle build --to bravo --out /media/usb3 --sign-with engineering"
            " --cosigner $(keyid anna.pub.pem) team/app:1\n",
            "lockgate bundle verify": "inside$ lockgate key trust alpha-engineering.pem --purpose bundle --owner Eve"
            " --from alpha\ninside$ lockgate key export-trust trust\n",
        },
        shell="outside",
        stands_for={"JOB": "$waiting"},
        promises={
            "lockgate collect": r"(team/app:1|files/firmware:2|collections/collection:lock|2 artifacts: .* held)\s*\Z",
            "lockgate bundle build --to bravo --out /media/usb1 --out": r"alpha\.bravo-000002\s*\Z",
            "lockgate bundle build --to bravo --volume": r"alpha\.bravo-00000\d\s*\Z",
            "lockgate bundle sign --job": r"alpha\.bravo-00000\d\s*\Z",
        },
    ),
    "docs/howto/console.md": Setup(before=SERVE_INSIDE, shell="inside"),
    "docs/howto/deltas-and-lost-media.md": Setup(
        before=SERVE_OUTSIDE + QUARANTINED,
        between={
            "lockgate bundle build --to bravo --since": "inside$ lockgate intake reject alpha.bravo-000001 --key anna"
            " --why 'not ordered'\n"
            "outside$ lockgate bundle build --to bravo --since last --out /media/usb2 --sign-with engineer team/app:1\n"
            "inside$ lockgate intake import /media/usb2 # exit status 1\n"
            "inside$ cp /srv/bravo/wants/alpha.bravo-000002.wants* /media/back/\n",
        },
        shell="outside",
        promises={"lockgate bundle build --to bravo --since /media/back": r"alpha\.bravo-000003\s*\Z"},
    ),
    "docs/howto/first-transfer.md": Setup(
        fresh=True,
        before="outside$ skopeo copy --quiet oci:/srv/layout:app docker-archive:app.tar:team/app:1\n",
        needs=("skopeo",),
        promises={
            "lockgate collect": r"team/app:1\s*\Z",
            "lockgate bundle build": r"alpha\.bravo-000001\s*\Z",
            "lockgate intake import": r"alpha\.bravo-000001\s*\Z",
            "lockgate intake release": r"team/app:1",
        },
    ),
    "docs/howto/keep-the-store-healthy.md": Setup(
        before=RELEASED,
        shell="inside",
        stands_for={
            "DIR": "/srv/bravo",
            "DIGEST": "$(lockgate block list --json | field items.0.digest)",
        },
    ),
    "docs/howto/personal-keys.md": Setup(
        before=f"{SERVE_INSIDE}inside$ rm anna.pem anna.pub.pem\n"
        "inside$ openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -subj /CN=Root -days 9 -out root.crt"
        " -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign\n",
        between={
            "lockgate intake approve": "inside$ lockgate key trust alpha-engineering.pem --purpose bundle --owner Eve"
            " --from alpha\ninside$ lockgate intake import /media/usb1\n",
            "lockgate bundle sign": f"outside$ rm -r /media/usb1/*\n{SERVE_OUTSIDE}"
            "outside$ lockgate key trust anna.pub.pem --purpose bundle --owner 'Anna Berg' --from alpha\n"
            "outside$ lockgate bundle build --to bravo --out /media/usb1 --sign-with engineer"
            " --cosigner $(keyid anna.pub.pem) team/app:1\n",
            "lockgate key change": "inside$ lockgate key trust boris.pub.pem --purpose bundle --owner A --from beta\n",
        },
        shell="inside",
        stands_for={"KEYID": "$(keyid boris.pub.pem)"},
    ),
    "docs/howto/rotate-keys.md": Setup(
        before=f"{TRUSTED}{SERVE_OUTSIDE}{SERVE_INSIDE}inside$ lockgate intake import /media/usb1\n",
        stands_for={"KEYID": "$(keyid alpha-engineering.pem)"},
        promises={
            "lockgate key rotation list": "alpha-000001",
            "lockgate key rotation show": "would be pinned",
            "lockgate key rotation accept alpha-000001 --key boris": "in force",
        },
    ),
    "docs/howto/serve-a-cluster.md": Setup(
        fresh=True,
        shell="inside",
        before="inside$ lockgate init /srv/bravo --site bravo --side inside --name registry.bravo.example\n"
        "inside$ lockgate user claim ada\ninside$ lockgate serve &\ninside$ lockgate user login ada\n",
        promises={"lockgate token create": "robot-(nodes|cluster)"},
    ),
    "docs/howto/directory.md": Setup(
        fresh=True,
        shell="inside",
        before="inside$ lockgate init /srv/bravo --site bravo --side inside\n"
        "inside$ lockgate user claim ada\ninside$ lockgate serve &\ninside$ lockgate user login ada\n",
        promises={"lockgate user list": "PROVED BY"},
    ),
    "docs/howto/workload-identity.md": Setup(
        fresh=True,
        shell="inside",
        before="inside$ lockgate init /srv/bravo --site bravo --side inside --name registry.bravo.example\n"
        "inside$ lockgate user claim ada\n"
        'inside$ printf \'[workload_issuers.cluster]\\nissuer = "x"\\njwks = "x.json"\\n'
        'audience = "registry.bravo.example"\\nrobots = { "a:b" = "robot-prod" }\\n\' >> /srv/bravo/config.toml\n'
        "inside$ lockgate serve &\ninside$ lockgate user login ada\n",
    ),
    "docs/howto/image-signatures.md": Setup(
        before=f"{RELEASED}inside$ openssl ecparam -genkey -name prime256v1 -out signer.key\n"
        "inside$ openssl ec -in signer.key -pubout -out cosign.pub\n"
        "inside$ openssl req -x509 -new -key signer.key -subj /CN=example -days 9 -out notation-root.crt"
        " -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign\n",
        shell="inside",
        promises={
            "lockgate key list": "Example PKI",
            "lockgate signature list": "no signature",
            "lockgate policy apply policy.toml --key boris": "in force",
        },
    ),
    "docs/howto/gates.md": Setup(
        before=RELEASED,
        shell="inside",
        promises={
            "lockgate policy diff policy.toml": "0 blocked, 0 freed",
            "lockgate policy test files/firmware:2": "gate 1",
            "lockgate policy apply policy.toml --key boris": "in force",
            "lockgate exception approve": "it counts",
            "lockgate repo promote": "production/files/firmware:stable",
            "lockgate repo history": "tested on the bench",
            "lockgate repo channels": "passes",
        },
    ),
    "docs/howto/find-vulnerable-content.md": Setup(
        before=(
            "outside$ cp "
            + str(Path(__file__).parents[1] / "data/advisories/osv-pypi.zip")
            + " /srv/osv-pypi.zip\n"
            + SERVE_OUTSIDE
        ),
        promises={"lockgate advisories load": r"osv-pypi: 2661 records"},
    ),
    "docs/howto/recall.md": Setup(
        before=RELEASED,
        shell="inside",
        stands_for={
            "KEYID": "$(keyid alpha-engineering.pem)",
            "DIGEST": "$(lockgate repo show files/firmware:2 --json | field digest)",
        },
        promises={"lockgate key revoke": r"alpha\.bravo-000001", "lockgate audit recall": r"alpha\.bravo-000001"},
    ),
}

ENVIRONMENT = {"outside": {"LOCKGATE_DIR": "/srv/alpha"}, "inside": {"LOCKGATE_DIR": "/srv/bravo"}}
"""Of each shell; another name is another person on the inside's machine."""
