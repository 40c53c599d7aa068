"""Content rules: what the bytes of an image, its files and its configuration may not be, whatever an engine says of
malware (docs/adr/0079-content-rules.md).

What lives here: the rules, and what runs them while somebody else walks through a blob. What may not: a second walk,
the store, and decisions.
"""
