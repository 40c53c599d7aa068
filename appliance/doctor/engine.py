"""clamd: whether it answers, whether its verdicts can be relied on, how old its signatures are, and what is too large
for it.

What it answers is measured; its sizes are read from its own file, since to measure them takes gigabytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.doctor.examined import Examined
from appliance.limits import doctor as limits
from appliance.limits import malware as malware_limits
from appliance.malware.clamd import Clamd, Version
from appliance.malware.command import Command
from appliance.malware.engine import require_age, require_answers
from appliance.malware.port import EngineError
from appliance.malware.yara import Yara
from appliance.settings.malware import MalwareSettings
from bundles.errors import LockgateError
from bundles.io.display import some
from bundles.io.files import read_small

CONFIGURATION: Final = Path("/etc/clamav/clamd.conf")
"""Where Debian's clamd has its settings."""
SIZES: Final = ("StreamMaxLength", "MaxFileSize", "MaxScanSize")
"""The settings of clamd.conf(5) that a file must not be over."""
_UNITS: Final = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_SIZE: Final = re.compile(r"([0-9]{1,12})([KMG]?)\Z", re.IGNORECASE)
_DAY: Final = 24 * 60 * 60
_HOW_TO: Final = "see docs/howto/look-for-malware.md"
_SIGNATURES: Final = "bring newer signatures in before then: docs/howto/look-for-malware.md"


def look_at_engine(
    settings: MalwareSettings, required: bool, configuration: Path = CONFIGURATION
) -> Iterator[Examined]:
    """The checks `malware program` and `malware rules`, where such are named, and of clamd `malware`, `malware
    verdicts`, `malware signatures` and `malware sizes`; `malware` alone where no engine is named. `required`: whether
    approvals.toml does not go without."""
    if settings.command:
        yield _program(settings)
    if settings.yara:
        yield _rules(settings)
    if not settings.is_set_up:
        detail = "no engine is named: nothing is looked through for malware"
        if required:
            detail += "; approvals.toml requires it, so that every bundle waits in quarantine"
        yield Examined(name="malware", state="wrong" if required else "unused", detail=detail, remedy=_HOW_TO)
    if not settings.clamd:
        return
    clamd = Clamd(Path(settings.clamd), malware_limits.MALWARE_CHECK)
    try:
        version = clamd.version()
    except EngineError as error:
        yield Examined.of_error("malware", error)
        for name in ("malware verdicts", "malware signatures"):
            yield Examined(name=name, state="not-checked", detail="clamd does not answer")
    else:
        yield Examined(name="malware", state="ok", detail=f"ClamAV {version.engine} answers at {settings.clamd}")
        yield _verdicts(clamd)
        yield _age(version, settings)
    yield _sizes(settings, configuration)


def _rules(settings: MalwareSettings) -> Examined:
    try:
        said = Yara(Path(settings.yara)).open()
    except LockgateError as error:
        return Examined.of_error("malware rules", error)
    return Examined(name="malware rules", state="ok", detail=f"they compile: {said}")


def _program(settings: MalwareSettings) -> Examined:
    try:
        said = Command(settings.command, min(settings.command_seconds, malware_limits.MALWARE_CHECK)).open()
    except LockgateError as error:
        return Examined.of_error("malware program", error)
    return Examined(name="malware program", state="ok", detail=f"calls harmless text clean: {said}")


def _verdicts(clamd: Clamd) -> Examined:
    try:
        require_answers(clamd)
    except EngineError as error:
        return Examined.of_error("malware verdicts", error)
    detail = "knows the EICAR test file; says what is over its limits or encrypted (AlertExceedsMax, AlertEncrypted)"
    return Examined(name="malware verdicts", state="ok", detail=detail)


def _age(version: Version, settings: MalwareSettings) -> Examined:
    name = "malware signatures"
    try:
        require_age(version, settings)
    except EngineError as error:
        return Examined.of_error(name, error)
    most = settings.signature_days
    if not version.dated:
        detail = "without a date; any age is taken (signature_days = 0)"
        return Examined(name=name, state="attention", detail=detail, remedy=_HOW_TO)
    days = (clock.seconds(clock.now()) - clock.seconds(version.dated)) // _DAY
    detail = f"of {version.dated[:10]}, {some(days, 'day')} old; " + (
        f"at most {some(most, 'day')} are taken" if most else "any age is taken (signature_days = 0)"
    )
    soon = most and days >= most - limits.DOCTOR_SIGNATURES
    return Examined(name=name, state="attention" if soon else "ok", detail=detail, remedy=_SIGNATURES if soon else "")


def _sizes(settings: MalwareSettings, configuration: Path) -> Examined:
    name = "malware sizes"
    try:
        said = settings_of(read_small(configuration, limits.CLAMD_CONFIGURATION))
    except LockgateError as error:
        return Examined.of_error(name, error, "not-checked")
    socket = said.get("LocalSocket", "")
    if os.path.realpath(socket) != os.path.realpath(settings.clamd):  # /var/run is /run
        return Examined(
            name=name, state="not-checked", detail=f"{configuration} is of another clamd: LocalSocket {socket[:100]}",
            remedy="name the file of this one: lockgate doctor --clamd-conf FILE",
        )  # fmt: skip
    sizes = {key: size_of(said[key]) if key in said else None for key in SIZES}
    unread = [f"{key} {said[key][:40]}" for key in SIZES if key in said and sizes[key] is None]
    if unread:
        return Examined(
            name=name, state="not-checked", detail=f"no size in {configuration}: {', '.join(unread)}",
            remedy="write a number of bytes, with K, M or G",
        )  # fmt: skip
    ours = malware_limits.MALWARE_STREAM
    small = [f"{key} {_shown(size)}" for key, size in sizes.items() if size is not None and 0 < size < ours]
    unset = [key for key, size in sizes.items() if size is None]
    if small or unset:
        said_small = [f"{', '.join(small)}: a larger file is not inspected, and never clean"] if small else []
        said_unset = [f"not set: {', '.join(unset)}, so that clamd goes by its version's own"] if unset else []
        return Examined(
            name=name, state="attention",
            detail="; ".join([*said_small, *said_unset, f"the station hands on files of up to {_shown(ours)}"]),
            remedy=f"set these for the largest file that you expect, at most 2000M, in {configuration}; restart clamd",
        )  # fmt: skip
    return Examined(name=name, state="ok", detail=f"by {configuration} it takes files of up to {_shown(ours)}")


def settings_of(raw: bytes) -> dict[str, str]:
    """The settings of a clamd.conf(5): a name and a value a line; of one that stands twice, the last."""
    found = dict[str, str]()
    for line in raw.decode(errors="backslashreplace").splitlines():
        words = line.split(None, 1)
        if words and not words[0].startswith("#"):
            found[words[0]] = words[1].strip().strip('"') if words[1:] else ""
    return found


def size_of(text: str) -> int | None:
    """Bytes of a size in clamd.conf(5), 0 for no limit; None for what is none."""
    match = _SIZE.match(text)
    return int(match[1]) * _UNITS[match[2].upper()] if match else None


def _shown(size: int) -> str:
    return f"{size / 10**6:,.0f} MB"
