"""The station's own ceilings by name, a module a room, each with its reason; the format's are in `bundles.limits`.

Sizes are bytes, times are seconds.
"""
