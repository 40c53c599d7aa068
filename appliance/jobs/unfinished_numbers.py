"""What a build that did not end well leaves behind of its stream's numbers: said in its own end, not in a log line."""

from __future__ import annotations

from dataclasses import replace

from appliance.jobs.documents import Job
from appliance.jobs.end import Ended
from appliance.store.errors import EngineError
from appliance.store.ports import Reader
from appliance.store.reads.bundles_out import numbers_of, unfinished


def with_numbers(reader: Reader, site: str, job: Job, ended: Ended) -> Ended:
    """The end of a job. The error of a build at `site` names the bundles of its stream that are signed and not on their
    media, and the numbers that are void."""
    if job.kind != "build" or ended.error is None:
        return ended
    try:
        own = dict(numbers_of(reader, job.id))
        found = unfinished(reader, f"{site}.{job.params.get('to', '')}")
    except EngineError:  # a database that cannot be read now hides no end
        return ended
    left = [replace(one, job_state=None) if one.id in own else one for one in found]
    said = [one.text() for one in left if one.is_left]
    said = [text for text in said if text.partition(" ")[0] != ended.error["thing"]]
    void = [bundle for bundle, state in own.items() if state in ("to-sign", "voided")]
    said += [f"the number of {bundle} is void, since nobody signed it; the next bundle says so" for bundle in void]
    remedy = "; ".join(filter(None, [ended.error["remedy"], *said]))
    return replace(ended, error={**ended.error, "remedy": remedy})
