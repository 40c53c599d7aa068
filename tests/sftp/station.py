"""A station with transfer hosts, and bundles to carry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from appliance.intake import sftp_pull
from appliance.jobs.kinds import Result
from appliance.outgoing import sftp_list, sftp_push
from appliance.settings.transfer_hosts import TransferHostSettings
from tests.intake.inside import Context, Inside, small_bundle


class Carrying:
    """An inside station that reaches the transfer hosts `hosts`, and trusts what `bundle` makes."""

    def __init__(self, inside: Inside, hosts: dict[str, TransferHostSettings]) -> None:
        self.inside = inside
        config = msgspec.structs.replace(inside.station.config, transfer_hosts=hosts)
        inside.station = replace(inside.station, config=config)

    def bundle(self, root: Path, **changes: Any) -> Path:
        """The folder of a bundle of three volumes, whose signer is trusted here."""
        made = small_bundle(root, **changes)
        self.inside.trust(made.key.public)
        return made.folder

    def push(self, *folders: Path, to: str = "drop", context: Context | None = None) -> Result:
        return sftp_push.run(context or self.pushing(*folders, to=to))

    def pushing(self, *folders: Path, to: str = "drop") -> Context:
        return self.inside.context(paths=[str(folder) for folder in folders], to=to)

    def pulling(self, name: str, out: Path, from_: str = "drop") -> Context:
        return self.inside.context(**{"id": name, "from": from_, "out": str(out)})

    def pull(self, name: str, out: Path, from_: str = "drop") -> Result:
        out.mkdir(exist_ok=True)
        return sftp_pull.run(self.pulling(name, out, from_))

    def list(self, at: str = "drop") -> Result:
        return sftp_list.run(self.inside.context(at=at))


@contextmanager
def carrying(root: Path, **hosts: TransferHostSettings) -> Iterator[Carrying]:
    with Inside(root) as inside:
        yield Carrying(inside, hosts)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def with_secret(context: Context, secret: bytes, **params: Any) -> Context:
    context.params = {**context.params, "secret": True, **params}
    context.secret = lambda: secret  # type: ignore[method-assign]
    return context
