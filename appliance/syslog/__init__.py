"""Sends the audit log to a collector by syslog over TLS (RFC 5424, RFC 5425)."""
