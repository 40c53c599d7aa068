"""Promotion between stages, and rollback: what is moved, what it must pass, and what the station signs about it
(docs/adr/0062-gates-and-promotion.md).
"""
