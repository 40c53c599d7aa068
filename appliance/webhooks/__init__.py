"""Tells endpoints of a site's own, by HTTP, what the audit log says (docs/adr/0055-webhooks.md)."""
