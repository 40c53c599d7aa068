"""What went wrong, in a line."""

from __future__ import annotations

from bundles.io.display import safe
from tui.station.troubles import Trouble
from tui.terminal.texts import count


def trouble_line(trouble: Trouble) -> str:
    """The kind of job, how it ended and how often, and why: `import refused 3 times: the bundle came before: …`."""
    job, error = trouble.job, trouble.job.error
    often = f" {count(trouble.count, 'time')}" if trouble.count > 1 else ""
    told = f"job {safe(job.id)}"
    if error is not None:
        told = f"{safe(error.what)}: {safe(error.thing)}" if error.thing else safe(error.what)
    return f"{safe(job.kind)} {safe(job.state)}{often}: {told}"
