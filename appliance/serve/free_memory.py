"""Memory that a worker no longer uses goes back to the system.

A storm of connections under TLS takes hundreds of MiB for a moment. glibc keeps what is freed below the end of its heap
for the process, so that a worker would stay as large as its busiest moment: malloc_trim(3) gives those pages back.
"""

from __future__ import annotations

import asyncio
import ctypes

from appliance.limits import registry as limits


def give_back() -> bool:
    """Give free pages of this process's heap back to the system, whether or not there are any. False where the C
    library cannot (another one than glibc)."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return False
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    trim(0)
    return True


async def keep_giving_back() -> None:
    """The same again and again, in a thread: the call takes some milliseconds, without the interpreter's lock."""
    while True:
        if not await asyncio.to_thread(give_back):
            return
        await asyncio.sleep(limits.FREE_MEMORY_EVERY)
