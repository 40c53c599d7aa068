"""A co-signature that joined written media: checked here, and kept in what the build's job says."""

from __future__ import annotations

import asyncio

from appliance.jobs.documents import Job
from appliance.jobs.signatures import PAYLOAD
from appliance.known_keys import find_public_key
from appliance.station import Station
from appliance.store.reads.outgoing import built_bundle
from appliance.store.writes.jobs import AddCosigner
from bundles.errors import NotFoundError, RefusedError
from bundles.oci.digest import Digest


def is_wanted(job: Job) -> bool:
    """Whether the job is a build whose bundle lacks a signature."""
    return job.state == "done" and bool((job.result or {}).get("missing_signers"))


async def check(station: Station, job: Job, keyid: str, signature: bytes) -> AddCosigner:
    """The write that the bundle of a finished build is signed by `keyid` too.

    Raises RefusedError: the bundle does not wait for this key, or the signature is not one over its SHA256SUMS;
    UsageError: the station does not know the key.
    """
    result = job.result or {}
    if keyid not in result["missing_signers"]:
        raise RefusedError("the bundle does not wait for this key", thing=keyid, remedy="sign with a key it names")
    signed = await asyncio.to_thread(_signed_bytes, station, str(result["id"]), Digest.parse(result["digest"]))
    key = await asyncio.to_thread(find_public_key, station.paths, keyid)
    if not key.verify(signed, signature):
        raise RefusedError("the signature does not hold", thing=keyid, remedy="sign the SHA256SUMS of the medium")
    return AddCosigner(id=job.id, keyid=keyid)


def _signed_bytes(station: Station, bundle: str, digest: Digest) -> bytes:
    """The bundle's SHA256SUMS, as its first signer was given it. A build that went on with what an earlier job had
    fixed finds it in that job's folder."""
    built = built_bundle(station.reader, bundle)
    path = station.paths.job(built.job if built else "") / PAYLOAD
    content = path.read_bytes() if built and path.is_file() else b""
    if Digest.of(content) != digest:
        raise NotFoundError(
            "the station no longer holds what was signed", thing=bundle, remedy="ask the medium: verify"
        )
    return content
