"""A scan's verdict in the formats of other programs.

None of them may say less than the verdict does: what was not looked at is in each of them, and where a format has no
place for it nothing is written.
"""
