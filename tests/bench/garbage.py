"""What a collection and a scrub of a large store cost: `python -m tests.bench.garbage FOLDER [BLOBS]`.

Makes a store of small blobs in FOLDER, unless it is there: images of nineteen blobs and a manifest, in fifty
repositories, half of them in one. Then a collection with nothing to take, beside a thread that takes the turn of an
import again and again, and a scrub. A million blobs take 4 GiB and a million inodes.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from appliance.lifecycle import gc, scrub
from appliance.paths import StationPaths
from appliance.store.collection_lock import incoming_turn
from appliance.store.database import open_writer
from bundles.oci.digest import ALGORITHMS, Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.intake.inside import Inside

_LONG_AGO = "2020-01-01T00:00:00Z"
_REPOSITORIES = 50
_LAYERS = 19


def make(paths: StationPaths, count: int) -> None:
    """Files and rows, written straight into the station's folder."""
    for algorithm in ALGORITHMS:
        (paths.blobs / algorithm).mkdir(parents=True, exist_ok=True)
    with closing(open_writer(paths.database)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        for number in range(_REPOSITORIES):
            db.execute(
                "INSERT INTO repositories (id, name, created) VALUES (?, ?, ?)",
                (number + 1, f"team/r{number:03}", _LONG_AGO),
            )
        for image in range(count // (_LAYERS + 1)):
            _image(paths, db, image, image % _REPOSITORIES + 1 if image % 2 else 1)
        name = "(SELECT name FROM repositories WHERE id = repository_id)"
        db.execute(f"UPDATE links SET checksum = link_sum({name}, digest, kind, created)")
        db.execute(f"UPDATE tags SET checksum = tag_sum({name}, tag, digest, updated)")
        db.execute(
            "UPDATE manifests SET checksum ="
            " manifest_sum(digest, media_type, artifact_type, subject, size, annotations)"
        )
        db.execute("COMMIT")


def _image(paths: StationPaths, db: sqlite3.Connection, image: int, repository: int) -> None:
    def put(raw: bytes, kind: str) -> str:
        digest = Digest.of(raw)
        paths.blob(digest).write_bytes(raw)
        db.execute("INSERT INTO blobs VALUES (?, ?, 0, ?, NULL)", (str(digest), len(raw), _LONG_AGO))
        db.execute("INSERT INTO links VALUES (?, ?, ?, ?, NULL)", (repository, str(digest), kind, _LONG_AGO))
        return str(digest)

    raws = [b"%d-%d" % (image, layer) for layer in range(_LAYERS)]
    layers = [{"mediaType": "application/x", "digest": put(raw, "blob"), "size": len(raw)} for raw in raws]
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layers[0], "layers": layers[1:]}
    raw = json.dumps(document).encode()
    digest = put(raw, "manifest")
    facts = (digest, OCI_MANIFEST, "", None, len(raw), "{}", _LONG_AGO)
    db.execute("INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", facts)
    db.execute("INSERT INTO tags VALUES (?, ?, ?, ?, NULL)", (repository, f"v{image}", digest, _LONG_AGO))


def main(folder: Path, count: int) -> None:
    """Make the store, collect, scrub, and print."""
    fresh = not folder.exists()
    with Inside(folder) as inside:
        if fresh:
            make(inside.station.paths, count)
        waits, over = [0.0], threading.Event()

        def bring_in() -> None:
            while not over.wait(0.1):
                before = time.perf_counter()
                with incoming_turn(inside.station.paths, lambda *_: None, collects=False):
                    waits.append(time.perf_counter() - before)

        importing = threading.Thread(target=bring_in)
        importing.start()
        for name, run in (("collection", gc.run), ("scrub", scrub.run)):
            wall, work = time.perf_counter(), time.process_time()
            run(inside.context())
            wall, work = time.perf_counter() - wall, time.process_time() - work
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{name}: {wall:.0f} s, {work:.0f} s of processor time, at most {memory} MiB")
        over.set()
        importing.join()
        print(f"an import waited for {max(waits):.2f} s at most")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int((sys.argv[2:] or ["1000000"])[0]))
