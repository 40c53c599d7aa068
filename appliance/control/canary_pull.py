"""Pulls an image as a client of the registry does: log-in, manifests, configuration and layers, each byte hashed.

A door is one way into the station: its listener, or a worker's own socket. Nothing else is connected to: of where a
token is to be had, only the path counts. Blocking.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import urlencode, urlsplit

from appliance.limits import station as limits
from bundles import limits as bundle_limits
from bundles.errors import LockgateError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest, new_hasher
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.reference import Reference

_BLOCK: Final = 128 * 1024
_PARAMETER: Final = re.compile(r'([a-z]+)="([^"\\]{0,500})"')


@dataclass(frozen=True, slots=True)
class Door:
    """A way into the station: `listener`, or `worker-N`. `connect` returns a connected socket, or raises OSError."""

    name: str
    connect: Callable[[], socket.socket]


@dataclass(frozen=True, slots=True)
class Secured:
    """What TLS is held against: `host` is the name that is asked for, "" for none."""

    context: ssl.SSLContext
    host: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is pulled, and as whom: `basic` is `NAME:SECRET`, None for nobody; `secured` None for plain HTTP."""

    reference: Reference
    basic: bytes | None = None
    secured: Secured | None = None


@dataclass(frozen=True, slots=True)
class Pulled:
    """How the pull through a door ended: `reason` is one of catalogue.PROBES, of which `detail` says more. `bytes` came
    in `seconds`."""

    door: str
    reason: str
    detail: str
    seconds: float
    bytes: int

    @property
    def ok(self) -> bool:
        """Whether the whole image came, and was what its digests say."""
        return self.reason == "ok"


class _EndError(Exception):
    """Ends a pull."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def pull(door: Door, wanted: Wanted) -> Pulled:
    """Pull the whole image through a door. Raises nothing."""
    begun = time.monotonic()
    asking = _Asking(door, wanted, begun + limits.PROBE_TIME)
    reason, detail = "ok", ""
    try:
        asking.pull()
    except _EndError as error:
        reason, detail = error.reason, error.detail
    except TimeoutError:
        over = time.monotonic() - begun >= limits.PROBE_TIME
        said = f"not done within {limits.PROBE_TIME:.0f} s" if over else f"silent for {limits.PROBE_SILENCE:.0f} s"
        reason, detail = "time", said
    except ssl.SSLCertVerificationError as error:
        reason, detail = "tls", error.verify_message
    except ssl.SSLError as error:
        reason, detail = "tls", str(error.reason or error).replace("_", " ").lower()
    except (http.client.HTTPException, LockgateError, ValueError, RecursionError) as error:
        reason, detail = "answer", str(error) or type(error).__name__
    except OSError as error:
        reason, detail = "connect", error.strerror or str(error)
    finally:
        asking.close()
    return Pulled(door.name, reason, detail[:200], time.monotonic() - begun, asking.bytes)


class _Connection(http.client.HTTPConnection):
    """A connection through a door."""

    def __init__(self, door: Door, secured: Secured | None) -> None:
        super().__init__("localhost", timeout=limits.PROBE_SILENCE)
        self._door, self._secured = door, secured

    def connect(self) -> None:
        """As HTTPConnection.connect."""
        found = self._door.connect()
        found.settimeout(limits.PROBE_SILENCE)
        if self._secured is not None:
            try:
                name = self._secured.host or None
                found = self._secured.context.wrap_socket(found, server_hostname=name)
            except BaseException:
                found.close()
                raise
        self.sock = found


class _Asking:
    """One pull through one door."""

    def __init__(self, door: Door, wanted: Wanted, deadline: float) -> None:
        self._connection = _Connection(door, wanted.secured)
        self._wanted, self._deadline = wanted, deadline
        self._authorization = ""
        self._last: http.client.HTTPResponse | None = None
        self.bytes = 0

    def close(self) -> None:
        self._connection.close()

    def pull(self) -> None:
        reference = self._wanted.reference
        raw, kind = self._manifest(str(reference.digest or reference.tag))
        manifest = parse_manifest(raw, kind)
        if manifest.is_index:
            manifest = self._child(manifest)
        for blob in manifest.blobs:
            self._blob(blob)

    def _child(self, index: Manifest) -> Manifest:
        """The first manifest of an index that is here: a client pulls one platform, and others may not be carried."""
        for child in index.manifests[: limits.PROBE_CHILDREN]:
            try:
                raw, kind = self._manifest(str(child.digest))
            except _EndError as error:
                if error.reason == "name":
                    continue
                raise
            found = parse_manifest(raw, kind)
            return self._child(found) if found.is_index else found
        raise _EndError("name", "the station holds no image of this index")

    def _manifest(self, reference: str) -> tuple[bytes, str]:
        path = f"/v2/{self._wanted.reference.repository}/manifests/{reference}"
        answer = self._get(path, {"Accept": ", ".join(sorted(MANIFEST_TYPES))})
        raw = answer.read(bundle_limits.OCI_MANIFEST + 1)
        self._count(len(raw))
        if len(raw) > bundle_limits.OCI_MANIFEST:
            raise _EndError("large", "a manifest is larger than any may be")
        # Of a tag the station says which digest it stands at; a client believes that.
        said = reference if ":" in reference else answer.headers.get("Docker-Content-Digest", "")
        digest = Digest.parse(said)
        if Digest.of(raw, digest.algorithm) != digest:
            raise _EndError("digest", f"{digest}: what came is something else")
        return raw, answer.headers.get("Content-Type", "").partition(";")[0].strip()

    def _blob(self, blob: Descriptor) -> None:
        self._expect(blob.size)
        answer = self._get(f"/v2/{self._wanted.reference.repository}/blobs/{blob.digest}", {})
        hashed = new_hasher(blob.digest.algorithm)
        while block := answer.read(_BLOCK):
            hashed.update(block)
            self._count(len(block))
        if hashed.hexdigest() != blob.digest.hex:
            raise _EndError("digest", f"{blob.digest}: what came is something else")

    def _expect(self, size: int) -> None:
        if self.bytes + size > limits.PROBE_BYTES:
            most = limits.PROBE_BYTES // 1_000_000
            raise _EndError("large", f"a canary has at most {most} MB: name a smaller image")

    def _count(self, more: int) -> None:
        self._expect(more)
        self.bytes += more
        self._require_time()

    def _require_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise TimeoutError

    def _get(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """The answer with status 200, after a log-in where one is asked for. Raises _EndError."""
        answer = self._ask(path, headers)
        if answer.status == 401 and not self._authorization:
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.read(limits.PROBE_ANSWER)
            self._authorization = self._log_in(challenge)
            answer = self._ask(path, headers)
        if answer.status != 200:
            _refused(answer)
        return answer

    def _ask(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        self._require_time()
        sent = {"User-Agent": "lockgate-probe", **headers}
        if self._authorization:
            sent["Authorization"] = self._authorization
        if self._last is not None and not self._last.isclosed():  # an error that was not read to its end
            self._connection.close()
        self._connection.request("GET", path, headers=sent)
        self._last = self._connection.getresponse()
        return self._last

    def _log_in(self, challenge: str) -> str:
        """A bearer token for just this image, from the station's own token service."""
        asked = dict(_PARAMETER.findall(challenge))
        if not challenge.startswith("Bearer ") or "realm" not in asked:
            raise _EndError("token", "the station asks for a log-in of another kind")
        if self._wanted.basic is None:
            raise _EndError("token", "the image is not for everybody: set account in [probe] of config.toml")
        path = urlsplit(asked["realm"]).path or "/"
        query = {"service": asked.get("service", ""), "scope": f"repository:{self._wanted.reference.repository}:pull"}
        basic = base64.b64encode(self._wanted.basic).decode()
        self._authorization = f"Basic {basic}"
        answer = self._ask(f"{path}?{urlencode(query)}", {})
        self._authorization = ""
        raw = answer.read(limits.PROBE_ANSWER)
        if answer.status != 200:
            wrong = answer.status in (401, 403)
            raise _EndError("token" if wrong else "answer", f"the log-in was answered {answer.status}")
        token = json.loads(raw).get("token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise _EndError("answer", "the log-in brought no token")
        return f"Bearer {token}"


_MEANS: Final = {401: "token", 403: "denied", 404: "name"}


def _refused(answer: http.client.HTTPResponse) -> NoReturn:
    """Raise what a status other than 200 means, with the registry's own words."""
    raw = answer.read(limits.PROBE_ANSWER)
    said = ""
    with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
        first = json.loads(raw)["errors"][0]
        said = f" {first['code']}: {first['message']}"
    raise _EndError(_MEANS.get(answer.status, "answer"), f"answered {answer.status}{said}")
