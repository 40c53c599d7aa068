"""Debian's openssh-server on a free loopback port, with keys of its own, as whoever runs the tests."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.settings.transfer_hosts import TransferHostSettings
from tests.peer_tools import cannot, require

SSHD = Path("/usr/sbin/sshd")
SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")


@dataclass
class SshServer:
    """A server that runs. `folder` holds its keys; `key` is the private key that may log in, `drop` an empty folder."""

    folder: Path
    port: int
    user: str
    process: subprocess.Popen[bytes]

    @property
    def key(self) -> Path:
        return self.folder / "user"

    @property
    def drop(self) -> Path:
        return self.folder / "drop"

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.folder / "host.pub")

    def settings(self, **changes: Any) -> TransferHostSettings:
        fields = {
            "address": f"127.0.0.1:{self.port}", "user": self.user, "host_keys": (self.fingerprint,),
            "folder": str(self.drop), "key": str(self.key), **changes,
        }  # fmt: skip
        return TransferHostSettings(**fields)


def fingerprint(public: Path) -> str:
    """What ssh-keygen says of a public key."""
    said = subprocess.run(["ssh-keygen", "-l", "-f", public], capture_output=True, check=True, text=True).stdout
    return said.split()[1]


def make_key(path: Path, *options: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path, *options], check=True)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def ssh_server(folder: Path, *lines: str) -> Iterator[SshServer]:
    """Start one, with further `lines` of sshd_config. The test is skipped where sshd is missing, or may not run."""
    require("ssh-keygen")
    if not SSHD.exists() or not SFTP_SERVER.exists():
        cannot("needs sshd (packaging/test-peers installs openssh-server)")
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        cannot("sshd lets no account in that has no name")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where Debian's sshd locks itself in (sshd(8))
    folder.mkdir(exist_ok=True)
    (folder / "drop").mkdir(exist_ok=True)
    for name in ("host", "user"):
        if not (folder / name).exists():
            make_key(folder / name)
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    for _ in range(5):
        server = _start(folder, user, lines)
        if server is not None:
            break
    else:
        cannot("sshd does not start here: " + (folder / "log").read_text()[-500:])
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def _start(folder: Path, user: str, lines: tuple[str, ...]) -> SshServer | None:
    """None where the port was taken meanwhile, or it ended."""
    port = free_port()
    usual = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/authorized",
        "StrictModes no", "UsePAM no", "PidFile none", "PasswordAuthentication no", "PermitRootLogin yes",
        "MaxStartups 100", "Subsystem sftp internal-sftp",
    ]  # fmt: skip
    (folder / "config").write_text("\n".join([*lines, *usual]) + "\n")
    process = subprocess.Popen([SSHD, "-D", "-f", folder / "config", "-E", folder / "log"])
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0 and probe.recv(4) == b"SSH-":
                return SshServer(folder, port, user, process)
        time.sleep(0.02)
    process.kill()
    process.wait()
    return None
