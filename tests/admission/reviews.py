"""Reviews as an API server sends them."""

from __future__ import annotations

import json
from typing import Any

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
GROUPS = {"Pod": "", "PodTemplate": "", "ReplicationController": "", "Job": "batch", "CronJob": "batch"}


def pod_spec(*images: str, init: tuple[str, ...] = (), late: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    def named(those: tuple[str, ...]) -> list[dict[str, Any]]:
        return [{"name": f"c{number}", "image": image} for number, image in enumerate(those)]

    spec = {"containers": named(images), "initContainers": named(init), "ephemeralContainers": named(late)}
    return {name: value for name, value in spec.items() if value} | more


def workload(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    if kind == "Pod":
        return {"kind": kind, "spec": spec}
    if kind == "PodTemplate":
        return {"kind": kind, "template": {"spec": spec}}
    if kind == "CronJob":
        return {"kind": kind, "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}
    return {"kind": kind, "spec": {"replicas": 2, "template": {"spec": spec}}}


def review(kind: str, spec: Any, /, *, operation: str = "CREATE", old: Any = None, **more: Any) -> bytes:
    request = {
        "uid": UID, "kind": {"group": GROUPS.get(kind, "apps"), "version": "v1", "kind": kind}, "namespace": "shop",
        "name": "web", "operation": operation, "object": None if spec is None else workload(kind, spec),
        "oldObject": None if old is None else workload(kind, old), "userInfo": {"username": "ann"},
    }  # fmt: skip
    document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request | more}
    return json.dumps(document).encode()


def image_review(*images: str) -> bytes:
    containers = [{"image": image} for image in images]
    spec = {"containers": containers, "namespace": "shop", "annotations": {}}
    document = {"apiVersion": "imagepolicy.k8s.io/v1alpha1", "kind": "ImageReview", "spec": spec}
    return json.dumps(document).encode()
