"""Where an image's signatures are found on a station, and what they come to for an image and what lies beneath it.

What lives here: the search by tags and referrers, and the states. What may not: cryptography
(`bundles.image_signatures`), or a decision about who may pull.
"""
