"""A station's registry to be killed: `python -m tests.faults.victim FOLDER` serves two workers and says where."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tests.registry_server import Store

if __name__ == "__main__":
    store = Store(Path(sys.argv[1]))
    print(*(store.serve().port for _ in range(2)), flush=True)
    threading.Event().wait()
