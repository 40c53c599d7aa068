"""What the two programs do before they load anything else: open the standard streams that a caller closed, and forget
the folders that PYTHONPATH put into `sys.path`, and what the environment tells libraries to load or to write.

A folder of a medium, or the current one, would otherwise replace this program's libraries. A module that has its name
in such a folder is found before any line of this one runs: an installed program has a line in its environment's
`lockgate.pth` for that, which does the same for both names. Parts of Python's own library that are loaded before any
site folder is looked at (`encodings`) can be replaced all the same: only `python -I` reads no PYTHONPATH at all.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, Final


def open_standard_streams() -> None:
    """Give each closed one of descriptors 0 to 2 a file, so that none that is opened later gets its number: an empty
    input, an output that cannot be written, and a sink for messages. Messages that cannot be written (a full disk, a
    reader that is gone) are lost, and end no command: what it does counts, and so does its exit status."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  a descriptor, as long as the process lives
    encoding, errors = ("utf-8", "strict") if sys.stdout is None else (sys.stdout.encoding, sys.stdout.errors)
    at_once = os.isatty(1) or getattr(sys.stdout, "write_through", False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(Output(1, "w", closefd=False)), encoding, errors, line_buffering=at_once
    )
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Messages(2, "w", closefd=False)), encoding, "backslashreplace", line_buffering=True
    )


class Output(io.FileIO):
    """Standard output, which keeps in `failed` why it could not be written: in an error of any depth, that of a disk
    and that of the output look the same."""

    failed: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failed = error
            raise


class _Messages(io.FileIO):
    """Standard error, to which a write never fails."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


_TOLD: Final = (
    "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSLKEYLOGFILE",
)  # fmt: skip
"""Variables by which OpenSSL loads code into the process (config(5ossl)), or Python's ssl writes the keys of TLS into a
file. What the machine's own openssl.cnf says still counts."""

_CONSOLE: Final = "TEXTUAL"
"""What variables begin with by which Textual types keys, writes files and takes another driver."""


def forget_environment() -> None:
    """Forget PYTHONPATH, and what libraries would load or write because a variable says so."""
    _forget_pythonpath()
    for name in [one for one in os.environ if one in _TOLD or one.startswith(_CONSOLE)]:
        del os.environ[name]


def _forget_pythonpath() -> None:
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
