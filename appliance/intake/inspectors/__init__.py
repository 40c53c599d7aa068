"""Inspectors: what this station itself finds in a quarantined bundle, one module each, behind a port of one verb.

What lives here: readers of quarantined content that fill a section of the inspection report. What may not: changes of
any kind, or evidence that was carried in taken as one's own finding. A further inspector is a further module, and its
line in `INSPECTORS`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from appliance.intake.inspectors import artifacts, changes, differences, evidence, integrity, layers, signatures
from appliance.intake.inspectors.port import Named, Subject
from bundles.documents.signed import Report, Section
from bundles.errors import FailedError, LockgateError

INSPECTORS: Final[tuple[Named, ...]] = (
    Named("integrity", integrity.inspect),
    Named("artifacts", artifacts.inspect),
    Named("changes", changes.inspect),
    Named("differences", differences.inspect),
    Named("evidence", evidence.inspect),
    Named("signatures", signatures.inspect),
    Named("layers", layers.inspect),
)


def inspect(
    subject: Subject, site: str, at: str, required: Collection[str] = (), inspectors: Sequence[Named] = INSPECTORS
) -> Report:
    """The inspection report of `site` about a bundle: a section an inspector, in their order.

    `required` are those that the policy names beside the ones that are required always. Raises FailedError where one
    of them is not there, or could not look: then there is no report, and nothing to approve. What another could not
    look at stands in its section as `fail`.
    """
    bundle = subject.opened.manifest.id
    absent = sorted(set(required) - {each.name for each in inspectors})
    if absent:
        raise FailedError(
            "a required inspector is missing on this station",
            thing=f"{bundle}: {', '.join(absent)}",
            remedy=f"set it up, or mend required_inspectors in approvals.toml; then: lockgate intake inspect {bundle}",
        )
    sections = [_look(each, subject, required=each.always or each.name in required) for each in inspectors]
    return Report(site=site, bundle=bundle, digest=str(subject.opened.digest), created=at, sections=sections)


def _look(each: Named, subject: Subject, *, required: bool) -> Section:
    try:
        return each.inspect(subject)
    except LockgateError as error:
        if required:
            bundle = subject.opened.manifest.id
            raise FailedError(
                f"the required inspector {each.name} could not look",
                thing=f"{bundle}: {error.diagnostics()}",
                remedy=f"mend it, then: lockgate intake inspect {bundle}",
            ) from None
        summary = f"could not look: {error.diagnostics()}"
        return Section(inspector=each.name, outcome="fail", summary=summary, details={})
