"""A kubelet's credential provider (credentialprovider.kubelet.k8s.io/v1): gives the pod's service account token as the
password of a log-in at the station, whose token endpoint exchanges it. So a node holds no secret.

It stands alone, on Python's own library, since nodes have nothing else: `lockgate trust snippet kubelet` prints it. It
speaks to nobody. What it reads is one CredentialProviderRequest on standard input, what it prints one
CredentialProviderResponse; a failure is one line on standard error, without the token, and exit status 1.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

_VERSION = "credentialprovider.kubelet.k8s.io/v1"
_MOST = 64 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_TOKEN_MOST = 8 * 1024


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def answer(raw: bytes, host: str) -> dict[str, Any]:
    """The response to a request: the log-in for `host` (HOST:PORT) alone, none for an image of another registry. It is
    not to be cached: the kubelet has a new token for each pull. Raises ValueError."""
    if len(raw) > _MOST:
        raise ValueError(f"the request has more than {_MOST} bytes")
    try:
        request = json.loads(raw.decode(), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("the request is nested too deep") from None
    if not isinstance(request, dict) or request.get("kind") != "CredentialProviderRequest":
        raise ValueError("not a CredentialProviderRequest")
    if request.get("apiVersion") != _VERSION:
        raise ValueError(f"another version than {_VERSION}")
    image, token = request.get("image"), request.get("serviceAccountToken")
    if not isinstance(image, str) or not image:
        raise ValueError("the request names no image")
    auth = {}
    if image.partition("/")[0].lower() == host.lower():
        if not isinstance(token, str) or len(token) > _TOKEN_MOST or _TOKEN.match(token) is None:
            raise ValueError("no service account token: the configuration needs tokenAttributes")
        auth = {host: {"username": "workload", "password": token}}
    return {
        "kind": "CredentialProviderResponse", "apiVersion": _VERSION, "cacheKeyType": "Registry",
        "cacheDuration": "0s", "auth": auth,
    }  # fmt: skip


def main(words: list[str]) -> int:
    """The program: `lockgate-credential-provider HOST:PORT`. Returns the exit status."""
    if len(words) != 1 or not words[0] or words[0].startswith("-"):
        sys.stderr.write("lockgate-credential-provider: usage: lockgate-credential-provider HOST:PORT\n")
        return 1
    try:
        made = answer(sys.stdin.buffer.read(_MOST + 1), words[0])
    except ValueError as error:
        about = "the request is not JSON" if isinstance(error, json.JSONDecodeError | UnicodeError) else str(error)
        sys.stderr.write(f"lockgate-credential-provider: {about}\n")
        return 1
    sys.stdout.write(json.dumps(made) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
