"""Accounts, roles, tokens: who calls, and what they may do.

What lives here: the mapping of callers to accounts. What may not: policy about content.
"""
