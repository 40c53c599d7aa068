"""A FIDO token in software: what OpenSSH's sk- keys sign (PROTOCOL.u2f), made from its specification alone."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bundles.signing.keys import PublicKey
from bundles.signing.ssh import keys, sshsig
from bundles.signing.ssh.wire import mpint, string

APPLICATION = b"ssh:lockgate"


class SoftToken:
    """Signs as a token does; `touched` is whether somebody touched it."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.counter = 0
        self.ed = ed25519.Ed25519PrivateKey.generate()
        self.ec = ec.generate_private_key(ec.SECP256R1())
        if algorithm == keys.SK_ED25519:
            raw = self.ed.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            fields = string(raw)
        else:
            form = serialization.PublicFormat.UncompressedPoint
            point = self.ec.public_key().public_bytes(serialization.Encoding.X962, form)
            fields = string(b"nistp256") + string(point)
        self.blob = string(algorithm.encode()) + fields + string(APPLICATION)
        self.public = PublicKey.of_ssh(self.blob)

    def sign(self, data: bytes, *, touched: bool = True, namespace: str = sshsig.NAMESPACE) -> bytes:
        self.counter += 1
        flags, counter = bytes([touched]), self.counter.to_bytes(4, "big")
        empty = sshsig.SshSignature(self.blob, namespace.encode(), b"sha512", b"")
        message = hashlib.sha256(empty.signed(data)).digest()
        signed = hashlib.sha256(APPLICATION).digest() + flags + counter + message
        if self.algorithm == keys.SK_ED25519:
            raw = self.ed.sign(signed)
        else:
            r, s = decode_dss_signature(self.ec.sign(signed, ec.ECDSA(hashes.SHA256())))
            raw = mpint(r) + mpint(s)
        blob = string(self.algorithm.encode()) + string(raw) + flags + counter
        return sshsig.SshSignature(self.blob, namespace.encode(), b"sha512", blob).render()
