"""Pruning the audit log: what goes is in an export, and what it explained is kept
(appliance.release_check.log_record).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.checkpoints import checkpoint, signed_origin
from appliance.audit.folder_acts import recorded
from appliance.image_signatures.applied import keep_logged
from appliance.paths import StationPaths
from appliance.release_check.log_record import SUFFIX, make_record
from appliance.settings.station import load_config
from appliance.store.database import open_reader
from appliance.store.whereabouts import is_made
from bundles.documents.audit_cut import Cut
from bundles.io.files import failures_named, make_folder, write_atomic


def prune_log(paths: StationPaths, exported: Path) -> tuple[int, Cut | None]:
    """Remove the log's oldest segments that a verified export holds. Returns how many went, and the signed cut; None
    where there was nothing to remove.

    Raises RefusedError where the export does not verify or what an earlier cut kept is missing, FailedError.
    """
    config = load_config(paths.config)
    cut = export.prunable(paths, exported, config.site)
    if cut is None:
        return 0, None
    with contextlib.ExitStack() as held:
        reader = None
        if is_made(paths.database):
            reader = held.enter_context(contextlib.closing(open_reader(paths.database)))
        record, data = make_record(paths, config.site, reader, inside=config.side == "inside")
    keep_logged(paths.root)
    cut = msgspec.structs.replace(cut, record=record, origin=signed_origin(paths, config.site))
    with recorded(paths.root, Act.AUDIT_PRUNE, str(exported), export.announced(paths, cut)):
        keep_record(paths, f"{record.sha256}{SUFFIX}", data)
        checkpoint(paths)
        return export.prune(paths, cut), cut


def keep_record(paths: StationPaths, name: str, data: bytes) -> None:
    """Write what a cut keeps, and remove what the cuts before it kept, which is in it."""
    with failures_named(paths.imported, "what the log said cannot be kept"):
        make_folder(paths.imported)
    write_atomic(paths.imported / name, data, 0o600, owned=True)
    with failures_named(paths.imported, "what the log said cannot be kept"):
        for older in paths.imported.glob(f"*{SUFFIX}"):
            if older.name != name:
                older.unlink(missing_ok=True)
