"""Reads of the database, by domain."""
