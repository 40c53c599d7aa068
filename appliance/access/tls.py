"""The server's side of TLS 1.2 and 1.3: contexts made from the site's files (RFC 8446, RFC 9325)."""

from __future__ import annotations

import ssl
from typing import Final

from appliance.paths import StationPaths
from appliance.settings.station import Config
from bundles.errors import FailedError

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What TLS 1.2 may use (RFC 9325, section 4.2): forward secrecy and authenticated encryption alone."""


def server_context(config: Config, paths: StationPaths) -> ssl.SSLContext:
    """A context from the files as they are now. Blocking. Raises FailedError naming the file."""
    settings, root = config.tls, paths.root
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if settings.minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    certificate, key = settings.path(root, "certificate"), settings.path(root, "key")
    try:
        # A key with a passphrase would ask for it on the terminal of a service: it is refused.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
        raise FailedError(
            f"TLS cannot start ({reason.replace('_', ' ').lower()})",
            thing=f"{certificate} with {key}",
            remedy="check [tls] in config.toml, or renew with: lockgate tls renew",
        ) from None
    if settings.clients != "off":
        context.verify_mode = ssl.CERT_REQUIRED if settings.clients == "required" else ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(settings.path(root, "client_ca"))
        except (OSError, ssl.SSLError):
            raise FailedError(
                "the clients' CA cannot be read",
                thing=str(settings.path(root, "client_ca")),
                remedy="check client_ca in config.toml",
            ) from None
    return context
