"""The control API: JSON and server-sent events on a Unix socket, its client, and the jobs behind it.

What lives here: the control process, its routes, the job protocol and its subprocesses. What may not: private keys
or passphrases, which never cross the socket, and long work in the event loop.
"""
