"""The site's own CA and the server's certificate (RFC 5280): made at `lockgate init`; the server's is renewed by
itself before it ends (appliance.control.renewal), or by hand."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance import clock
from appliance.limits import access as limits
from appliance.paths import StationPaths
from appliance.settings.station import Config
from bundles.errors import FailedError, LockgateError, UsageError
from bundles.io.display import some
from bundles.io.files import make_folder, read_small, write_atomic
from bundles.limits import MIB

_HOST: Final = re.compile(r"[A-Za-z0-9*]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
_DAY: Final = 24 * 60 * 60
CA, CA_KEY, SERVER, SERVER_KEY = "ca.pem", "ca.key", "server.pem", "server.key"


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a certificate ends. `days` that are left, rounded down; negative where it is over."""

    name: str
    path: Path
    not_after: str
    seconds_left: int

    @property
    def days(self) -> int:
        return self.seconds_left // _DAY

    @property
    def level(self) -> int:
        """0: nothing to say; 1, 2 and 3: within 30, 7 and 1 days of its end (limits.CERTIFICATE_DAYS)."""
        return sum(self.seconds_left < days * _DAY for days in limits.CERTIFICATE_DAYS)

    @property
    def text(self) -> str:
        """A sentence for a person."""
        if self.seconds_left <= 0:
            return f"the {self.name} certificate ended at {self.not_after}"
        return f"the {self.name} certificate ends in {some(self.days, 'day')}, at {self.not_after}"


def default_names() -> list[str]:
    """What clients may call this machine by: its names, and loopback."""
    return list(
        dict.fromkeys([socket.gethostname().lower(), socket.getfqdn().lower(), "localhost", "127.0.0.1", "::1"])
    )


def make_ca(paths: StationPaths, site: str) -> None:
    """A new CA of the site: P-256, ten years, and it may make certificates for servers and clients alone."""
    make_folder(paths.tls)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Lockgate {site} CA")])
    builder = _builder(name, name, key.public_key(), limits.CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    _write(paths.tls / CA_KEY, _pem(key), 0o600)
    _write(paths.tls / CA, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)


def check_names(names: Sequence[str]) -> None:
    """Raises UsageError for what is no host's name or address."""
    for name in names:
        _general(name)


def make_server(paths: StationPaths, names: Sequence[str]) -> Expiry:
    """A new server certificate by the site's CA for those names and addresses, with a new key.

    Both files are replaced one after the other; a reload takes them up together. Raises UsageError, FailedError.
    """
    check_names(names)
    key = ec.generate_private_key(ec.SECP256R1())
    made = _certify(paths, names, key.public_key())
    _write(paths.tls / SERVER_KEY, _pem(key), 0o600)
    _write(paths.tls / SERVER, made.public_bytes(serialization.Encoding.PEM), 0o644)
    return expiry_of(paths.tls / SERVER, "server")


def is_due(config: Config, paths: StationPaths, now: datetime | None = None) -> bool:
    """Whether the server's certificate is one that the station made, and is to be renewed: in the last of its days, or
    in the last third of a shorter life, while the CA is good and its key is here. `now` is the clock's where it is
    None. Blocking. Raises FailedError."""
    ours = config.tls.path(paths.root, "certificate"), config.tls.path(paths.root, "key")
    if config.open or ours != (paths.tls / SERVER, paths.tls / SERVER_KEY) or not (paths.tls / CA_KEY).is_file():
        return False
    now, ca, server = now or datetime.now(UTC), load(paths.tls / CA), load(paths.tls / SERVER)
    life = server.not_valid_after_utc - server.not_valid_before_utc
    is_late = server.not_valid_after_utc - now < min(timedelta(days=limits.RENEWAL_DAYS), life / 3)
    return is_late and server.issuer == ca.subject and ca.not_valid_after_utc > now


def recertify_server(paths: StationPaths) -> Expiry:
    """A new certificate by the site's CA for the names and the key that the server's has. One file is replaced, in one
    step: a cut leaves a pair that fits. Raises UsageError, FailedError."""
    old = load(paths.tls / SERVER)
    key = old.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise FailedError("not a certificate that this station made", thing=str(paths.tls / SERVER))
    made = _certify(paths, names_of(old), key)
    _write(paths.tls / SERVER, made.public_bytes(serialization.Encoding.PEM), 0o644)
    return expiry_of(paths.tls / SERVER, "server")


def _certify(paths: StationPaths, names: Sequence[str], key: ec.EllipticCurvePublicKey) -> x509.Certificate:
    """The server's certificate by the site's CA for those names and that key."""
    ca, ca_key = _ca(paths)
    common = next((name for name in names if len(name) <= 64), "lockgate")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = _builder(subject, ca.subject, key, limits.SERVER_DAYS)
    alternative = x509.SubjectAlternativeName([_general(name) for name in names])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (alternative, False),
        (authority, False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(ca_key, hashes.SHA256())


def expiry_of(path: Path, name: str) -> Expiry:
    """When the first certificate of a PEM file ends. The file is read where it is not the one of the last call. Raises
    FailedError where it holds none."""
    signature = _signature(path)
    known = _ends.get(path)
    if known is None or signature is None or known[0] != signature:
        known = signature, load(path).not_valid_after_utc
        if signature is not None:
            _ends[path] = known
    left = int((known[1] - datetime.now(UTC)).total_seconds())
    return Expiry(name, path, known[1].strftime(clock.FORMAT), left)


_Signature = tuple[int, int, int, int, int]
_SETTLED: Final = 2 * 10**9
"""Nanoseconds without a change after which another change of a file has another time: file systems count in steps."""

_ends: Final[dict[Path, tuple[_Signature | None, datetime]]] = {}
"""When certificates end that were read, each with the file that it was read from."""


def _signature(path: Path) -> _Signature | None:
    """Tells a file from what stood in its place before; None where it is too new for that, or not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    if not 0 <= found.st_ctime_ns <= time.time_ns() - _SETTLED:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def load(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file. Raises FailedError."""
    try:
        return x509.load_pem_x509_certificate(read_small(path, MIB))
    except LockgateError:
        raise FailedError(
            "the certificate cannot be read", thing=str(path), remedy="check [tls] in config.toml"
        ) from None
    except ValueError:
        raise FailedError("not a certificate in PEM", thing=str(path), remedy="check [tls] in config.toml") from None


def names_of(certificate: x509.Certificate) -> list[str]:
    """The names and addresses a server's certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names: list[str] = found.get_values_for_type(x509.DNSName)
    return [*names, *(str(address) for address in found.get_values_for_type(x509.IPAddress))]


def _ca(paths: StationPaths) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if not (paths.tls / CA_KEY).is_file():
        raise UsageError(
            "this station has no CA of its own", thing=str(paths.tls / CA_KEY), remedy="renew where its files come from"
        )
    key = serialization.load_pem_private_key(read_small(paths.tls / CA_KEY, MIB), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise FailedError("not the CA's key", thing=str(paths.tls / CA_KEY), remedy="put it back from a backup")
    return load(paths.tls / CA), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the clock of a client across the room may be behind
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=crl_sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        if not _HOST.match(name):
            raise UsageError(
                "not a name for a server",
                thing=repr(name)[:80],
                remedy="give a host name or address, without a scheme or a port",
            ) from None
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    write_atomic(path, data, mode, owned=True)
