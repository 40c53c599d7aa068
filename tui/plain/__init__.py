"""The console in lines: prompts and sentences alone, for screen readers, serial lines and dumb terminals.

It decides, words and signs by the same code as the screens (`tui.decisions`, `tui.guides`, `tui.wording`,
`tui.actions`); only how it asks is its own.
"""
