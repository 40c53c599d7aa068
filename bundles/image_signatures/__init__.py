"""Image signatures: whether a document beside an image is a pinned key's word about exactly that image.

What lives here: a module a format, over bytes and the trust folder's keys. What may not: a network, a database, the
clock, or a key that was not pinned. What a document says of its key (`keyid`, `hint`, certificates but for their chain
to a pinned root) finds no key, and its algorithm chooses none.
"""
