"""The OCI Distribution API (specification 1.1), one module a resource.

What lives here: request handlers that read metadata, stream blobs and hand writes to the one writer. What may not:
SQL (it is in `store`), decisions about who may do what (they are `access` and `policy`), and any cache that
outlives a delete.
"""
