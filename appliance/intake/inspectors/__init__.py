"""Inspectors: what this station itself finds in a quarantined bundle, one module each, behind a port of one verb.

What lives here: readers of quarantined content that fill a section of the inspection report. What may not: changes of
any kind, or evidence that was carried in taken as one's own finding. A further inspector is a further module, and its
line in `INSPECTORS`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from appliance.intake.inspectors import (
    artifacts,
    changes,
    content,
    differences,
    evidence,
    integrity,
    layers,
    malware,
    signatures,
)
from appliance.intake.inspectors.port import Named, Subject
from appliance.malware.engine import NotSetUpError
from bundles.documents.signed import Report, Section
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError
from bundles.io import strict_json

UNLOOKED: Final = "unlooked"
"""In the details of a section whose inspector did not look: why, as a code. `required` beside it says whether the
bundle can be approved all the same (appliance.store.reads.intake.unlooked_by)."""
_WHY: Final = 400
"""Characters of what an inspector said of itself: it may quote the content."""
INSPECTORS: Final[tuple[Named, ...]] = (
    Named("integrity", integrity.inspect),
    Named("artifacts", artifacts.inspect),
    Named("changes", changes.inspect),
    Named("differences", differences.inspect),
    Named("evidence", evidence.inspect),
    Named("signatures", signatures.inspect),
    Named("layers", layers.inspect),
    Named("malware", malware.inspect, always=False),
    Named("content", content.inspect),
)


def inspect(
    subject: Subject, site: str, at: str, required: Collection[str] = (), inspectors: Sequence[Named] = INSPECTORS
) -> Report:
    """The inspection report of `site` about a bundle: a section an inspector, in their order.

    `required` are those that the policy names beside the ones that are required always. Raises FailedError where one
    of them is not there, or could not look: then there is no report, and nothing to decide. What another could not
    look at stands in its section as `fail`, and that it was never set up as `note`.

    An inspector that fails on the content itself, required or not, has a `fail` section with `UNLOOKED` in its details:
    the report is written, so that the bundle can be rejected. It cannot be approved where the inspector is required.
    """
    bundle = subject.opened.manifest.id
    absent = sorted(set(required) - {each.name for each in inspectors})
    if absent:
        raise FailedError(
            "a required inspector is missing on this station",
            thing=f"{bundle}: {', '.join(absent)}",
            remedy=f"set it up, or fix required_inspectors in approvals.toml; then: lockgate intake inspect {bundle}",
        )
    sections = [_look(each, subject, required=each.always or each.name in required) for each in inspectors]
    return Report(site=site, bundle=bundle, digest=str(subject.opened.digest), created=at, sections=sections)


def _look(each: Named, subject: Subject, *, required: bool) -> Section:
    try:
        section = each.inspect(subject)
        strict_json.canonical(msgspec.to_builtins(section))  # text that no report can hold is the content's, too
    except (MalformedError, RefusedError) as error:
        return _unlooked(each, error.diagnostics(), error.code, required=required)
    except LockgateError as error:
        if required:
            bundle = subject.opened.manifest.id
            raise FailedError(
                f"the required inspector {each.name} could not look",
                thing=f"{bundle}: {error.diagnostics()}",
                remedy=f"fix it, then: lockgate intake inspect {bundle}",
            ) from None
        if isinstance(error, NotSetUpError):
            return _unlooked(each, error.what, error.code, required=False, outcome="note")
        return _unlooked(each, error.diagnostics(), error.code, required=False)
    except (OSError, MemoryError):  # the machine's, not the content's: a new run may do better
        raise
    except Exception as error:
        # Whoever made the bundle chose what is read here: a reader that stumbles is a finding about the bundle.
        name = type(error).__name__
        return _unlooked(each, f"it failed inside on the bundle's content ({name})", name, required=required)
    return section


def _unlooked(each: Named, why: str, code: str, *, required: bool, outcome: str = "fail") -> Section:
    """The section of an inspector that has not looked. `required`: the bundle is not approved by this report."""
    return Section(
        inspector=each.name,
        outcome=outcome,
        summary=f"could not look: {why.encode('utf-8', 'replace').decode()[:_WHY]}",
        details={UNLOOKED: code, "required": required},
    )
