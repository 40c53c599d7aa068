"""The outside half of the data's way: collect, plan, build.

What lives here: bringing artifacts and their SBOMs into the store, choosing what a bundle carries, and the jobs that
lay out, wait for signatures, write and compare. What may not: the bundle's bytes (they are `bundles`) or private keys.
"""
