"""The pull lane: plain reads that are answered at once, from what is at hand, before aiohttp sees them.

It answers 200 and 304 alone, and only where nothing has to be waited for: the caller's token is known, what is asked
for is shown and not blocked, the policy for images is known to let it pass, its bytes are in memory, and its pull is in
the audit log already. Everything else it leaves to the handlers, having changed and counted nothing; so there is one
place that refuses, and one that fails (docs/adr/0063-a-lane-for-pulls.md). What it answers are the handlers' bytes.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Final, NamedTuple

from aiohttp.helpers import rfc822_formatted_time

from appliance.limits import registry as limits
from appliance.limits import store as store_limits
from appliance.registry.conditional import etag, matches
from appliance.registry.errors import RefusedRequestError
from appliance.registry.plain_head import PlainHead
from appliance.registry.routes import Target, parse
from appliance.registry.worker import Worker
from appliance.store.errors import EngineError
from appliance.store.reads.content import BlobFacts, ManifestFacts
from appliance.store.writes.rows import Kind
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.oci.reference import check_tag

_log: Final = logging.getLogger(__name__)
_TAKEN: Final = frozenset({"manifest", "blob", "tags", "referrers"})
_PLAIN: Final = re.compile(rb"(?:[\x20-\x7e]++\r\n)*+\Z")
_OK: Final = b"HTTP/1.1 200 OK\r\n"
_SAME: Final = b"HTTP/1.1 304 Not Modified\r\n"
_END: Final = (
    "\r\nServer: lockgate\r\nDocker-Distribution-API-Version: registry/2.0\r\nX-Content-Type-Options: nosniff\r\n\r\n"
)


class _Answer(NamedTuple):
    """`head` is without what ends every head. `length` is the body's, which a HEAD does not send. `digest` is what the
    head names, "" where it names none."""

    status: int
    head: bytes
    body: bytes
    length: int
    digest: str = ""


class Lane:
    """One worker's."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._targets: dict[str, Target] = {}
        self._second, self._end = "", b""
        self._cached = worker.services.pull_through.caches.prefixes
        """Repositories that the handlers look after: what a tag stands at there, an upstream may have to say."""

    def answer(self, head: PlainHead, address: str, *, behind: bool = False) -> bytes | None:
        """The whole answer to a plain read from an address, counted and logged, or None where the handlers are to
        answer it. `behind`: it came behind another request in the same bytes."""
        try:
            return self._answer(head, address, behind)
        except (LockgateError, RefusedRequestError, EngineError):
            return None  # the handlers meet the same, and say what it is
        except Exception:
            _log.exception("the lane for pulls failed; the handlers answer")
            return None

    def _answer(self, head: PlainHead, address: str, behind: bool) -> bytes | None:
        begun = time.perf_counter()
        target = self._target(head.target.partition("?")[0])
        services = self._worker.services
        passed = services.access.glance(head.fields, address, target.name)
        if target.resource not in _TAKEN or passed is None or target.name.startswith(self._cached):
            return None
        self._worker.kept.look(anew=behind)
        answer = self._find(head, target)
        if answer is None or len(answer.body) > limits.LANE_BODY or not _PLAIN.match(answer.head):
            return None
        is_manifest = target.resource == "manifest"
        if is_manifest and head.method == "GET" and answer.status == 200:
            thing = f"{target.name}@{answer.digest}"
            if not self._worker.pulls.again(passed.actor or "anonymous", thing, address):
                return None
        # From here on it is answered.
        services.access.spend(passed)
        measures = self._worker.measures
        if is_manifest and answer.status == 200:
            measures.manifest_read(True)
        sent, is_known = head.fields.authorization, bool(passed.actor)
        measures.read(head.method, answer.status, sent, is_known, target, answer.length, begun)
        watch = self._worker.watch
        if watch is not None:
            watch.read(head, address, passed.actor, target, answer.digest, answer.status, answer.length, begun)
        body = answer.body if head.method == "GET" else b""
        return b"".join((_OK if answer.status == 200 else _SAME, answer.head, self._date(), body))

    def _target(self, path: str) -> Target:
        """Raises RefusedRequestError."""
        target = self._targets.get(path)
        if target is None:
            if len(self._targets) >= store_limits.ROWS_KNOWN:
                self._targets.clear()
            target = self._targets[path] = parse(path)
        return target

    def _find(self, head: PlainHead, target: Target) -> _Answer | None:
        if target.resource == "manifest":
            return self._manifest(head, target)
        if target.resource == "blob":
            return self._blob(head, target)
        page = self._worker.kept.pages.get(head.target)
        return None if page is None else _Answer(200, *page, len(page[1]))

    def _manifest(self, head: PlainHead, target: Target) -> _Answer | None:
        facts = self._shown_manifest(target)
        if facts is None or not self._stands(target, facts.digest):
            return None
        text = str(facts.digest)
        named = f"Docker-Content-Digest: {text}\r\nETag: {etag(facts.digest)}\r\n"
        if matches(head.fields.if_none_match, facts.digest):
            return _Answer(304, named.encode(), b"", 0, text)
        found = self._worker.manifests.get(facts.digest)
        if found is None:
            return None
        body, kind = found.body, f"Content-Type: {found.media_type or facts.media_type}\r\n"
        length = f"Content-Length: {len(body)}\r\n"
        lines = kind + length if head.method == "GET" else length + kind
        return _Answer(200, (named + lines).encode(), body, len(body), text)

    def _shown_manifest(self, target: Target) -> ManifestFacts | None:
        """What the repository shows under the reference, if nobody has blocked it."""
        kept, metadata = self._worker.kept, self._worker.services.metadata
        facts = kept.manifests.get((target.name, target.reference))
        if facts is not None:
            return facts
        if ":" in target.reference:
            facts = metadata.linked_manifest(target.name, Digest.parse(target.reference))
        else:
            facts = metadata.tagged_manifest(target.name, check_tag(target.reference))
        if facts is None or metadata.blocked(facts.digest) is not None:
            return None
        kept.keep_manifest(target.name, target.reference, facts)
        return facts

    def _blob(self, head: PlainHead, target: Target) -> _Answer | None:
        facts = self._shown_blob(target)
        if facts is None or not self._stands(target, facts.digest):
            return None
        text, size = str(facts.digest), facts.size
        named = f"Docker-Content-Digest: {text}\r\nETag: {etag(facts.digest)}\r\nAccept-Ranges: bytes\r\n"
        kind, length = "Content-Type: application/octet-stream\r\n", f"Content-Length: {size}\r\n"
        is_known = matches(head.fields.if_none_match, facts.digest)
        if head.method == "HEAD":
            if not self._is_whole(facts):
                return None
            return (
                _Answer(304, named.encode(), b"", 0, text)
                if is_known
                else _Answer(200, (named + length + kind).encode(), b"", size, text)
            )
        if is_known:
            return _Answer(304, named.encode(), b"", 0, text)
        body = self._worker.small.get(facts.digest)
        if body is None or len(body) != size:
            return None
        return _Answer(200, (named + kind + length).encode(), body, size, text)

    def _shown_blob(self, target: Target) -> BlobFacts | None:
        """As `_shown_manifest`."""
        kept, metadata = self._worker.kept, self._worker.services.metadata
        facts = kept.blobs.get((target.name, target.reference))
        if facts is not None:
            return facts
        digest = Digest.parse(target.reference)
        facts = metadata.linked_blob(target.name, digest)
        if facts is None or metadata.blocked(digest) is not None:
            return None
        kept.keep_blob(target.name, target.reference, facts)
        return facts

    def _is_whole(self, facts: BlobFacts) -> bool:
        return self._worker.services.blobs.seems_whole(facts.digest, facts.size)

    def _stands(self, target: Target, digest: Digest) -> bool:
        policy = self._worker.services.pull_policy
        if policy.is_idle():
            return True
        kind: Kind = "manifest" if target.resource == "manifest" else "blob"
        return policy.stands(target.name, digest, kind, self._worker.kept.change_of(target.name))

    def _date(self) -> bytes:
        """The lines that end every head."""
        now = rfc822_formatted_time()
        if now != self._second:
            self._second, self._end = now, f"Date: {now}{_END}".encode()
        return self._end
