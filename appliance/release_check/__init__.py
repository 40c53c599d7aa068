"""The check of what clients see against the audit log."""
