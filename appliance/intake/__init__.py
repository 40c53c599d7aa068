"""The inside half of the data's way: quarantine, inspect, approve, release, and the ledger.

What lives here: the import job, inspectors and their report, approvals, and the transactions that make quarantined
content visible. What may not: any other way to visibility, a parser of 7z, or a trust decision (those are
`bundles.verify` and `bundles.signing`).
"""
