"""What a node needs so that its kubelet logs in at the station with the tokens of pods' service accounts."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Final

from appliance.access.snippets import Snippet
from appliance.settings.station import Config
from bundles.errors import UsageError

_FOLDER: Final = "/etc/kubernetes/lockgate"
_NAME: Final = "lockgate-credential-provider"


def audience_of(config: Config, issuer: str | None) -> str:
    """The audience that tokens are to have: that of the issuer of config.toml, which may be left out where one
    audience is all there is. Raises UsageError."""
    issuers = config.workload_issuers
    how = "name the cluster in config.toml: [workload_issuers.NAME]"
    if not issuers:
        raise UsageError("no workload logs in here", thing="[workload_issuers]", remedy=how)
    if issuer is not None and issuer not in issuers:
        raise UsageError("no such issuer", thing=issuer[:80], remedy=f"give one of {', '.join(issuers)}")
    found = {one.audience for name, one in issuers.items() if issuer in (None, name)}
    if len(found) > 1:
        raise UsageError("several issuers", thing=", ".join(issuers), remedy="say which is the cluster: --issuer NAME")
    return found.pop()


def kubelet(host: str, audience: str) -> Snippet:
    """The credential provider and its configuration (kubelet.config.k8s.io/v1), for `host` (HOST:PORT). A kubelet
    reads one such file; where there is one, the provider's entry is to be put into it."""
    program, configuration = f"{_FOLDER}/bin/{_NAME}", f"{_FOLDER}/credential-providers.yaml"
    text = (
        "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n"
        f"  - name: {_NAME}\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n"
        f"    matchImages: [{json.dumps(host)}]\n    defaultCacheDuration: 0s\n    args: [{json.dumps(host)}]\n"
        f"    tokenAttributes:\n      serviceAccountTokenAudience: {json.dumps(audience)}\n      cacheType: Token\n"
        "      requireServiceAccount: true\n"
    )
    code = files("appliance.access").joinpath("credential_provider.py").read_text(encoding="utf-8")
    commands = (
        f'chmod 0755 "{program}"',
        "command -v python3 >/dev/null || { say 'python3 is missing: the provider needs it'; left=1; }",
        "say 'start the kubelet with both, and again when the configuration changes:'",
        f"say '  --image-credential-provider-bin-dir={_FOLDER}/bin'",
        f"say '  --image-credential-provider-config={configuration}'",
    )
    then = (
        "a kubelet that has such a configuration already reads no second one: put the provider's entry into it, and",
        "the program into its folder. Kubernetes 1.34 or later sends tokens.",
    )
    return Snippet({program: f"#!/usr/bin/env -S python3 -I\n{code}", configuration: text}, commands, then=then)
