"""What the station says of itself: the audit port, metrics, health.

What lives here: the one port every act goes to, its adapters, and the counters. What may not: decisions; observing
never changes what is observed.
"""
