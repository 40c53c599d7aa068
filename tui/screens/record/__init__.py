"""Screens about the audit log and custody."""
