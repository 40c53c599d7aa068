"""`lockgate serve`: the supervisor and the processes below it.

What lives here: one lock, one listening socket, the forks, and who is started again when it dies. What may not: what
the processes do; they are `control.server` and `registry.app`.
"""
