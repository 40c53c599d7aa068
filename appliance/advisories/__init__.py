"""Security advisories in OSV form, matched against packages: pure, without files, clock or database.

What lives here: reading records, SBOMs and package URLs, comparing versions, and deciding whether a record concerns a
package. What may not: statements, blobs, and anything that a station keeps.
"""
