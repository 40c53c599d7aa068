"""Guided work, worked out from the station's state alone: each guide is a list of steps, one of them the next.

A guide keeps nothing of its own. Whoever leaves it, or loses the line, comes back to the step that is really next.
"""
