"""Every transaction of the station, by domain: registry, jobs, outgoing, intake.

What lives here: `Write` structs whose `apply` changes metadata inside the writer's transaction. What may not:
reads for display, files, clocks (times come in as fields), or anything slow: everybody waits behind a write.
"""
