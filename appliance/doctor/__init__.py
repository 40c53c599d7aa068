"""What a station relies on, examined from outside of it: `lockgate doctor`.

What lives here: one module for each part of the machine that is looked at, and what came of a look. What may not: any
change. Nothing is written, made, or set right, and what could not be looked at is said to be so.
"""
