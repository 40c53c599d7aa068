"""Debian's slapd, for tests: a directory of its own below a folder, under TLS by a CA of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.access.certificates import make_ca, make_server
from appliance.paths import StationPaths
from appliance.settings.directory import DirectorySettings
from tests.peer_tools import cannot

PASSWORD = "pass word (with) *signs*\\"
SECRET = "the station's own"
BUILDERS = "cn=Builders,ou=groups,dc=example"

CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
TLSCACertificateFile {folder}/tls/ca.pem
TLSCertificateFile {folder}/tls/server.pem
TLSCertificateKeyFile {folder}/tls/server.key
allow bind_anon_cred bind_anon_dn
database mdb
maxsize 10485760
suffix "dc=example"
directory {folder}/data
rootdn "cn=root,dc=example"
rootpw root
access to attrs=userPassword by anonymous auth
access to * by users read
"""

ENTRIES = """\
dn: dc=example
objectClass: domain
dc: example

dn: ou=people,dc=example
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example
objectClass: organizationalUnit
ou: groups

dn: cn=lockgate,dc=example
objectClass: person
cn: lockgate
sn: lockgate
userPassword: {secret}

{people}
dn: cn=twice,ou=groups,dc=example
objectClass: person
objectClass: uidObject
cn: twice
sn: twice
uid: twice
userPassword: {password}

dn: cn=elsewhere,ou=people,dc=example
objectClass: referral
objectClass: extensibleObject
cn: elsewhere
ref: ldap://192.0.2.1/ou=people,dc=example

dn: cn=Builders,ou=groups,dc=example
objectClass: groupOfNames
cn: Builders
member: uid=anna,ou=people,dc=example
member: cn=Bob (x)*\\, Bell,ou=people,dc=example
member: uid=ada,ou=people,dc=example
member: uid=robot-x,ou=people,dc=example

dn: cn=auditors,ou=groups,dc=example
objectClass: groupOfNames
cn: auditors
member: uid=carl,ou=people,dc=example

dn: cn=others,ou=groups,dc=example
objectClass: groupOfNames
cn: others
member: uid=dora,ou=people,dc=example
"""

PERSON = """\
dn: {dn},ou=people,dc=example
objectClass: inetOrgPerson
cn: {cn}
sn: x
uid: {uid}
userPassword: {password}

"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Slapd:
    """A running slapd; `people` are uid, DN and full name."""

    folder: Path
    plain: int = field(default_factory=free_port)
    secure: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        (self.folder / "data").mkdir(parents=True)
        make_ca(StationPaths(self.folder), "directory")
        make_server(StationPaths(self.folder), ["localhost"])
        (self.folder / "slapd.conf").write_text(CONFIG.format(folder=self.folder))
        people = [("anna", "uid=anna", "Anna Berg"), ("ada", "uid=ada", "Ada Else"), ("carl", "uid=carl", "Carl"),
                  ("dora", "uid=dora", "Dora"), ("robot-x", "uid=robot-x", "Robot"),
                  ("bob", "cn=Bob (x)*\\, Bell", "Bob (x)*, Bell")]  # fmt: skip
        text = "".join(PERSON.format(uid=uid, dn=dn, cn=cn, password=PASSWORD) for uid, dn, cn in people)
        entries = ENTRIES.format(secret=SECRET, password=PASSWORD, people=text)
        self._tool("slapadd", entries)

    def _tool(self, name: str, given: str) -> None:
        tool = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        done = subprocess.run(
            [str(tool), "-f", self.folder / "slapd.conf"], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        program = shutil.which("slapd", path="/usr/sbin:/usr/bin")
        urls = f"ldap://127.0.0.1:{self.plain} ldaps://127.0.0.1:{self.secure}"
        self.process = subprocess.Popen(
            [str(program), "-d", "0", "-f", self.folder / "slapd.conf", "-h", urls], stderr=subprocess.DEVNULL
        )
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.secure), 1):
                return
            assert self.process.poll() is None
            time.sleep(0.02)
        raise AssertionError("slapd does not answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def settings(self, root: Path, **changed: Any) -> DirectorySettings:
        """The settings of a station whose folder is `root`, with the CA and the secret in it."""
        (root / "tls").mkdir(parents=True, exist_ok=True)
        (root / "keys").mkdir(exist_ok=True)
        shutil.copy(self.folder / "tls/ca.pem", root / "tls/directory-ca.pem")
        secret = root / "keys/directory.secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        fields = {
            "address": f"localhost:{self.secure}", "ca": "tls/directory-ca.pem", "bind_dn": "cn=lockgate,dc=example",
            "user_base": "ou=people,dc=example", "group_base": "ou=groups,dc=example",
            "roles": {BUILDERS: ("collector", "reader team/**"), "cn=auditors,ou=groups,dc=example": ("auditor",)},
            **changed,
        }  # fmt: skip
        return DirectorySettings(**fields)


@contextlib.contextmanager
def a_slapd(folder: Path) -> Iterator[Slapd]:
    """A slapd with people and groups; the test is skipped where there is none."""
    if shutil.which("slapd", path="/usr/sbin:/usr/bin") is None:
        cannot("needs slapd (packaging/test-peers installs what is missing)")
    made = Slapd(folder)
    made.make()
    made.start()
    try:
        yield made
    finally:
        made.stop()
