"""The control API's one schema: the shapes of its answers, its states, and its error codes.

Imported by the routes, the client, the command line and the console (docs/adr/0033-one-schema.md). It imports `bundles`
alone. `states` and `errors` import nothing that is slow to load; the shapes need msgspec.
"""
