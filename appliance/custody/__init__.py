"""Custody records and recall: where a bundle and its content went."""
