"""The command line: one module a command group, a client of the control API.

What lives here: arguments, prompts, progress on a terminal, text and JSON output, exit statuses. What may not:
work of its own; what a command does is a job or a route, or a function of `bundles` for the commands that need no
station.
"""
