"""The policy for images as the rules of other programs: what verifies pulls on the nodes, too.

Each form says less than the policy does. What it cannot say is named, never left out in silence; where it must ask for
less it says for what. A node then verifies twice: the station goes by the policy whatever a node asks for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from appliance.access.snippets import Snippet
from appliance.patterns import EVERYTHING
from appliance.settings.image_policy import ImageRule
from bundles.oci.reference import check_registry, check_repository
from bundles.people import count
from bundles.signing.certificates import is_certificate
from bundles.signing.trust import TrustFolder

SIGNED_HERE: Final = "docker.io"
"""The registry that readers of container references take a bare name for: `lockgate sign` writes bare names."""

_RULES: Final = "/etc/containers/policy.json"
_NAMESPACE: Final = "gatekeeper-system"
"""Where Ratify's objects live unless its chart is told otherwise."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key or a root that is pinned for images: PEM text, and whose it is."""

    owner: str
    keyid: str
    pem: str

    @property
    def is_root(self) -> bool:
        """Whether it is a certificate, which signatures by Notation lead to."""
        return is_certificate(self.pem.encode())


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a program needs, and what of the policy it does not say, a line each."""

    snippet: Snippet
    unsaid: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its number from 1, and the signers that count for it."""

    number: int
    asks: ImageRule
    signers: tuple[Signer, ...]

    @property
    def keys(self) -> tuple[Signer, ...]:
        """Keys that cosign signs by."""
        return tuple(one for one in self.signers if not one.is_root)

    @property
    def roots(self) -> tuple[Signer, ...]:
        """Roots of those who sign by Notation."""
        return tuple(one for one in self.signers if one.is_root)

    @property
    def name(self) -> str:
        """A name for objects of Kubernetes."""
        return f"lockgate-rule-{self.number}"


def pinned(trust: TrustFolder, at: str) -> list[Signer]:
    """The keys and roots whose signatures of images count at a time."""
    return [
        Signer(one.owner, one.keyid, one.key.to_pem().decode())
        for one in trust.records
        if one.objection("image", at) is None
    ]


def rules_with(rules: Sequence[ImageRule], signers: Sequence[Signer]) -> list[Rule]:
    """The rules that are not `off`, each with the signers that count for it."""
    return [
        Rule(
            number,
            rule,
            tuple(
                one
                for one in signers
                if (not rule.owners or one.owner in rule.owners) and (not rule.keys or one.keyid in rule.keys)
            ),
        )
        for number, rule in enumerate(rules, 1)
        if rule.mode != "off"
    ]


def containers(rules: Sequence[Rule], host: str, signed_as: str) -> Elsewhere:
    """policy.json and registries.d of containers/image: podman, CRI-O, buildah, skopeo (containers-policy.json(5)).

    `signed_as`: the registry that signatures of exactly named repositories name. Of several scopes only the most
    exact one counts there, so each holds what the wider ones ask for, too.
    """
    unsaid, asked = list[str](), list[tuple[str, Rule]]()
    for rule in rules:
        if rule.asks.mode == "warn":
            unsaid.append(f"rule {rule.number}: containers cannot warn; it is left out")
            continue
        scopes = [(pattern, _scope(host, pattern)) for pattern in rule.asks.repositories]
        unsaid += [
            f"rule {rule.number}: {pattern} is no scope of containers; it is left out"
            for pattern, scope in scopes
            if scope is None
        ]
        unsaid += _unsaid_by_keys(rule, "containers")
        asked += [(scope, rule) for _, scope in scopes if scope is not None]
    found: dict[str, list[dict[str, Any]]] = {}
    for scope in dict.fromkeys(scope for scope, _ in asked):
        above = {rule.number: rule for wider, rule in asked if scope == wider or scope.startswith(f"{wider}/")}
        found[scope] = [one for rule in above.values() for one in _requirements(rule, scope, host, signed_as)]
    document = {
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {"docker": {scope: asks for scope, asks in sorted(found.items()) if asks}},
    }
    place = f"/etc/containers/registries.d/lockgate-{_file_name(host)}.yaml"
    registries = json.dumps({"docker": {host: {"use-sigstore-attachments": True}}}, indent=2)
    then = (
        "policy.json accepts every other registry as before: narrow its default where that is too wide",
        "signatures below cosign's tags are read, and no Sigstore bundles: sign with --format cosign --recursive",
        f"try it: skopeo copy docker://{host}/REPO:TAG dir:/tmp/tried",
    )
    return Elsewhere(
        Snippet({place: registries, _RULES: json.dumps(document, indent=2)}, shared=frozenset({_RULES}), then=then),
        tuple(unsaid),
    )


def _scope(host: str, pattern: str) -> str | None:
    """The scope that holds what a pattern does, and nothing above it."""
    if pattern == EVERYTHING:
        return host
    head, _, last = pattern.rpartition("/")
    whole = head if last in {"*", EVERYTHING} and head else pattern
    return None if "*" in whole else f"{host}/{whole}"


def _requirements(rule: Rule, scope: str, host: str, signed_as: str) -> list[dict[str, Any]]:
    if not rule.signers:
        return [{"type": "reject"}]  # nobody's signature counts: the station gives it to nobody either
    if not rule.keys:
        return []
    repository = scope.removeprefix(host).removeprefix("/")
    exact = repository in rule.asks.repositories
    identity = (
        {"type": "exactRepository", "dockerRepository": f"{signed_as}/{repository}"}
        if exact
        else {"type": "matchRepository"}
    )
    groups = _by_owner(rule.keys)
    if rule.asks.people != len(groups):
        groups = [list(rule.keys)]
    return [{"type": "sigstoreSigned", **_key_data(group), "signedIdentity": identity} for group in groups]


def _key_data(signers: Sequence[Signer]) -> dict[str, Any]:
    """One key as every version reads it; several as those from containers/image 5.33 on do."""
    data = [base64.b64encode(one.pem.encode()).decode() for one in signers]
    return {"keyData": data[0]} if len(data) == 1 else {"keyDatas": data}


def _by_owner(signers: Sequence[Signer]) -> list[list[Signer]]:
    owners = dict.fromkeys(one.owner for one in signers)
    return [[one for one in signers if one.owner == owner] for owner in owners]


def _unsaid_by_keys(rule: Rule, program: str) -> list[str]:
    """What a program that knows keys alone does not say of a rule."""
    asks, head = rule.asks, f"rule {rule.number}: {program}"
    found = []
    if rule.roots:
        found.append(
            f"{head} reads no signatures by Notation: {', '.join(one.owner for one in rule.roots)} cannot sign"
        )
    if 1 < asks.people != len(_by_owner(rule.keys)):
        found.append(f"{head} cannot ask for {asks.people} of {count(one.owner for one in rule.keys)}: it asks for one")
    if asks.identities:
        found.append(f"{head} cannot ask for signers' certificates")
    if asks.annotations:
        found.append(f"{head} cannot ask for annotations")
    if asks.attestations:
        found.append(f"{head} cannot ask for attestations")
    return found + _unsaid_of_content(rule, program)


def _unsaid_of_content(rule: Rule, program: str) -> list[str]:
    """What is asked of the content of what was signed, which no program is told."""
    asks, head = rule.asks, f"rule {rule.number}: {program}"
    found = []
    if asks.builders or asks.sources:
        found.append(f"{head} is not told of builders and sources of a provenance")
    if asks.signed_days or asks.attested_days:
        found.append(f"{head} is not told how old signatures and attestations may be")
    return found


def kyverno(rules: Sequence[Rule], host: str, signed_as: str) -> Elsewhere:
    """A ClusterPolicy with a rule `verifyImages` for each of ours (Kyverno, Verify Images Rules)."""
    objects, unsaid = list[dict[str, Any]](), list[str]()
    for rule in rules:
        for kind, signers in (("Cosign", rule.keys), ("Notary", rule.roots)):
            if signers:
                objects.append(_cluster_policy(rule, kind, signers, host))
        unsaid += _unsaid_by_kyverno(rule)
    return Elsewhere(Snippet({}, manifest=_objects(objects)), tuple(unsaid))


def _cluster_policy(rule: Rule, kind: str, signers: Sequence[Signer], host: str) -> dict[str, Any]:
    asks = rule.asks
    entries = [
        entries[0] if len(entries) == 1 else {"attestor": {"count": 1, "entries": entries}}
        for group in _by_owner(signers)
        for entries in [[_entry(kind, one, asks.annotations) for one in group]]
    ]
    verify: dict[str, Any] = {
        "type": kind,
        "imageReferences": [one for pattern in asks.repositories for one in _references(host, pattern)],
        "failureAction": "Enforce" if asks.mode == "enforce" else "Audit",
        "mutateDigest": asks.mode == "enforce",
        "verifyDigest": True,
        "required": True,
        "attestors": [{"count": asks.people, "entries": entries}],
    }
    if asks.attestations:
        verify["attestations"] = [
            {"type": one, "attestors": [{"count": 1, "entries": entries}]} for one in asks.attestations
        ]
    return {
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": f"{rule.name}-{kind.lower()}"},
        "spec": {
            "webhookConfiguration": {"failurePolicy": "Fail", "timeoutSeconds": 30},
            "background": False,
            "rules": [
                {
                    "name": rule.name,
                    "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
                    "verifyImages": [verify],
                }
            ],
        },
    }


def _entry(kind: str, one: Signer, annotations: Mapping[str, str]) -> dict[str, Any]:
    if kind == "Notary":
        return {"certificates": {"cert": one.pem}}
    offline = {"rekor": {"ignoreTlog": True}, "ctlog": {"ignoreSCT": True}}
    entry: dict[str, Any] = {"keys": {"publicKeys": one.pem, **offline}}
    return entry | ({"annotations": dict(annotations)} if annotations else {})


def _references(host: str, pattern: str) -> list[str]:
    """A pattern as Kyverno's wildcards write it: `*` stands for slashes, too."""
    name = f"{host}/{pattern.replace(EVERYTHING, '*')}"
    return [name] if name.endswith("*") else [f"{name}:*", f"{name}@*"]


def _unsaid_by_kyverno(rule: Rule) -> list[str]:
    head, found = f"rule {rule.number}: Kyverno", list[str]()
    if not rule.signers:
        found.append(f"{head} would ask for nobody's signature; it is left out, and the station refuses these images")
    if rule.keys and rule.roots:
        found.append(f"{head} asks for both a key's and a root's signature, where the policy lets either count")
    if rule.asks.identities:
        found.append(f"{head} cannot ask for signers' certificates below a root")
    if any("*" in pattern for pattern in rule.asks.repositories):
        found.append(f"{head} takes * for slashes, too: it may ask of more repositories")
    return found + _unsaid_of_content(rule, "Kyverno")


def ratify(rules: Sequence[Rule], host: str, signed_as: str) -> Elsewhere:
    """Key providers and verifiers for Ratify 1 (its custom resources, v1beta1)."""
    objects, policies, unsaid, scopes = list[dict[str, Any]](), list[dict[str, Any]](), list[str](), set[str]()
    for rule in rules:
        if rule.asks.mode == "warn":
            unsaid.append(f"rule {rule.number}: Ratify warns of all or of nothing; it is left out")
            continue
        unsaid += _unsaid_by_keys(rule, "Ratify")
        if not rule.keys:
            continue
        named = [scope for pattern in rule.asks.repositories if (scope := _prefix(host, pattern)) is not None]
        new = [scope for scope in named if scope not in scopes]
        if len(new) < len(rule.asks.repositories):
            unsaid.append(
                f"rule {rule.number}: Ratify takes one rule for a scope, and * at its end alone; some are left out"
            )
        if not new:
            continue
        scopes |= set(new)
        objects += [_provider(one) for one in rule.keys]
        keys = [{"provider": _provider_name(one)} for one in rule.keys]
        policies.append({"name": rule.name, "version": "1.0.0", "scopes": new, "keys": keys, "tLogVerify": False})
    objects = list({one["metadata"]["name"]: one for one in objects}.values())
    if policies:
        parameters = {"trustPolicies": policies}
        objects.append(
            _ratify(
                "Verifier",
                "verifier-lockgate-cosign",
                {
                    "name": "cosign",
                    "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json",
                    "parameters": parameters,
                },
            )
        )
    return Elsewhere(Snippet({}, manifest=_objects(objects)), tuple(unsaid))


def _prefix(host: str, pattern: str) -> str | None:
    scope = _scope(host, pattern)
    if scope is None:
        return None
    return f"{scope}/*" if pattern.endswith("*") else scope


def _provider_name(one: Signer) -> str:
    return f"lockgate-{one.keyid}"


def _provider(one: Signer) -> dict[str, Any]:
    spec = {"type": "inline", "parameters": {"contentType": "key", "value": one.pem}}
    return _ratify("KeyManagementProvider", _provider_name(one), spec)


def _ratify(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "config.ratify.deislabs.io/v1beta1",
        "kind": kind,
        "metadata": {"name": name, "namespace": _NAMESPACE} if kind != "Verifier" else {"name": name},
        "spec": spec,
    }


def _objects(found: Sequence[Mapping[str, Any]]) -> str:
    """Objects as one list in JSON, which kubectl reads as it reads YAML; no text in it can become another field."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": found}, indent=2)


def _file_name(host: str) -> str:
    return "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in host)


PROGRAMS: Final[Mapping[str, Callable[[Sequence[Rule], str, str], Elsewhere]]] = MappingProxyType(
    {"containers": containers, "kyverno": kyverno, "ratify": ratify}
)


def check_signed_as(text: str) -> str:
    """A registry, with a path or without, that signatures name. Raises MalformedError."""
    registry, slash, path = text.partition("/")
    check_registry(registry)
    if slash:
        check_repository(path)
    return text
