"""Blobs in a bucket of a store that speaks S3 (docs/adr/0077-blobs-in-s3.md). `blobs` has the port, `bucket` alone
knows the library, `keys` is the layout, `faults` says in one line what went wrong."""
