"""A starter of jobs that the system gives no further process."""

from __future__ import annotations

import errno
import os
from typing import NoReturn

from tests.job_starter import serve


def refused() -> NoReturn:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


if __name__ == "__main__":
    os.fork = refused
    serve()
