"""The control API's resources, one module each: `routes(control)` gives what it serves.

What lives here: reading a request, asking the station, answering JSON. What may not: SQL beyond a module's own table,
decisions, or work that blocks the event loop for longer than a point read.
"""
