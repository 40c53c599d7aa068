"""Where bytes and facts are kept: blobs in the filesystem, metadata in SQLite, each behind small protocols.

What lives here: the blob store, upload sessions, the metadata readers, the schema's migrations, and the writes:
typed transactions that the one writer applies in groups. What may not: HTTP, policy, or knowledge of bundles;
other packages keep their queries in their own modules and their transactions in `store.writes`.
"""
