"""The station: what runs on either side of the gap.

What lives here: the store, the registry, the control API, jobs, and the outgoing and intake halves of the data's
way. What may not: the bundle format and its trust decisions (they are `bundles`), and the console (it is `tui`,
and sees this package through `appliance.control.client` alone).
"""
