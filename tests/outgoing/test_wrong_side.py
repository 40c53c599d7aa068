"""A bundle for an inside that is imported at the outside which made it: the line says where one is."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.intake import import_job
from bundles.errors import RefusedError
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout


@pytest.mark.parametrize("below", [True, False])
def test_an_import_at_the_outside_says_that_it_is_the_outside(
    outside: Outside, tmp_path: Path, layout: Layout, below: bool
) -> None:
    layout.tag("1", layout.artifact({"a": b"one"}))
    (reference,) = outside.collect_layout(layout.folder)
    medium = tmp_path / "medium"
    medium.mkdir()
    folder = Path(outside.build(medium, reference)["path"])
    context = outside.context("import", {"paths": [str(folder if below else medium)]})
    with pytest.raises(RefusedError) as refused:
        outside.run(context, import_job.run)
    assert "this is the outside station alpha" in refused.value.remedy
    assert "inside station bravo" in refused.value.remedy
