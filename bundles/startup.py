"""What the two programs do before they load anything else: forget the folders that PYTHONPATH put into `sys.path`.

A folder of a medium, or the current one, would otherwise replace this program's libraries. A module that has its name
in such a folder is found before any line of this one runs: an installed program has a line in its environment's
`lockgate.pth` for that, which does the same for both names. Parts of Python's own library that are loaded before any
site folder is looked at (`encodings`) can be replaced all the same: only `python -I` reads no PYTHONPATH at all.
"""

from __future__ import annotations

import os
import sys


def forget_pythonpath() -> None:
    """Take PYTHONPATH's folders out of `sys.path`, but for one that holds this program's own code or belongs to its
    Python, and the variable out of the environment of whatever is started from here."""
    said = os.environ.pop("PYTHONPATH", "")
    if not said or sys.flags.ignore_environment:
        return
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100,PTH120  pathlib is not loaded yet
    given = {os.path.realpath(folder) for folder in said.split(os.pathsep)} - {os.path.realpath(own)}
    python = os.path.realpath(sys.prefix) + os.sep
    sys.path[:] = [
        folder for folder in sys.path
        if os.path.realpath(folder) not in given or os.path.realpath(folder).startswith(python)
    ]  # fmt: skip
