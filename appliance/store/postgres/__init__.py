"""Metadata in PostgreSQL, behind the ports of the store (docs/adr/0060-two-engines.md).

What lives here: the connection, and each difference between the engines that no statement can avoid. What may not: a
statement of the station's. `engine` is the way in; psycopg is imported by `connection` alone.
"""
