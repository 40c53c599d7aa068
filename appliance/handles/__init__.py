"""Folders and files that clients hand over as descriptors, so that no request names a path (docs/adr/0014).

What lives here: what a caller may do (`rights`), what is never taken (`ground`), which parameters are paths (`params`),
client's side (`giving`), and what jobs use (`granted`). The control process listens in
`appliance.control.handle_socket`.
"""
