"""The console: a Textual application over the control API.

What lives here: screens, widgets, the one registry of actions, and the display function every untrusted string
passes. What may not: anything that opens the store, a key file or a socket by itself; the console talks to
`appliance.control.client` alone, so that what it may do is what the control API allows.
"""
