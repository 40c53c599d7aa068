"""What the control process counts: jobs that ended, acts that the log got, images that were scanned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from appliance import clock
from appliance.api.scanning import Scan
from appliance.control.canary_pull import Pulled
from appliance.jobs.documents import Job
from appliance.measures import catalogue
from appliance.measures.slots import CONTROL, Slots


class ControlMeasures:
    """The control process's. For the event loop's thread alone."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._counts = slots.open(CONTROL)
        self._at = slots.layout.at

    def unwritten(self) -> None:
        """An act could not be written to the audit log, and did not happen."""
        self._counts.add(self._at("lockgate_audit_unwritten"))

    def job_ended(self, job: Job) -> None:
        """A job ended; one of a kind that is gone by now counts nowhere."""
        if job.kind not in catalogue.JOB_KINDS or job.state not in catalogue.JOB_ENDS:
            return
        self._counts.add(self._at("lockgate_jobs_ended", job.kind, job.state))
        if job.started and job.finished:
            seconds = max(0, clock.seconds(job.finished) - clock.seconds(job.started))
            self._counts.observe(self._at("lockgate_job_seconds", job.kind), float(seconds))

    def logged(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Events came into the audit log; acts and outcomes that this version does not know count nowhere."""
        for event in events:
            if event.get("act") in catalogue.ACTS and event.get("outcome") in catalogue.OUTCOMES:
                self._counts.add(self._at("lockgate_acts", event["act"], event["outcome"]))

    def spans(self, result: str, count: int) -> None:
        """What became of spans that were to be recorded. `unwritten` is for the thread that writes them."""
        self._counts.add(self._at("lockgate_spans", result), count)

    def probed(self, pulled: Pulled) -> None:
        """The canary was pulled through a door, well or not."""
        self._counts.add(self._at("lockgate_probes", pulled.door.partition("-")[0], pulled.reason))

    def syslog(self, sent: int, lost: int) -> None:
        """The collector has got so many events, and will never get so many others."""
        self._counts.add(self._at("lockgate_syslog_events", "sent"), sent)
        self._counts.add(self._at("lockgate_syslog_events", "lost"), lost)

    def promoted(self, act: str, result: str, seconds: float) -> None:
        """A promotion or a rollback was done, was refused, or failed, after so many seconds."""
        self._counts.observe(self._at("lockgate_promotion_seconds", act, result), seconds)

    def webhook(self, result: str) -> None:
        """A message was delivered, was not taken (`failed`), or was given up (`dead`)."""
        self._counts.add(self._at("lockgate_webhook_deliveries", result))

    def scanned(self, scan: Scan) -> None:
        """An artifact's images were held against the advisories."""
        for image in scan.images:
            result = "findings" if image.findings else "pass"
            self._counts.add(self._at("lockgate_scanned_images", result if image.state == "scanned" else "unknown"))
