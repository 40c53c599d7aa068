"""A name that somebody types stays one segment of a request's path, and leads to no other resource."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.control.client import ControlClient
from bundles.errors import NotFoundError

PATHS = [
    "/v1/jobs/..", "/v1/jobs/../intake/alpha.bravo-000001", "/v1/intake/./release", "/v1/bundles//custody",
    "/v1/intake/",
    "/v1/repositories/../accounts/tags",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_that_leads_elsewhere_is_refused_before_it_is_sent(path: str, tmp_path: Path) -> None:
    """Nothing listens there: a request that was sent would fail another way."""
    async with ControlClient(tmp_path) as client:
        with pytest.raises(NotFoundError):
            await client.get(path)
        with pytest.raises(NotFoundError):
            await client.post(path)


@pytest.mark.parametrize("job", ["..", "."])
async def test_a_job_that_is_followed_is_named_by_one_segment(job: str, tmp_path: Path) -> None:
    async with ControlClient(tmp_path) as client:
        with pytest.raises(NotFoundError):
            async for _ in client.watch(job):
                pass
