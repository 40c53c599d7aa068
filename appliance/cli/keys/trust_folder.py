"""`lockgate key ceremony | policy | review | export-trust`: what a station believes, for officers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.audit.acts import Act
from appliance.cli.keys.widening import confirm_widening, widen_option
from appliance.cli.shared.context import folder_option, json_option, require_ungiven, show, station_root
from bundles import limits
from bundles.io.display import some

if TYPE_CHECKING:
    from bundles.signing.keys import PublicKey


def warn_of_sources(station: Path, purpose: str, sites: tuple[str, ...]) -> None:
    """Say on stderr where approvals.toml lets a site write nothing: its bundles would be refused at the release."""
    from appliance.paths import StationPaths
    from appliance.settings.approvals import load_policy
    from bundles.errors import LockgateError

    if purpose != "bundle":
        return
    try:
        sources = load_policy(StationPaths(station).approvals).sources
    except LockgateError:  # `serve` and `config check` say what is wrong with it
        return
    for site in sites if sources else ():
        if not any(one.site == site and one.repositories for one in sources):
            click.echo(
                f"[!!] [[sources]] of approvals.toml lets {site} write no repository: its bundles will not be released"
                " until it is named there",
                err=True,
            )


def public_half(station: Path, file: Path) -> PublicKey:
    """The public key in a file. Raises UsageError: no key, or the name of a key in the station's key folder."""
    from appliance.paths import StationPaths
    from bundles.errors import UsageError
    from bundles.signing.keys import PUBLIC_SUFFIX, load_public

    name = str(file)
    if not file.exists() and "/" not in name and (StationPaths(station).keys / f"{name}{PUBLIC_SUFFIX}").exists():
        raise UsageError(
            "a key's name, and a file is asked for",
            thing=name,
            remedy=f"make it: lockgate key export {name} --out FILE",
        )
    return load_public(file)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--purpose", required=True, help="bundle, release, receipt, image, audit, verdict, backup or update.")
@click.option("--owner", required=True, metavar="WHO", help="Whose key it is.")
@click.option("--from", "sites", multiple=True, metavar="SITE", help="The sites a bundle or receipt key may sign for.")
@click.option("--not-after", metavar="TIME", help="Until when it counts.")
@click.option("--heard", metavar="TEXT", help="The words or the hex digits that the owner read out (else asked for).")
@click.option("--witness", default="", metavar="WHO", help="Who listened.")
@click.option("--record", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A new file to print.")
@widen_option
@folder_option
@json_option
def ceremony(
    root: Path | None,
    file: Path,
    purpose: str,
    owner: str,
    sites: tuple[str, ...],
    not_after: str | None,
    heard: str | None,
    witness: str,
    record: Path,
    widen: bool,
    as_json: bool,
) -> None:
    """Trust a key for the first time: its owner reads the fingerprint's words out, you type what you hear.

    The key is pinned only where every word is the key's, and a page is written to print and sign.
    """
    from appliance.paths import StationPaths
    from appliance.trust_acts import pin_heard
    from bundles.errors import UsageError
    from bundles.signing.ceremony import FirstTrust

    station = station_root(root)
    public = public_half(station, file)
    if record.exists():
        raise UsageError("the record exists", thing=str(record), remedy="give a new file")
    confirm_widening(
        StationPaths(station).trust, public.keyid,
        widen=widen, purpose=purpose, owner=owner, sites=sites, not_after=not_after,
    )  # fmt: skip
    if heard is None:
        if not sys.stdin.isatty():
            raise UsageError("nothing was heard", thing=owner, remedy="type it at a terminal, or give --heard")
        click.echo(f"Call {owner} on a number you know, and have the words of the key read out.", err=True)
        heard = str(click.prompt("What you hear", err=True))
    first = FirstTrust(public, purpose, owner, sites, not_after, witness, record)
    pin_heard(station, first, heard)
    document = {"keyid": public.keyid, "fingerprint": public.fingerprint, "words": public.words, "record": str(record)}
    show(document, as_json, lambda: f"pinned {public.keyid} for {purpose}: print and sign the record\n{record}")
    warn_of_sources(station, purpose, sites)


@click.command()
@click.option("--purpose", help="Set the rule for this purpose; without it, the rules are shown.")
@click.option("--from", "site", default="", metavar="SITE", help="For bundles or receipts of this source alone.")
@click.option(
    "--signers",
    type=click.IntRange(1, limits.SIGNATURES),
    default=1,
    show_default=True,
    help="How many distinct owners must have signed.",
)
@click.option("--algorithm", "algorithms", multiple=True, help="Only signatures by this kind of key count.")
@click.option("--gaps/--no-gaps", default=False, help="Whether a bundle may come before the one it follows.")
@click.option(
    "--silence-days", type=click.IntRange(min=0), default=0, help="Days without a bundle that raise an alarm; 0: never."
)
@folder_option
@json_option
def policy(
    root: Path | None,
    purpose: str | None,
    site: str,
    signers: int,
    algorithms: tuple[str, ...],
    gaps: bool,
    silence_days: int,
    as_json: bool,
) -> None:
    """What is demanded beyond one good signature: how many owners, which kinds of key, gaps, silence.

    A rule is set whole: what is not said of it takes its default.
    """
    import msgspec

    from appliance import clock
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from bundles.signing.pinning import set_rule
    from bundles.signing.policy import SignerRule
    from bundles.signing.printed_pages import review as page
    from bundles.signing.trust import TrustFolder

    station = station_root(root)
    trust = StationPaths(station).trust
    if purpose is None:
        require_ungiven(
            ("site", "signers", "algorithms", "gaps", "silence_days"), "a rule is for a purpose", "give --purpose, too"
        )
    else:
        rule = SignerRule(
            purpose=purpose, site=site, signers=signers, algorithms=sorted(set(algorithms)), gaps=gaps,
            silence_days=silence_days,
        )  # fmt: skip
        with recorded(station, Act.TRUST_POLICY, f"{purpose} {site}".strip(), msgspec.to_builtins(rule)):
            set_rule(trust, rule)
    folder = TrustFolder.load(trust)
    document = {"rules": [msgspec.to_builtins(rule) for rule in folder.policy.rules]}
    text = page(folder, clock.now())
    show(document, as_json, lambda: text[text.index("RULES") :].rpartition("\n\n")[0])


@click.command()
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the page to a new file.")
@folder_option
@json_option
def review(root: Path | None, out: Path | None, as_json: bool) -> None:
    """The trust folder as a page: whose keys are believed for what, what was revoked, and the rules."""
    from appliance import clock
    from appliance.paths import StationPaths
    from bundles.io.files import write_atomic
    from bundles.signing.printed_pages import review as page
    from bundles.signing.trust import TrustFolder

    folder = TrustFolder.load(StationPaths(station_root(root)).trust)
    text = page(folder, clock.now())
    if out is not None:
        write_atomic(out, text.encode(), replace=False)
    document = {"site": folder.site, "keys": len(folder.records), "page": text}
    show(document, as_json, lambda: text.rstrip("\n") if out is None else str(out))


@click.command("export-trust")
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@folder_option
@json_option
def export_trust(root: Path | None, target: Path, as_json: bool) -> None:
    """Copy the trust folder, checked, for an officer's own verifier. Its last line is the copy's path."""
    from appliance import clock
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from bundles.signing.trust_copy import export_trust as copy

    station = station_root(root)
    with recorded(station, Act.TRUST_EXPORT, str(target), {}):
        folder = copy(StationPaths(station).trust, target, clock.now())
    document = {"site": folder.site, "keys": len(folder.records), "folder": str(target)}
    show(document, as_json, lambda: f"{some(len(folder.records), 'key')} of {folder.site}\n{target}")
