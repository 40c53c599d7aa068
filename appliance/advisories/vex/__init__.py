"""VEX: what makers of products say of vulnerabilities in them (OpenVEX 0.2.0, CSAF 2.0 profile 5). Pure.

A statement can make a finding count for nothing, so everything here is strict: a document that is not as its format
says is refused whole, and a statement that names its product in a way that cannot be compared here never counts.
"""
