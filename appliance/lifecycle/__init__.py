"""Retention, garbage collection, scrub, backup: what keeps a station fit for years.

What lives here: jobs that remove or check what is stored. What may not: anything a request waits for.
"""
