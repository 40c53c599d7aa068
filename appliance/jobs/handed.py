"""What a request for a job handed over: kept in the job's folder, and passed to its process."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from appliance.artifact_choice import Chosen, save_chosen
from appliance.handles.granted import Grant, save_grants
from appliance.handles.kept_statement import save_statement
from appliance.handles.secrets import SECRET_ROOT
from bundles.documents.statement import StatementFiles


@dataclass(slots=True)
class Handed:
    """The grants of a job, their descriptors (root, whether it writes, number), and the document that came with it."""

    grants: list[Grant] = field(default_factory=list)
    descriptors: list[tuple[str, bool, int]] = field(default_factory=list)
    told: StatementFiles | None = None
    chosen: list[Chosen] | None = None
    """What a build's patterns stand for (appliance.artifact_choice)."""

    def add_secret(self, descriptor: int) -> None:
        """Take the descriptor of a secret (appliance.handles.secrets) too. It is lost with this process: nothing of it
        is kept in the job's folder."""
        self.descriptors.append((*SECRET_ROOT, descriptor))

    def save(self, folder: Path) -> None:
        """Keep what must outlive this process in the job's folder. Raises FailedError."""
        save_grants(folder, self.grants)
        if self.told is not None:
            save_statement(folder, self.told)
        if self.chosen is not None:
            save_chosen(folder, self.chosen)

    def by_root(self) -> dict[tuple[str, bool], int]:
        """The descriptors as `Granted` takes them; they are given up."""
        return {(root, writes): number for root, writes, number in self.give_up()}

    def give_up(self) -> list[tuple[str, bool, int]]:
        """The descriptors, which are the caller's from now on."""
        given, self.descriptors = self.descriptors, []
        return given

    def close(self) -> None:
        """Close what was not given up."""
        for _, _, descriptor in self.give_up():
            os.close(descriptor)
