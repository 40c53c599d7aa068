"""Reviews as API servers send them (Kubernetes, extensible admission controllers; API reference, ImageReview).

A workload of a kind that is not read here is refused: an image in it would pass unseen.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.limits import admission as limits
from bundles.errors import MalformedError, RefusedError
from bundles.io import strict_json

_V1: Final = "admission.k8s.io/v1"
_IMAGE_V1: Final = "imagepolicy.k8s.io/v1alpha1"
_TEMPLATE: Final = ("spec", "template", "spec")
_SPECS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "ReplicationController": _TEMPLATE,
    "Deployment": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
"""Where each kind of workload has its pods' specification."""
_GROUPS: Final[Mapping[str, str]] = {
    "Pod": "",
    "PodTemplate": "",
    "ReplicationController": "",
    "Job": "batch",
    "CronJob": "batch",
}
"""The API groups of the kinds; of the others `apps`."""
_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
_TEXT: Final = 300
_REASON: Final = 2000
_FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True)
class Named:
    """An image, and its place in the object as a JSON pointer (RFC 6901)."""

    image: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Review:
    """What is asked: `images` are those to be judged, `namespace` and `workload` (KIND/NAME) say what they are for.
    `is_trial`: nothing comes of it."""

    uid: str
    namespace: str
    workload: str
    images: Sequence[Named]
    is_trial: bool = False

    @property
    def thing(self) -> str:
        """What it is about, in one name."""
        return f"{self.namespace}/{self.workload}"


def read_review(raw: bytes) -> Review:
    """An AdmissionReview. What an update leaves as it was is not judged again: a workload that runs could else not be
    taken away in peace. Raises MalformedError for what is none, RefusedError for a workload that is not read here."""
    document = _loaded(raw, "an AdmissionReview")
    if document.get("apiVersion") != _V1 or document.get("kind") != "AdmissionReview":
        raise MalformedError(f"not an AdmissionReview of {_V1}", thing=_said(document.get("apiVersion")))
    request = _object(document.get("request"), "request")
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= _TEXT:
        raise MalformedError("an AdmissionReview without a uid")
    kind = _object(request.get("kind"), "request.kind")
    name, group = kind.get("kind"), kind.get("group", "")
    namespace = _said(request.get("namespace") or "-")
    workload = f"{_said(name)}/{_said(request.get('name') or _generated(request.get('object')))}"
    thing = f"{namespace}/{workload}"
    if request.get("operation") == "DELETE":
        return Review(uid, namespace, workload, ())
    if not isinstance(name, str) or name not in _SPECS or group != _GROUPS.get(name, "apps"):
        raise _UnreadableError(uid, thing, f"{_said(group) or 'core'}/{_said(name)} is no workload that is read here")
    try:
        images = list(_images(_object(request.get("object"), "request.object"), name))
        before = request.get("oldObject") if request.get("operation") == "UPDATE" else None
        old = set() if before is None else {one.image for one in _images(_object(before, "request.oldObject"), name)}
    except MalformedError as error:
        raise _UnreadableError(uid, thing, f"{error.what}: {error.thing}") from None
    changed = [one for one in images if one.image not in old]
    return Review(uid, namespace, workload, changed, request.get("dryRun") is True)


class _UnreadableError(RefusedError):
    """A review whose workload cannot be read; it is answered by a refusal."""

    def __init__(self, uid: str, thing: str, why: str) -> None:
        super().__init__(why, thing=thing, remedy="send the webhook the workloads that the how-to lists")
        self.uid = uid


def uid_of(error: RefusedError) -> str:
    """The uid of the review that an error is about, "" for none."""
    return error.uid if isinstance(error, _UnreadableError) else ""


def read_image_review(raw: bytes) -> Review:
    """An ImageReview. Raises MalformedError."""
    document = _loaded(raw, "an ImageReview")
    if document.get("apiVersion") != _IMAGE_V1 or document.get("kind") != "ImageReview":
        raise MalformedError(f"not an ImageReview of {_IMAGE_V1}", thing=_said(document.get("apiVersion")))
    spec = _object(document.get("spec"), "spec")
    images = []
    for number, one in enumerate(_list(spec.get("containers"), "spec.containers")):
        images.append(Named(_image(_object(one, "a container").get("image")), f"/spec/containers/{number}"))
    if not images:
        raise MalformedError("an ImageReview without containers")
    return Review("", _said(spec.get("namespace") or "-"), "Pod/-", images)


def answer(uid: str, refusals: Sequence[str], warnings: Sequence[str] = ()) -> dict[str, Any]:
    """The answer to an AdmissionReview: allowed where nothing refuses."""
    response: dict[str, Any] = {"uid": uid, "allowed": not refusals}
    if refusals:
        said = "; ".join(refusals)[:_REASON]
        response["status"] = {"code": _FORBIDDEN, "reason": "Forbidden", "message": f"lockgate: {said}"}
    if warnings:
        response["warnings"] = [f"lockgate: {one}"[:_TEXT] for one in warnings]
    return {"apiVersion": _V1, "kind": "AdmissionReview", "response": response}


def patched(uid: str, images: Sequence[tuple[Named, str]]) -> dict[str, Any]:
    """The answer that names images otherwise (JSON Patch, RFC 6902): each with what is to stand in its place."""
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if images:
        operations = [{"op": "replace", "path": one.pointer, "value": value} for one, value in images]
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"apiVersion": _V1, "kind": "AdmissionReview", "response": response}


def image_answer(refusals: Sequence[str]) -> dict[str, Any]:
    """The answer to an ImageReview."""
    status: dict[str, Any] = {"allowed": not refusals}
    if refusals:
        status["reason"] = f"lockgate: {'; '.join(refusals)}"[:_REASON]
    return {"apiVersion": _IMAGE_V1, "kind": "ImageReview", "status": status}


def _images(workload: Mapping[str, Any], kind: str) -> Iterator[Named]:
    """Every image that a workload names: of containers of each sort, and of volumes."""
    spec, pointer = workload, ""
    for part in _SPECS[kind]:
        spec = _object(spec.get(part), f"{kind}'s {'.'.join(_SPECS[kind])}")
        pointer += f"/{part}"
    for sort in _CONTAINERS:
        for number, one in enumerate(_list(spec.get(sort), sort)):
            yield Named(_image(_object(one, sort).get("image")), f"{pointer}/{sort}/{number}/image")
    for number, one in enumerate(_list(spec.get("volumes"), "volumes")):
        source = _object(one, "volumes").get("image")
        if source is not None:
            reference = _image(_object(source, "an image volume").get("reference"))
            yield Named(reference, f"{pointer}/volumes/{number}/image/reference")


def _loaded(raw: bytes, what: str) -> Mapping[str, Any]:
    document = strict_json.loads(
        raw, ceiling=limits.ADMISSION_REVIEW, nodes=limits.ADMISSION_NODES, what=what, floats=True
    )
    return _object(document, what)


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError("no object where one belongs", thing=what)
    return value


def _list(value: Any, what: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise MalformedError("no list where one belongs", thing=what)
    return value


def _image(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= limits.ADMISSION_IMAGE:
        raise MalformedError("a container without the name of an image", thing=_said(value))
    return value


def _generated(value: Any) -> Any:
    """What the name of an object begins with, where the API server makes the rest."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return (metadata.get("generateName") if isinstance(metadata, dict) else None) or "-"


def _said(value: Any) -> str:
    return value[:_TEXT] if isinstance(value, str) else type(value).__name__
