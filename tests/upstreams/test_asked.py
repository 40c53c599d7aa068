"""The registry client goes where the station's settings and the machine's configuration send it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.outgoing.collect.access import HostAccess
from appliance.outgoing.collect.host_client import Hosts
from appliance.outgoing.collect.station_accesses import StationAccesses
from appliance.settings.station import Config
from appliance.upstreams.accounts import Accounts
from appliance.upstreams.upstream import Upstreams
from bundles.errors import RefusedError
from tests.outgoing.asking import Asking
from tests.outgoing.small_registry import SmallRegistry, serving


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with serving(SmallRegistry()) as registry:
        yield registry


def accesses(root: Path, conf: str = "", **settings: Any) -> StationAccesses:
    (root / "containers").mkdir()
    (root / "containers/registries.conf").write_text(conf)
    document = {"site": "alpha", "side": "outside", "collect": {"use_host_configuration": bool(conf)}, **settings}
    config = msgspec.convert(document, Config, strict=True)
    return StationAccesses(Upstreams(config, root, root), Accounts(), Accounts())


def test_a_location_of_the_machine_is_asked_in_the_place_of_the_name(registry: SmallRegistry, tmp_path: Path) -> None:
    digest = registry.image("copy/team/app", "1", b"layer")
    conf = f'[[registry]]\nprefix = "registry.example"\nlocation = "{registry.host}/copy"\n'
    with Asking("registry.example/team/app:1", accesses=accesses(tmp_path, conf)) as asking:
        root = asking.root()
    assert (root.descriptor.digest, str(root.target)) == (digest, "team/app:1")


def test_what_the_machine_blocks_is_not_asked_for(registry: SmallRegistry, tmp_path: Path) -> None:
    registry.image("team/app", "1", b"layer")
    conf = f'[[registry]]\nlocation = "{registry.host}/team"\nblocked = true\n'
    there = f"{registry.host}/team/app:1"
    with Asking(there, accesses=accesses(tmp_path, conf)) as asking, pytest.raises(RefusedError, match="blocked"):
        asking.root()
    assert registry.counted("team/app") == 0


def test_a_mirror_of_the_settings_is_asked_first_and_the_registry_where_it_fails(
    registry: SmallRegistry, tmp_path: Path
) -> None:
    mirrored = registry.image("hub/team/app", "1", b"of the mirror")
    other = registry.image("team/app", "2", b"of the registry")
    name = registry.host.replace("127.0.0.1", "localhost")
    both = accesses(tmp_path, upstreams={name: {"mirrors": [f"{registry.host}/hub"]}})
    with Asking(f"{name}/team/app:1", accesses=both) as asking:
        assert asking.root().descriptor.digest == mirrored
    with Asking(f"{name}/team/app:2", accesses=both) as asking:
        assert asking.root().descriptor.digest == other
        assert any("a mirror fails" in line for line in asking.said)


@pytest.mark.parametrize(("concurrency", "slots"), [(0, 6), (2, 2)])
async def test_so_many_requests_at_once_as_the_settings_say(concurrency: int, slots: int) -> None:
    client = Hosts().client(HostAccess("registry.example", concurrency=concurrency), ())
    assert client.pace.slots._value == slots
