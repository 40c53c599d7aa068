"""`lockgate`: the table of commands. A command's code is loaded when it is called, so that help is quick."""

from __future__ import annotations

import importlib
import os
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from bundles.errors import EXIT_FAILED, EXIT_USAGE, LockgateError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "init": ("appliance.cli.station.init:init", "Make a station's data folder, config.toml and keys"),
    "config": ("appliance.cli.station.config:config", "The station's config.toml: check"),
    "serve": ("appliance.cli.station.serve:serve", "Run the station: registry and control socket"),
    "close": ("appliance.cli.station.close:close", "Make an open station a closed one"),
    "console": ("appliance.cli.station.console:console", "The console"),
    "status": ("appliance.cli.station.status:status", "The station at a glance"),
    "doctor": ("appliance.cli.station.doctor:doctor", "Examine what the station relies on, and say what to do"),
    "key": ("appliance.cli.keys.group:key", "Keys: create, list, export, trust, change, untrust, revoke"),
    "collect": ("appliance.cli.store.collect:collect", "Bring artifacts into the station's registry"),
    "warm": ("appliance.cli.store.warm:warm", "Fill caches before clients ask"),
    "bundle": ("appliance.cli.bundle.group:bundle", "Bundles: build, sign, verify, inspect, unpack"),
    "site": ("appliance.cli.bundle.site:site", "Known destinations: add, list, remove"),
    "intake": ("appliance.cli.intake.group:intake", "Bring a bundle in: import, show, approve, reject, release"),
    "sftp": ("appliance.cli.transfer.sftp:sftp", "Carry bundles by SFTP: hosts, list, push, pull, watch"),
    "diode": ("appliance.cli.transfer.diode:diode", "Carry bundles over one-way links: list, send, receive"),
    "replica": ("appliance.cli.transfer.replica:replica", "Follow other stations: list, status, sync"),
    "receipt": ("appliance.cli.intake.receipt:receipt", "Receipts: export, read"),
    "media": ("appliance.cli.store.media:media", "Media that are mounted"),
    "repo": ("appliance.cli.store.repo:repo", "Repositories: list, tags, show, delete, copy, promote"),
    "sign": ("appliance.cli.store.sign:sign", "Sign an image with one's own key"),
    "attest": ("appliance.cli.store.attest:attest", "Say something about an image, signed with one's own key"),
    "signature": ("appliance.cli.store.signature:signature", "Image signatures: list"),
    "scan": ("appliance.cli.store.scan:scan", "Vulnerabilities of what is served: scan REF, scan find ID"),
    "sbom": ("appliance.cli.store.sbom:sbom", "What an artifact is made of: show, diff; where a package is: find"),
    "advisories": ("appliance.cli.store.advisories:advisories", "Advisories: load, list, remove"),
    "policy": ("appliance.cli.keys.image_policy:policy", "The policy for images: check, apply, test, explain, diff"),
    "exception": ("appliance.cli.keys.exceptions:exception", "Exceptions from gates: request, approve, list"),
    "file": ("appliance.cli.store.file:file", "Files that were collected: get one back"),
    "chart": ("appliance.cli.store.chart:chart", "Helm charts: the images that one names"),
    "gc": ("appliance.cli.store.gc:gc", "Take away what nothing shows"),
    "scrub": ("appliance.cli.store.scrub:scrub", "Read every blob, withdraw what is damaged"),
    "restore": ("appliance.cli.store.restore:restore", "Say that the station's folder was put back from a copy"),
    "rebuild": ("appliance.cli.store.rebuild:rebuild", "Restore an outside's lost database from blobs and log"),
    "migrate": ("appliance.cli.store.migrate:migrate", "Move the metadata into PostgreSQL, or back into the folder"),
    "block": ("appliance.cli.store.block:block", "Blocked content: add, remove, list"),
    "user": ("appliance.cli.people.user:user", "Accounts: claim, create, list, password, log in and out"),
    "role": ("appliance.cli.people.role:role", "Roles: list, grant, withdraw, explain"),
    "token": ("appliance.cli.people.token:token", "Robots' secrets and log-ins: create, rotate, list, revoke"),
    "trust": ("appliance.cli.keys.client_trust:trust", "What clients need so that they trust this station"),
    "tls": ("appliance.cli.keys.client_trust:tls", "The server's certificate: show, renew, reload"),
    "job": ("appliance.cli.station.job:job", "Jobs: list, show, watch, log, cancel"),
    "audit": ("appliance.cli.station.audit:audit", "The audit log"),
    "report": ("appliance.cli.station.report:report", "What a week, a month or a quarter came to"),
    "top": ("appliance.cli.station.top:top", "What the registry is doing just now, by account and repository"),
    "metrics": ("appliance.cli.station.metrics:metrics", "What monitoring loads: rules, dashboard"),
    "probe": ("appliance.cli.keys.probe:probe", "Pull a canary image through every door of the registry"),
    "webhook": ("appliance.cli.station.webhook:webhook", "Endpoints that are told of acts: list, replay"),
    "guide": ("appliance.cli.station.guide:guide", "Each role's way, command by command"),
    "completion": ("appliance.cli.completion:completion", "What Tab offers: bash, zsh, fish"),
}


_MAY_BE_EMPTY: Final = frozenset({
    "--after", "--authorisation", "--classification", "--filter", "--for", "--full-name", "--note", "--owner",
    "--seal", "--serial", "--why", "--witness",
})  # fmt: skip
"""Options whose value is a text for people, or is checked for being there. Any other bounds or checks something: with
an empty value, of a variable that is not set, it would bound nothing (`--on`), or check nothing (`--expect-head`)."""


class LazyGroup(click.Group):
    """A group whose commands are `module:attribute` with a line of help each."""

    def __init__(self, *args: Any, table: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As ever, but for words that no path, reference or name can be: an empty one, and one with a NUL, at which the
        system ends a path. An option's value may be empty where it is one of _MAY_BE_EMPTY. An option that takes one
        value is given once, or twice with the same: click would take the last and leave the others out unsaid."""
        if any("\0" in word for word in args):
            raise click.UsageError("an argument holds a NUL character")
        blank = any(not word or (word.startswith("--") and word.endswith("=")) for word in args)
        if blank and not extra.get("resilient_parsing"):
            valued = self._valued(args)
            for at, (before, word) in enumerate(pairwise(["lockgate", *args])):
                option = before if not word else word[:-1] if word.endswith("=") else ""
                if option in valued and option not in _MAY_BE_EMPTY:
                    raise UsageError(
                        "an option's value is empty",
                        thing=f"{option} ''",
                        remedy="give a value, or leave the option out; a variable may not be set",
                    )
                if not word and before not in valued:
                    raise UsageError(
                        "an argument is empty",
                        thing=f"{' '.join(['lockgate', *args[:at]])[:168]} ''",
                        remedy="name it; a variable may not be set",
                    )
        names = [word.partition("=")[0] for word in args if word.startswith("-")]
        if len(set(names)) < len(names) and not extra.get("resilient_parsing"):
            self._require_once(args)
        return super().make_context(info_name, args, parent, **extra)

    def _require_once(self, args: list[str]) -> None:
        """Raises UsageError naming an option for one value that has two."""
        words, given = iter(args), dict[str, str]()
        valued, single = self._valued(args), self._valued(args, many=False)
        for word in words:
            if word == "--":
                return
            name, equals, value = word.partition("=")
            if name not in valued:
                continue
            value = value if equals else next(words, "")
            if name in single and given.setdefault(name, value) != value:
                raise UsageError(
                    "an option that takes one value has two", thing=f"{name} {given[name]} {name} {value}"[:168],
                    remedy="give the one that is meant",
                )  # fmt: skip

    def _valued(self, args: list[str], *, many: bool = True) -> set[str]:
        """The options of the command in `args` behind which a value stands; without `many` those that are given
        once."""
        command: click.Command = self
        for word in args:
            below = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
            if below is None:
                break
            command = below
        options = [one for one in command.get_params(click.Context(command)) if isinstance(one, click.Option)]
        return {name for one in options if not one.is_flag and (many or not one.multiple) for name in one.opts}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands as the table says them: Tab loads no command's code before one was chosen."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=help_) for name, (_, help_) in self._table.items()]
        return [
            *(item for item in found if item.value.startswith(incomplete)),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in self._table.items()])


@click.command(cls=LazyGroup, table=COMMANDS, name="lockgate", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lockgate", prog_name="lockgate")
def lockgate() -> None:
    """Carry software across an air gap: collect, build and sign outside; verify, approve and serve inside.

    Every command takes -C DIR (or LOCKGATE_DIR) and --json. Exit status: 0 done, 1 failed, 2 usage, 3 refused,
    4 incomplete.
    """


def main() -> NoReturn:
    """The command's entry: errors as one line on stderr, and the exit status that goes with them."""
    try:
        lockgate.main(prog_name="lockgate", standalone_mode=False)
        sys.stdout.flush()
        status = 0
    except click.exceptions.Exit as end:
        status = end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        _say(_none_given(error))
        status = EXIT_USAGE
    except click.exceptions.NoSuchCommand as error:
        from appliance.cli.shared.suggest import unknown_command

        told = unknown_command(lockgate, error)
        _say(told.diagnostics())
        status = told.exit_status
    except click.ClickException as error:
        # The options that click itself offers are far from what was meant.
        said = error.message if isinstance(error, click.NoSuchOption) else error.format_message()
        said = said.replace("is not a valid integer range", "is not a whole number")
        said = said.replace("is not a valid integer", "is not a whole number")
        said = said.replace("is not a valid float range", "is not a number")
        said = said.replace("Directory '", "'").replace("File '", "'")
        _say(" ".join(said.split()).rstrip(".") + _hint(error))
        status = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        status = EXIT_FAILED
    except LockgateError as error:
        _say(error.diagnostics())
        status = error.exit_status
    except PermissionError as error:  # in a command that works on a folder: whoever calls is not its owner
        _say(f"permission denied: {error.filename}; call as the system account that owns it")
        status = EXIT_FAILED
    except BrokenPipeError:
        from bundles.io.output import discard

        discard()
        status = EXIT_FAILED
    except MemoryError:
        _say("no memory is left; raise the limit on it (ulimit -v, MemoryMax), then run the command again")
        status = EXIT_FAILED
    except Exception as error:
        from bundles.io.output import undelivered
        from bundles.io.typed_paths import usage_of

        unwritten = undelivered() if isinstance(error, OSError) else None
        if (wrong := unwritten or usage_of(error)) is not None:
            _say(wrong.diagnostics())
            raise SystemExit(wrong.exit_status) from None
        _say(f"an internal error; its details are in {_keep_traceback()}")
        status = EXIT_FAILED
    raise SystemExit(status)


def _none_given(error: click.exceptions.NoArgsIsHelpError) -> str:
    """What is said of `lockgate`, or of a group, alone: what may stand behind it."""
    context = error.ctx
    if context is None or context.command is lockgate or not isinstance(context.command, click.Group):
        return "no command was given; see: lockgate --help, lockgate guide"
    names = ", ".join(context.command.list_commands(context))
    return f"no command was given: {context.command_path}; use one of {names}; see: {context.command_path} --help"


def _hint(error: click.ClickException) -> str:
    """What is said behind click's own text: what was probably meant, and the command whose help says more."""
    from appliance.cli.shared.suggest import argument_meant, called, close_choice, option_meant

    context = getattr(error, "ctx", None)
    if context is None:  # click's parser names no command
        return f"; see: {called(lockgate, sys.argv[1:])} --help"
    meant = ""
    if isinstance(error, click.NoSuchOption):
        if context.command is lockgate:
            if error.option_name in ("-v", "-V"):
                return "; did you mean: lockgate --version"
            return "; an option stands behind its command: lockgate COMMAND -C DIR --json"
        if isinstance(context.command, click.Group):
            return f"; an option stands behind its command: {context.command_path} COMMAND {error.option_name}"
        meant = option_meant(context.command, error)
    elif isinstance(error, click.BadParameter):
        meant = close_choice(error)
    elif isinstance(error, click.UsageError):
        meant = argument_meant(error)
    return f"; {f'did you mean {meant}? ' if meant else ''}see: {context.command_path} --help"


def _say(text: str) -> None:
    from bundles.io.display import safe

    click.echo(f"lockgate: {safe(text)}", err=True)


def _keep_traceback() -> str:
    """The traceback in a file that only this account can read."""
    import tempfile
    import traceback

    descriptor, path = tempfile.mkstemp(prefix="lockgate-error-", suffix=".txt")
    with os.fdopen(descriptor, "w") as file:
        file.write(traceback.format_exc())
    return path


if __name__ == "__main__":
    main()
