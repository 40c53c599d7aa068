"""Signature policy, gates, immutability, quotas, blocklist: what the station's rules allow.

What lives here: rules as pure functions of facts. What may not: the facts' storage, or who a caller is (`access`).
"""
