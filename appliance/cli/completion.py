"""`lockgate completion`: what Tab offers, in bash, zsh and fish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.shared.context import call, json_option, show
from bundles.errors import LockgateError
from bundles.io.display import safe

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from appliance.control.client import ControlClient

_JOBS: Final = 50
"""Jobs that are offered, the newest."""

_PATIENCE: Final = 2.0
"""Seconds that a station has to name them."""

_VARIABLE: Final = "_LOCKGATE_COMPLETE"
"""By this variable the script asks the program itself, so that what is offered is what this version takes."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
def completion(shell: str, as_json: bool) -> None:
    """Print a script that completes commands, options, choices, keys and files in a shell.

    bash: to /usr/share/bash-completion/completions/lockgate, or sourced from ~/.bashrc. zsh: to a file named _lockgate
    in a folder of $fpath. fish: to ~/.config/fish/completions/lockgate.fish.
    """
    from click.shell_completion import get_completion_class

    from appliance.cli.main import lockgate

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  the choices are those click knows
    # The word ends at the first comma; what is said of it may hold others.
    script = kind(lockgate, {}, "lockgate", _VARIABLE).source().replace('split ","', 'split -m 1 ","')
    show({"shell": shell, "script": script}, as_json, script.rstrip)


_FORMS: Final = ("file:", "oci:", "oci-archive:", "docker-archive:", "dir:")
"""What `collect` takes paths behind."""


class KeyName(click.ParamType[str]):
    """A key's name in the station's key folder, or the path of a key file."""

    name = "key"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names in the folder that -C or LOCKGATE_DIR names; a path once there is a slash in it."""
        from click.shell_completion import CompletionItem

        if "/" in incomplete:
            return [CompletionItem(incomplete, type="file")]
        root = ctx.params.get("root")
        names = sorted(path.stem for path in (Path(root) / "keys").glob("*.pem")) if root else []
        return [CompletionItem(name) for name in names if name.startswith(incomplete) and not name.endswith(".pub")]


class JobId(click.ParamType[str]):
    """A job of the running station; `state`: one in that state."""

    name = "job"

    def __init__(self, state: str = "") -> None:
        self._state = state

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The newest jobs of the station that -C or LOCKGATE_DIR names, each with its kind and state. Nothing where it
        does not answer at once: a key on a keyboard waits for nobody."""
        from click.shell_completion import CompletionItem

        root = ctx.params.get("root")
        try:
            found = call(Path(root) if root else None, self._ask)
        except (LockgateError, OSError, TimeoutError, KeyError, click.ClickException):
            return []
        return [
            CompletionItem(job["id"], help=safe(f"{job['kind']} {job['state']}"))
            for job in found if str(job["id"]).startswith(incomplete)
        ]  # fmt: skip

    async def _ask(self, client: ControlClient) -> list[dict[str, Any]]:
        import asyncio

        async with asyncio.timeout(_PATIENCE):
            answer = await client.get("/v1/jobs", limit=_JOBS, state=self._state)
        jobs: list[dict[str, Any]] = answer["items"]
        return jobs


class Source(click.ParamType[str]):
    """What `collect` takes: a path with its form before it, or a registry's reference."""

    name = "source"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The prefixes, and paths behind them; bash hands over what stands behind the colon alone."""
        from click.shell_completion import CompletionItem

        kind, colon, path = incomplete.partition(":")
        if colon and f"{kind}:" in _FORMS:
            return [CompletionItem(f"{kind}:{found}") for found in _paths(path)]
        kinds = [prefix for prefix in (*_FORMS, "docker://") if prefix.startswith(incomplete)]
        return [CompletionItem(prefix) for prefix in kinds] or [CompletionItem(incomplete, type="file")]


_PLATFORMS: Final = (
    "linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/riscv64", "linux/s390x", "windows/amd64",
)  # fmt: skip


def _paths(begun: str) -> Iterator[str]:
    folder, slash, start = begun.rpartition("/")
    try:
        found = sorted(Path(folder + slash or ".").iterdir())
    except OSError:
        return
    for path in found:
        if path.name.startswith(start):
            yield f"{folder}{slash}{path.name}" + ("/" if path.is_dir() else "")


class PlatformName(click.ParamType[str]):
    """A platform of an index, or several with commas between."""

    name = "platform"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The usual ones, behind those that stand there."""
        from click.shell_completion import CompletionItem

        before, comma, begun = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{one}") for one in _PLATFORMS if one.startswith(begun)]


class SiteName(click.ParamType[str]):
    """A destination that the running station knows."""

    name = "site"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The known sites, where the station runs and says them; Tab never fails."""
        from click.shell_completion import CompletionItem

        from appliance.cli.shared.context import call
        from bundles.errors import LockgateError

        try:
            found = call(ctx.params.get("root"), lambda client: client.get("/v1/sites"))["items"]
        except LockgateError:
            return []
        return [CompletionItem(one["site"]) for one in found if one["site"].startswith(incomplete)]


class LinkName(click.ParamType[str]):
    """What bundles are carried by, of the running station's config.toml: a transfer host, to which a folder may be
    added behind a colon, or a diode. `route` is where the station tells them."""

    def __init__(self, name: str, route: str) -> None:
        self.name, self._route = name, route

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names, each with its address, where the station runs and says them; Tab never fails."""
        from click.shell_completion import CompletionItem

        root = ctx.params.get("root")
        try:
            found = call(Path(root) if root else None, self._ask)
        except (LockgateError, OSError, TimeoutError, KeyError, click.ClickException):
            return []
        return [
            CompletionItem(one["name"], help=safe(one["address"]))
            for one in found if str(one["name"]).startswith(incomplete)
        ]  # fmt: skip

    async def _ask(self, client: ControlClient) -> list[dict[str, Any]]:
        import asyncio

        async with asyncio.timeout(_PATIENCE):
            answer = await client.get(self._route)
        links: list[dict[str, Any]] = answer["items"]
        return links


KEY: Final = KeyName()
HOST: Final = LinkName("host", "/v1/transfer-hosts")
DIODE: Final = LinkName("diode", "/v1/diodes")
REPLICA: Final = LinkName("replica", "/v1/replicas")
JOB: Final = JobId()
JOB_TO_SIGN: Final = JobId("to-sign")
SOURCE: Final = Source()
PLATFORM: Final = PlatformName()
SITE: Final = SiteName()
