"""Key rotations of a station: those that it makes of its own keys, and those of other sites that people accept.

What lives here: the documents on disk, and the acts on them. What may not: whether one counts, which is decided by
bundles.documents.rotation_verdict, and changes of the trust folder that two people did not sign for.
"""
