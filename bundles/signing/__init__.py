"""Keys, signatures and pinned trust.

What lives here: private and public keys, the exact encoding of signatures, and the trust folder that says whose key
may sign what. What may not: a key read from a medium, a decision that reads the clock, or the network.
"""
