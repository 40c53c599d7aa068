"""The OCI domain types, parsed once at the edge to frozen values: digest, reference, descriptor, manifest, layout.

What lives here is pure: bytes or text in, a value or a `LockgateError` out. What may not: sockets, stores, and
any digest, name or media type that is still a bare string after it has passed through this package.
"""
