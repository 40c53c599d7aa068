"""`python -m appliance.tour [HOST/REPO:TAG …]`: run the tour in a temporary folder and say where to look."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from appliance.tour.acts import Tour
from bundles.errors import LockgateError


def main() -> int:
    root = Path(tempfile.mkdtemp(prefix="lockgate-demo-"))
    try:
        Tour(root, sys.argv[1:]).run()
    except LockgateError as error:
        print(f"lockgate demo: {error.diagnostics()}\n  what it made is in {root}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
