"""What a caller may see of things that several routes show: deny by default, and no hint of what was left out.

A repository, its tags and its digests: whoever may pull it. A job's words (what it was asked for, where it stands, what
came of it, its log): whoever started it, and whoever may start its kind or sign for it and may pull all that it names.
Of other people's jobs the rest is shown, so that everybody knows that the station is busy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiohttp import web

from appliance.artifact_choice import Wish
from appliance.control.api import CONTROL, account, caller, may, require
from appliance.jobs.documents import Job
from appliance.jobs.kinds import KINDS
from appliance.patterns import EVERYTHING
from appliance.permissions import Permission
from appliance.selecting.selection import ManyTags
from bundles.errors import LockgateError, UsageError
from bundles.oci.reference import Reference, RemoteReference, check_repository

_ALSO: Final[Mapping[str, Permission]] = {"build": "sign", "import": "quarantine"}
"""Who else has to do with a kind of job: a build's co-signers, and who decides about an import."""

_HIDDEN: Final[dict[str, Any]] = {
    "params": {}, "phase": "", "result": None, "error": None, "actor": "", "to_sign": None,
    "parts": [], "waits_for": [], "dismissed": None,
}  # fmt: skip


def shows(request: web.Request) -> Callable[[str], bool]:
    """Whether the caller may see a repository, by its name."""
    return lambda repository: may(request, "pull", repository)


def shown_prefixes(request: web.Request) -> list[str]:
    """What the name of every repository that the caller may see begins with: a list need not look at the others."""
    return request.app[CONTROL].rules.prefixes(account(request), "pull")


async def require_all(request: web.Request, references: object) -> None:
    """Go on only where the caller may pull every reference of a list, be it there or not; a pattern stands for what the
    caller may pull.

    Raises UsageError for what is no list of texts, MalformedError, RefusedError.
    """
    if not isinstance(references, list) or not all(isinstance(text, str) for text in references):
        raise UsageError("`references` is a list of references")
    for repository in dict.fromkeys(wish.repository for wish in map(Wish.parse, references) if not wish.is_pattern):
        await require(request, "pull", repository)


def may_all(request: web.Request, pattern: str) -> bool:
    """Whether the caller may pull every repository that a pattern covers, be it there or not."""
    who = account(request)
    if who.everything:
        return True
    rules = request.app[CONTROL].rules  # asked of each grant alone: one may not count from where the caller is
    given = [one.pattern for one in who.grants if rules.decide(dataclasses.replace(who, grants=(one,)), "pull")]
    wide = any(one in (EVERYTHING, pattern) or (one.endswith("/**") and pattern.startswith(one[:-2])) for one in given)
    return wide and may(request, "pull")


def concerned(kind: str) -> list[Permission]:
    """The permissions of who has to do with a kind of job."""
    return [KINDS[kind].permission, *([_ALSO[kind]] if kind in _ALSO else [])]


def sees(request: web.Request, job: Job) -> bool:
    """Whether a job's words are the caller's to read."""
    if job.actor == caller(request):
        return True
    return any(may(request, permission) for permission in concerned(job.kind)) and all(
        may_all(request, name) if "*" in name else may(request, "pull", name) for name in _named(job)
    )


def job_view(request: web.Request, job: Job) -> dict[str, Any]:
    """The job as the caller may see it."""
    return job.to_json() if sees(request, job) else job.to_json() | _HIDDEN


def _named(job: Job) -> Iterable[str]:
    """The repositories that a job's params and result name, and the patterns of them."""
    sources = job.params.get("sources", ())
    yield from dict.fromkeys(map(_target, sources if isinstance(sources, list) else ()))
    for document in (job.params, job.result or {}):
        references = document.get("references")
        one = document.get("reference")
        for text in (*(references if isinstance(references, list) else ()), *([one] if isinstance(one, str) else ())):
            try:
                yield Wish.parse(str(text)).repository
            except LockgateError:  # it was refused for that
                continue


def _target(source: object) -> str:
    """The repository that a collect's source goes to; the pattern of all, where only the source itself says it."""
    entry = source if isinstance(source, dict) else {}
    name, reference = entry.get("as"), entry.get("reference")
    try:
        if entry.get("kind") == "tags":
            many, below = ManyTags.parse(str(reference)), None if name is None else check_repository(str(name))
            return many.local(many.repository, below)
        if name:
            return Reference.parse(str(name)).repository
        if entry.get("kind") == "registry":
            return RemoteReference.parse(str(reference)).reference.repository
    except LockgateError:
        pass
    return EVERYTHING
