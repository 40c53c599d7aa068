"""Volumes: self-contained 7z archives whose bytes follow from the plan.

What lives here: the frame's bytes, writing a volume from stored blobs, and reading blobs out of one at signed offsets.
What may not: a parser of 7z (nothing on the way in reads an archive's own tables), or a staging copy.
"""
