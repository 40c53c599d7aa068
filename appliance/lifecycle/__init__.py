"""What keeps a store healthy over years: garbage collection, scrub, and restoring what a scrub found damaged.

What lives here: jobs over the whole store. What may not: deciding who may see content; links do that alone.
"""
