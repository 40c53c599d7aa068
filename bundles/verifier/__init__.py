"""The verifier alone: `lockgate-verify`, one file for an officer's own machine, made of `bundles` and its libraries.

What lives here: reading arguments, the report, and the page to print. What may not: a rule (they are in
`bundles.decide.bundle` and `bundles.verify`, the same that a station applies), a network, or a station.
"""
