"""The shape of each route's answer (`appliance.api`), for the OpenAPI document and its tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from appliance.api.audit import Checked, CustodyBundle, CustodyRecord, Event
from appliance.api.bundles import (
    Delta,
    Destination,
    MadeReceipt,
    Medium,
    OutgoingBundle,
    Plan,
    Receipt,
    Site,
    SiteChange,
    TakenStatement,
    VoidedBundle,
    Want,
)
from appliance.api.common import Empty, Page, Payload, Probe
from appliance.api.content import (
    Artifact,
    Block,
    Blocked,
    Components,
    Copied,
    Damage,
    Deleted,
    File,
    FoundItem,
    Repository,
    Tag,
    Unblocked,
    UntaggedManifest,
)
from appliance.api.errors import ErrorDocument
from appliance.api.intake import (
    ClockFloor,
    IntakeDetail,
    IntakeEntry,
    LedgerRow,
    Override,
    Pending,
    PendingDetail,
    ReleaseAnswer,
    Stream,
    Withdrawn,
)
from appliance.api.jobs import Job, LogPart, ToSign
from appliance.api.live import Live
from appliance.api.people import (
    Account,
    AccountChange,
    Asked,
    Explanation,
    GivenSecret,
    RenewedSecret,
    Token,
    TokenId,
    Who,
)
from appliance.api.policy import PolicySaid
from appliance.api.probe import ProbeResult
from appliance.api.promotion import Channel, Promotion, PromotionDone
from appliance.api.recall import DeployedWorkloads, Recall
from appliance.api.report import Report
from appliance.api.retirement import Retired, Unretired
from appliance.api.review import Exposure, ReviewedAccount
from appliance.api.scanning import (
    AdvisorySource,
    ComponentsFound,
    NewFindings,
    Packages,
    RemovedSource,
    Scan,
    VulnerabilityFound,
)
from appliance.api.signatures import Attached, Signatures, Subjects
from appliance.api.status import Activity, Certificate, Head, Released, Status
from appliance.api.transfers import Diode, DropFolder, Replica, TransferHost
from appliance.api.trust import OwnKey, TrustedKey, TrustRule
from appliance.api.upstreams import AskedRegistries
from appliance.api.webhooks import Webhook, WebhookReplayed

ANSWERS: Final[Mapping[str, Any]] = {
    "GET /v1/status": Status,
    "GET /v1/activity": Activity,
    "GET /v1/session": Who,
    "POST /v1/session": Who,
    "DELETE /v1/session": Empty,
    "POST /v1/session/secret": RenewedSecret,
    "GET /v1/repositories": Page[Repository],
    "GET /v1/repositories/{name}/tags": Page[Tag],
    "GET /v1/repositories/{name}/untagged": Page[UntaggedManifest],
    "POST /v1/repositories/{name}/delete": Deleted,
    "POST /v1/copies": Copied,
    "POST /v1/promotions": PromotionDone,
    "POST /v1/rollbacks": PromotionDone,
    "GET /v1/promotions": Page[Promotion],
    "GET /v1/channels": Page[Channel],
    "GET /v1/retirements": Page[Retired],
    "POST /v1/retirements": Retired,
    "POST /v1/retirements/undo": Unretired,
    "GET /v1/artifact": Artifact,
    "GET /v1/sbom": Components,
    "GET /v1/signatures": Signatures,
    "POST /v1/signatures": Attached,
    "GET /v1/signatures/subjects": Subjects,
    "GET /v1/policy": PolicySaid,
    "GET /v1/find": Page[FoundItem],
    "GET /v1/components": ComponentsFound,
    "GET /v1/scan": Scan,
    "GET /v1/scan/find": VulnerabilityFound,
    "GET /v1/scan/new": NewFindings,
    "GET /v1/packages": Packages,
    "GET /v1/advisories": Page[AdvisorySource],
    "DELETE /v1/advisories/{source}": RemovedSource,
    "GET /v1/file": File,
    "GET /v1/jobs": Page[Job],
    "POST /v1/jobs": Job,
    "GET /v1/jobs/{id}": Job,
    "POST /v1/jobs/{id}/cancel": Job,
    "POST /v1/jobs/{id}/dismiss": Job,
    "POST /v1/jobs/{id}/resume": Job,
    "GET /v1/jobs/{id}/log": LogPart,
    "GET /v1/jobs/{id}/to-sign": ToSign,
    "POST /v1/jobs/{id}/signatures": Job,
    "GET /v1/intake": Page[IntakeEntry],
    "GET /v1/intake/{id}": IntakeDetail,
    "GET /v1/intake/{id}/approval": Payload,
    "POST /v1/intake/{id}/approval": IntakeDetail,
    "POST /v1/intake/{id}/release": ReleaseAnswer,
    "POST /v1/intake/{id}/withdraw": Withdrawn,
    "GET /v1/approvals": Page[Pending],
    "GET /v1/approvals/{id}": PendingDetail,
    "GET /v1/releases/check": Released,
    "GET /v1/custody": Page[CustodyBundle],
    "GET /v1/bundles/{id}/custody": CustodyRecord,
    "POST /v1/bundles/{id}/custody": CustodyRecord,
    "GET /v1/recall": Recall,
    "GET /v1/workloads": DeployedWorkloads,
    "GET /v1/audit": Page[Event],
    "GET /v1/audit/head": Head,
    "GET /v1/audit/check": Checked,
    "GET /v1/streams": Page[Stream],
    "GET /v1/streams/{stream}/override": Payload,
    "POST /v1/streams/{stream}/override": Override,
    "POST /v1/streams/{stream}/reset": Override,
    "GET /v1/ledger": Page[LedgerRow],
    "GET /v1/clock": ClockFloor,
    "POST /v1/plans": Plan,
    "POST /v1/upstreams": AskedRegistries,
    "GET /v1/bundles": Page[OutgoingBundle],
    "POST /v1/bundles/{id}/void": VoidedBundle,
    "GET /v1/media": Page[Medium],
    "GET /v1/deltas": Page[Delta],
    "GET /v1/kept": Page[MadeReceipt],
    "GET /v1/wants": Page[Want],
    "GET /v1/receipts": Page[Receipt],
    "POST /v1/receipts": TakenStatement,
    "GET /v1/sites": Page[Site],
    "GET /v1/diodes": Page[Diode],
    "GET /v1/replicas": Page[Replica],
    "GET /v1/transfer-hosts": Page[TransferHost],
    "GET /v1/drop-folders": Page[DropFolder],
    "GET /v1/webhooks": Page[Webhook],
    "POST /v1/webhooks/{name}/replay": WebhookReplayed,
    "GET /v1/report": Report,
    "GET /v1/live": Live,
    "GET /v1/probe": ProbeResult,
    "POST /v1/probe": ProbeResult,
    "GET /v1/destination": Destination,
    "POST /v1/sites": SiteChange,
    "DELETE /v1/sites/{site}": SiteChange,
    "GET /v1/trust": Page[TrustedKey],
    "GET /v1/trust/rules": Page[TrustRule],
    "GET /v1/keys": Page[OwnKey],
    "GET /v1/damage": Damage,
    "GET /v1/blocks": Page[Block],
    "POST /v1/blocks": Blocked,
    "DELETE /v1/blocks/{digest}": Unblocked,
    "GET /v1/accounts": Page[Account],
    "POST /v1/accounts": (Account, GivenSecret),
    "GET /v1/accounts/{name}": Account,
    "GET /v1/accounts/{name}/explain": Explanation,
    "POST /v1/accounts/{name}/password": Asked,
    "POST /v1/accounts/{name}/{what}": Account,
    "GET /v1/accounts/{name}/tokens": Page[Token],
    "POST /v1/accounts/{name}/secret": GivenSecret,
    "POST /v1/tokens/{id}/revoke": TokenId,
    "GET /v1/account-changes": Page[AccountChange],
    "POST /v1/account-changes/{id}/confirm": AccountChange,
    "POST /v1/account-changes/{id}/cancel": AccountChange,
    "GET /v1/access-review": Page[ReviewedAccount],
    "GET /v1/access-review/exposure": Exposure,
    "GET /v1/tls": Page[Certificate],
    "POST /v1/tls/reload": Page[Certificate],
    "GET /readyz": Probe,
    "GET /healthz": Probe,
}  # fmt: skip
"""Shapes by method and path, several where it depends on the request."""

OTHER_MEDIA: Final[Mapping[str, str]] = {
    "GET /v1/jobs/{id}/events": "text/event-stream",
    "GET /v1/file/content": "application/octet-stream",
    "GET /v1/layer/files": "application/x-ndjson",
    "GET /v1/metrics": "text/plain",
}
"""Media types of answers that are not JSON."""

_REFERENCE: Final = "#/components/schemas/{name}"


def schemas() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Each route's schema of what it answers, and the components that these name (JSON Schema 2020-12).

    A station sends every field of a shape, but for those that may be unset: these have no default in the schema.
    """
    shapes = [shape for each in ANSWERS.values() for shape in _several(each)]
    made, components = msgspec.json.schema_components([*shapes, ErrorDocument], ref_template=_REFERENCE)
    by_shape = {id(shape): schema for shape, schema in zip(shapes, made, strict=False)}
    for component in components.values():
        fields = component.get("properties", {})
        always = set(component.get("required", ())) | {name for name, field in fields.items() if "default" in field}
        component["required"] = [name for name in fields if name in always]
        for field in fields.values():
            field.pop("default", None)
    found = {}
    for route, each in ANSWERS.items():
        of_it = [by_shape[id(shape)] for shape in _several(each)]
        found[route] = of_it[0] if len(of_it) == 1 else {"anyOf": of_it}
    return found, components


def _several(shapes: Any) -> tuple[Any, ...]:
    return shapes if isinstance(shapes, tuple) else (shapes,)
