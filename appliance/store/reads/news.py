"""What the newest load of each source found that was not found before it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.advisories.exploitation import KEV
from appliance.store.ports import Reader


def hit_images(reader: Reader) -> int:
    """How many images that a repository shows have news. Grows with those that have."""
    row = reader.execute(
        "SELECT count(DISTINCT h.image) FROM advisory_hits h JOIN advisory_sources s ON s.generation = h.generation"
        " WHERE EXISTS (SELECT 1 FROM links l WHERE l.digest = h.image AND l.kind = 'manifest')"
    ).fetchone()
    return int(row[0])


def news(reader: Reader) -> Iterator[tuple[str, int, str, str]]:
    """Image, package, path, and the id of the record: of each image that has news, read as the caller goes. Findings
    that a distribution decides about are among them."""
    return iter(
        reader.execute(
            "SELECT DISTINCT h.image, n.package, i.path, n.id FROM advisory_hits h"
            " JOIN advisory_sources a ON a.generation = h.generation"
            " JOIN sboms s ON s.image = h.image AND s.origin = 'own' AND s.state = 'indexed'"
            " CROSS JOIN image_packages i ON i.sbom = s.number"
            " CROSS JOIN advisory_news n ON n.generation = h.generation AND n.package = i.package"
            " ORDER BY h.image, n.package, n.id"
        )
    )


def exploited_since(reader: Reader, generation: int) -> list[str]:
    """The vulnerabilities that a load of the KEV catalogue names, and that the one which counts does not."""
    rows = reader.execute(
        "SELECT x.id FROM exploitation x WHERE x.generation = ?1 AND NOT EXISTS (SELECT 1 FROM exploitation o"
        " JOIN advisory_sources s ON s.generation = o.generation WHERE s.source = ?2 AND o.id = x.id) ORDER BY x.id",
        (generation, KEV),
    )
    return [str(name) for (name,) in rows]
