"""The `scan` job: an SBOM of the station's own of each image that has none, so that nobody else's word counts.

The document is held against advisories from the index, and not kept as a referrer: a scan changes nothing that the
station serves. A scan that an outside begins by itself of what came in (appliance.control.push_scans) keeps it as a
referrer, as a build does, which then has none to make, and holds it against the content rules where a gate asks them.
Inside nothing is shown that nobody released.
"""

from __future__ import annotations

from collections.abc import Collection

from appliance.advisories.seals import DAMAGED, index_key
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.jobs.kinds import JobContext, Result
from appliance.outgoing.sbom.index import index_write, unreadable
from appliance.outgoing.sbom.make import attach, describe
from appliance.outgoing.sbom.syft import Sbom, UndescribedError
from appliance.scanning.content_scan import is_asked, scan_content
from appliance.scanning.images import images_of
from appliance.scanning.malware_scan import scan_for_malware
from appliance.station import Station
from appliance.store.reads.components import packages_of, sboms_of, shown_in
from appliance.store.writes.components import ForgetSbom
from bundles.errors import LockgateError, UsageError
from bundles.oci.digest import Digest
from bundles.oci.kinds import CYCLONEDX
from bundles.oci.reference import Reference


def run(context: JobContext) -> Result:
    """Describe the images behind each of `params["references"]`; with `params["again"]` those too that have an SBOM of
    the station's own. With `params["malware"]` look through them for malware instead, with `params["content"]` hold
    them against the content rules.

    The result: images (how many), made, failed [{image, why}]; or malware, as of `scan_for_malware`, or content, as of
    `scan_content`. Raises as these,
    `images_of` and `describe`.
    """
    station, references = context.station, context.params["references"]
    if not isinstance(references, list) or not references or not all(isinstance(one, str) for one in references):
        raise UsageError("`references` is a list of references")
    thing = ", ".join(references)[:160]
    try:
        images = dict[Digest, None]()
        for text in references:
            _, found = images_of(station, Reference.parse(text))
            images |= dict.fromkeys(one.digest for one in found if one.held)
        if context.params.get("malware"):
            return {"malware": scan_for_malware(context, thing, images)}
        if context.params.get("content"):
            return {"content": scan_content(context, thing, images)}
        if context.params.get("kept") and is_asked(station):
            scan_content(context, thing, images)
        kept = bool(context.params.get("kept")) and station.config.side == "outside"
        return scan_images(context, thing, images, again=bool(context.params.get("again")), kept=kept)
    except LockgateError as error:
        context.record_failure(Act.SCAN, thing, error)
        raise


def scan_images(
    context: JobContext, thing: str, images: Collection[Digest], *, again: bool = False, kept: bool = False
) -> Result:
    """Describe images that are in the store, whether something shows them or not, and that have no SBOM of the
    station's own; with `again` those too that have one. `thing` is what the event names. `kept`: an SBOM becomes a
    referrer where the image is shown and has none. The result is `run`'s."""
    station, failed, made = context.station, list[dict[str, str]](), 0
    key = index_key(station.paths)

    def keep(image: Digest, sbom: Sbom | UndescribedError) -> None:
        nonlocal made
        if isinstance(sbom, UndescribedError):
            failed.append({"image": str(image), "why": sbom.what})
            context.log(f"[!!] {image}: {sbom.what}; {sbom.remedy}")
            station.writer.submit(unreadable(key, str(image), f"none:{image}", sbom.what, "own"))
            return
        made += 1
        bare = _bare(station, image) if kept else []
        for repository in bare:
            attach(context, repository, image, sbom)
        if not bare:
            station.writer.submit(index_write(key, str(image), str(Digest.of(sbom.document)), sbom.document, "own"))
        context.log(f"{image}: described by {sbom.tool}")

    for image in images:
        for one in sboms_of(station.reader, key, str(image)):
            if packages_of(station.reader, one) is None:
                context.log(f"[!!] {image}: {DAMAGED}; they are made anew")
                station.writer.submit(ForgetSbom(number=one.number))
    waiting = [image for image in images if again or not _described(context, key, image)]
    if waiting:
        detail = {"images": [str(image) for image in waiting]}
        with context.recording(AuditEvent(Act.SCAN, context.actor, thing, "done", detail)):
            describe(context, waiting, keep)
    return {"images": len(images), "made": made, "failed": failed}


def _bare(station: Station, image: Digest) -> list[str]:
    """The repositories that show an image and no SBOM of it, in the form that a build carries."""
    names = dict.fromkeys(name for name, _ in shown_in(station.reader, str(image)))
    return [name for name in names if not station.metadata.referrers(name, image, 1, artifact_type=CYCLONEDX)]


def _described(context: JobContext, key: bytes, image: Digest) -> bool:
    listed = sboms_of(context.station.reader, key, str(image))
    return any(one.origin == "own" and one.state == "indexed" for one in listed)
