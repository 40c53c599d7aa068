"""Pull-through caches: what a client asks for below a cache's prefix is fetched from the cache's upstream, and kept
(docs/adr/0065-pull-through.md).

What lives here: one process a station that asks upstreams (`process`, `fetcher`), how it keeps what comes (`storing`),
and how workers ask it (`fetch_requests`). What may not: who may pull (appliance.access), and how what is here is served
(appliance.registry).
"""
