"""The bundle format, and nothing else: files and cryptography.

What lives here: the OCI domain types, the bundle manifest and its canonical bytes, the packing of blobs into
volumes, signatures and trust, and the building, verifying and unpacking of a bundle on media. A security
officer's verifier is this package alone. What may not: the network, a database, a clock read inside a trust
decision, or anything imported from `appliance` or `tui`.
"""
