"""A directory behind LDAP (RFC 4511): looked up with the station's own account, and bound to as the person.

Always under TLS, by the pinned authorities and for the configured name; plain LDAP is not spoken. Referrals are not
followed. Each question has a time in which it is answered, and a server that did not answer is let alone for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import stat
import time
from pathlib import Path
from typing import Any, Final

from appliance.access.directory import DirectoryError, DirectoryFault, Person
from appliance.limits import access as limits
from appliance.settings.directory import DirectorySettings, grant_of
from bundles.errors import FailedError, LockgateError, UsageError
from bundles.io.files import read_small
from bundles.io.threads import Threads
from bundles.limits import MIB

_EXPOSED: Final = stat.S_IRWXG | stat.S_IRWXO
CREDENTIAL: Final = "directory"


class LdapDirectory:
    """`[directory]` of config.toml; one process's."""

    def __init__(self, settings: DirectorySettings, root: Path) -> None:
        """`root` is the station's folder. Raises UsageError where the extra `ldap` is not installed."""
        try:
            import ldap3  # noqa: F401  an extra
        except ImportError:
            raise UsageError(
                "[directory] needs a library that is not installed", thing="ldap3",
                remedy="install the extra `ldap` too (docs/howto/directory.md)",
            ) from None  # fmt: skip
        self._settings, self._root = settings, root
        self._roles = {normal(group): [grant_of(one) for one in roles] for group, roles in settings.roles.items()}
        self._threads = Threads(limits.DIRECTORY_THREADS, thread_name_prefix="directory")
        self._room = limits.DIRECTORY_QUEUE
        self._away_until = 0.0

    async def prove(self, name: str, password: str) -> Person | None:
        """As Directory.prove."""
        if time.monotonic() < self._away_until or self._room <= 0:
            raise DirectoryError("directory-down", self._settings.address)
        question = _Question(self._settings, self._root)
        self._room -= 1
        try:
            async with asyncio.timeout(limits.DIRECTORY_TIME):
                asked = asyncio.get_running_loop().run_in_executor(self._threads, question.ask, name, password)
                found = await asked
        except TimeoutError:
            question.abort()
            if question.waited >= limits.DIRECTORY_STEP:  # the server's doing, and not that of others before it
                self._away_until = time.monotonic() + limits.DIRECTORY_AWAY
            raise DirectoryError("directory-down", self._settings.address) from None
        except DirectoryError as error:
            if error.fault == "directory-down":
                self._away_until = time.monotonic() + limits.DIRECTORY_AWAY
            raise
        finally:
            self._room += 1
        if found is None:
            return None
        full_name, groups = found
        grants = [grant for group in groups for grant in self._roles.get(normal(group), ())]
        return Person(full_name, frozenset(grants))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def normal(dn: str) -> str:
    """A DN to compare by: without blanks around its parts, in one case (RFC 4514; attributes here match so)."""
    from ldap3.core.exceptions import LDAPException
    from ldap3.utils.dn import parse_dn

    try:
        return ",".join(f"{kind}={value}".casefold() for kind, value, _ in parse_dn(dn, strip=True))
    except LDAPException:
        return dn.casefold()


class _Question:
    """One question, asked in a thread. `abort` ends it from another."""

    def __init__(self, settings: DirectorySettings, root: Path) -> None:
        self._settings, self._root = settings, root
        self._open: list[Any] = []
        self._begun = 0.0

    @property
    def waited(self) -> float:
        """Seconds since it was begun; 0.0 while it waits for a thread."""
        return time.monotonic() - self._begun if self._begun else 0.0

    def abort(self) -> None:
        """Close what is open: whoever waits for an answer gets an error."""
        for connection in list(self._open):
            with contextlib.suppress(OSError, AttributeError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def ask(self, name: str, password: str) -> tuple[str, list[str]] | None:
        """The full name and the groups' DNs of a person, or None. Blocking. Raises DirectoryError."""
        from ldap3.core.exceptions import LDAPException

        self._begun = time.monotonic()
        try:
            return self._ask(name, password)
        except (LDAPException, OSError, ssl.SSLError) as error:
            raise DirectoryError(_fault_of(error), self._settings.address) from None
        except LockgateError as error:
            if isinstance(error, DirectoryError):
                raise
            raise DirectoryError("directory-login", error.diagnostics()) from None
        finally:
            for connection in self._open:
                with contextlib.suppress(LDAPException, OSError):
                    connection.unbind()

    def _ask(self, name: str, password: str) -> tuple[str, list[str]] | None:
        from ldap3.utils.conv import escape_filter_chars

        mine = self._settings
        ours = self._bound(mine.bind_dn, _secret(self._root))
        if ours is None:
            raise DirectoryError("directory-login", mine.bind_dn)
        people = self._search(
            ours, mine.user_base, f"({mine.user_attribute}={escape_filter_chars(name)})", 2,
            [mine.user_attribute, mine.name_attribute],
        )  # fmt: skip
        if not people:
            return None
        names = [str(one).casefold() for one in people[0]["attributes"].get(mine.user_attribute, [])]
        if len(people) > 1 or name not in names:
            raise DirectoryError("directory-answer", name)
        dn = str(people[0]["dn"])
        if not self._is_theirs(dn, password):
            return None
        groups = self._search(
            ours, mine.group_base, f"({mine.group_attribute}={escape_filter_chars(dn)})", limits.DIRECTORY_MEMBER_OF,
            ["1.1"],
        )  # fmt: skip
        full = people[0]["attributes"].get(mine.name_attribute) or [""]
        return str(full[0]), [str(group["dn"]) for group in groups]

    def _is_theirs(self, dn: str, password: str) -> bool:
        """Whether the server takes the password for the entry: a refusal of whatever kind (locked, over, a referral) is
        none."""
        from ldap3.core.exceptions import LDAPBusyResult, LDAPOperationResult, LDAPUnavailableResult

        try:
            return self._bound(dn, password) is not None
        except (LDAPBusyResult, LDAPUnavailableResult):
            raise DirectoryError("directory-down", self._settings.address) from None
        except LDAPOperationResult:
            return False

    def _bound(self, dn: str, password: str) -> Any:
        """A connection under TLS that is bound as `dn`; None where the password is wrong. Never anonymous: neither is
        empty."""
        from ldap3 import NONE, SIMPLE, SYNC, Connection, Server
        from ldap3.core.exceptions import LDAPInvalidCredentialsResult

        if not dn or not password:
            return None
        host, port = self._settings.endpoint()
        server = Server(
            host, port=port, use_ssl=self._settings.tls == "ldaps", get_info=NONE,
            tls=_pinned(self._root, self._settings), connect_timeout=limits.DIRECTORY_STEP,
        )  # fmt: skip
        connection = Connection(
            server, user=dn, password=password, authentication=SIMPLE, client_strategy=SYNC, auto_referrals=False,
            read_only=True, raise_exceptions=True, receive_timeout=limits.DIRECTORY_STEP, check_names=False,
        )  # fmt: skip
        self._open.append(connection)
        connection.open()
        if self._settings.tls == "starttls":
            connection.start_tls()
        if not isinstance(connection.socket, ssl.SSLSocket):
            raise DirectoryError("directory-tls", self._settings.address)
        try:
            good = connection.bind() and bool(connection.bound)
        except LDAPInvalidCredentialsResult:
            return None
        return connection if good else None

    def _search(self, connection: Any, base: str, wanted: str, most: int, attributes: list[str]) -> list[Any]:
        """Entries; what is no entry (a reference to another server) is passed over."""
        from ldap3 import DEREF_NEVER, SUBTREE
        from ldap3.core.exceptions import LDAPNoSuchObjectResult, LDAPSizeLimitExceededResult

        try:
            connection.search(
                base, wanted, SUBTREE, DEREF_NEVER, attributes, size_limit=most, time_limit=limits.DIRECTORY_STEP
            )
        except LDAPNoSuchObjectResult:
            return []
        except LDAPSizeLimitExceededResult:
            raise DirectoryError("directory-answer", wanted) from None
        return [entry for entry in connection.response or () if entry.get("type") == "searchResEntry"]


def _pinned(root: Path, settings: DirectorySettings) -> Any:
    """TLS 1.2 or later by the pinned authorities alone, for the name that was connected to. ldap3's own reads the
    machine's authorities where it is given none, and compares names by code of its own."""
    from ldap3 import Tls

    pem = read_small(root / settings.ca, MIB).decode(errors="replace")

    class Pinned(Tls):  # type: ignore[misc,unused-ignore]  # ldap3 has no types
        def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_verify_locations(cadata=pem)
            connection.socket.settimeout(limits.DIRECTORY_STEP)
            connection.socket = context.wrap_socket(connection.socket, server_hostname=connection.server.host)

    return Pinned()


def _secret(root: Path) -> str:
    """The station's own password at the directory: the first line of the credential `directory` (systemd.exec(5)), else
    of `keys/directory.secret`. Raises FailedError, UsageError."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / CREDENTIAL if folder else None
    if path is None or not path.is_file():
        path = root / "keys" / f"{CREDENTIAL}.secret"
        if path.is_file() and path.stat().st_mode & _EXPOSED:
            raise FailedError("other accounts can read a secret", thing=str(path), remedy=f"chmod 600 {path}")
    return read_small(path, limits.DIRECTORY_SECRET).split(b"\n", 1)[0].rstrip(b"\r").decode(errors="surrogateescape")


def _fault_of(error: Exception) -> DirectoryFault:
    """What an error of the library means."""
    from ldap3.core.exceptions import LDAPInvalidCredentialsResult, LDAPOperationResult, LDAPStartTLSError

    text = str(error)
    if isinstance(error, TimeoutError) or "timed out" in text:
        return "directory-down"
    if isinstance(error, ssl.SSLError | LDAPStartTLSError) or "CERTIFICATE" in text.upper() or "SSL" in text.upper():
        return "directory-tls"
    if isinstance(error, LDAPInvalidCredentialsResult):
        return "directory-login"
    return "directory-answer" if isinstance(error, LDAPOperationResult) else "directory-down"
