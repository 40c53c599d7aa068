"""Following another station: what differs is found by digest, fetched, and shown here as it is shown there
(docs/adr/0068-replication.md)."""
