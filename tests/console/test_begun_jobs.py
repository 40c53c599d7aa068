"""A job that was begun on this console asks for its signature by itself; another one waits for `n`."""

from __future__ import annotations

from typing import Any

import pytest

BUILD = {"to": "charlie", "out": ["/media/usb-blue"], "references": ["base/debian:12.6"],
         "sign_with": "30f2c341ae8cd9a4"}  # fmt: skip


@pytest.mark.parametrize("begun", [True, False])
async def test_a_job_that_waits_for_a_signature_before_it_is_first_heard_of(drive: Any, begun: bool) -> None:
    async with drive() as console:
        job = await console.inside.start_job("build", BUILD)
        assert job.state != "to-sign"
        console.seconds.now += 10
        assert console.inside.demo_job(job.id).state(console.seconds.now) == "to-sign"
        if begun:
            console.app.open_begun(job)
        else:
            console.app.open_thing("job", job.id)
        await console.shows("to-sign")
        if begun:
            await console.shows("Passphrase of the key")
        else:
            assert "Passphrase of the key" not in console.screen()
            await console.press("n")
            await console.shows("Passphrase of the key")
