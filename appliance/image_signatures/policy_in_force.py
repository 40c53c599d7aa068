"""What pulls are held against now: the policy for images that is in force, and the keys that are pinned.

Both are files in the station's folder, which people change with or without a running station; the files themselves are
looked at, so that no change is missed, whoever made it. The audit log, which names the policy, is read where the
policy's files changed, and never for a request.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from appliance import clock
from appliance.image_signatures.applied import Applied, load_applied
from appliance.limits import image_signatures as limits
from appliance.paths import StationPaths
from appliance.settings.gates import Gate, Stage
from appliance.settings.image_policy import ImageRule
from bundles.errors import LockgateError, RefusedError
from bundles.signing.trust import TrustFolder

Files = tuple[tuple[str, int, int, int], ...]
"""Of each file of a folder its name, inode, time and size."""
Rules = tuple[tuple[int, ImageRule], ...]
Gates = tuple[tuple[int, Gate], ...]


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A policy and the keys. `fault` says why it is not known what is to be asked: then nothing may be pulled.

    `retry` (time.monotonic) is when a fault is looked into again though no file changed.
    """

    applied: Applied | None = None
    trust: TrustFolder | None = None
    fault: str = ""
    retry: float = 0.0
    policy_files: Files = ()
    trust_files: Files = ()
    _rules: dict[str, Rules] = field(default_factory=dict, repr=False, compare=False)
    _gates: dict[str, Gates] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked of any image at a pull."""
        rules = () if self.applied is None else self.applied.policy.image
        gates = () if self.applied is None else self.applied.policy.gate
        asked = any(rule.mode != "off" for rule in rules) or any(
            gate.mode != "off" and "pull" in gate.at for gate in gates
        )
        return not (self.fault or asked)

    def stage(self, repository: str) -> Stage | None:
        """The stage of a repository. Raises RefusedError where it is not known which policy is in force."""
        if self.fault:
            raise RefusedError(
                f"it is not known what the policy for images says of the repository ({self.fault})", thing=repository,
                remedy="see: lockgate policy explain", code="image-policy",
            )  # fmt: skip
        return None if self.applied is None else self.applied.policy.stage_of(repository)

    def asks(self, repository: str) -> bool:
        """Whether anything is asked of what a repository shows when it is pulled."""
        return bool(self.rules(repository) or self.gates(repository))

    def gates(self, repository: str) -> Gates:
        """The gates about a repository at a pull, with their numbers."""
        found = self._gates.get(repository)
        if found is None:
            if len(self._gates) >= limits.PULL_VERDICTS:
                self._gates.clear()
            found = () if self.applied is None else tuple(self.applied.policy.gates(repository, "pull"))
            self._gates[repository] = found
        return found

    def seconds_to_end(self) -> float:
        """Seconds until the next exception counts no more; infinite where none does."""
        now = clock.micros() / 1_000_000
        exceptions = () if self.applied is None else self.applied.policy.exception
        ends = (clock.seconds(one.until) - now for one in exceptions)
        return min((seconds for seconds in ends if seconds > 0), default=float("inf"))

    def rules(self, repository: str) -> Rules:
        """The rules about a repository, with their numbers."""
        found = self._rules.get(repository)
        if found is None:
            if len(self._rules) >= limits.PULL_VERDICTS:
                self._rules.clear()
            found = () if self.applied is None else tuple(self.applied.policy.rules(repository))
            self._rules[repository] = found
        return found


class Watched:
    """What stands, for who asks again and again: the log is read where a file changed since, and not each time."""

    def __init__(self, paths: StationPaths) -> None:
        self._paths = paths
        self._last: PolicyInForce | None = None

    def now(self) -> PolicyInForce:
        """What stands now. Blocking."""
        self._last = look(self._paths, self._last)
        return self._last


def look(paths: StationPaths, before: PolicyInForce | None) -> PolicyInForce:
    """What stands now; `before` itself where no file changed since. Blocking.

    The files are listed before they are read: what changes meanwhile is another change at the next look.
    """
    policy_files, trust_files = _files(paths.image_policy), _files(paths.trust)
    same = before is not None and (before.policy_files, before.trust_files) == (policy_files, trust_files)
    if before is not None and same and (not before.fault or time.monotonic() < before.retry):
        return before
    try:
        if before is None or before.fault or before.policy_files != policy_files:
            applied = load_applied(paths)
        else:
            applied = before.applied
        found = PolicyInForce(applied, None, policy_files=policy_files, trust_files=trust_files)
        trust = None if found.is_idle else TrustFolder.load(paths.trust)
    except LockgateError as error:
        fault = f"{error.what}: {error.thing}" if error.thing else error.what
        retry = time.monotonic() + limits.PULL_FAULT_RETRY
        return PolicyInForce(fault=fault, retry=retry, policy_files=policy_files, trust_files=trust_files)
    return PolicyInForce(applied, trust, policy_files=policy_files, trust_files=trust_files)


def _files(folder: Path) -> Files:
    """A folder's files, () where it is not there; one that goes meanwhile is one less."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    one = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                found.append((entry.name, one.st_ino, one.st_mtime_ns, one.st_size))
    except OSError as error:
        return (("", error.errno or 0, 0, 0),)
    return tuple(sorted(found))
