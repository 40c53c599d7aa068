"""What a cache's settings may be, and which repository they make of a name."""

from __future__ import annotations

import pytest

from appliance.settings.caches import Caches, CacheSettings
from appliance.settings.faults import faults

STATION = b'site = "alpha"\nside = "inside"\n'


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('[caches.hub]\nupstream = "docker.io"', []),
        ('[caches.hub]\nupstream = "r.example:5000/a/b"\nprefix = "x/y"\nrepositories = ["library/*"]', []),
        ("[caches.hub]\ntag_minutes = 0", ["caches.hub.upstream"]),
        ('[caches.hub]\nupstream = ""', ["caches.hub.upstream"]),
        ('[caches.hub]\nupstream = "https://docker.io"', ["caches.hub.upstream"]),
        ('[caches.hub]\nupstream = "docker.io/Library"', ["caches.hub.upstream"]),
        ('[caches.hub]\nupstream = "docker.io"\nprefix = "/x"', ["caches.hub.prefix"]),
        ('[caches.hub]\nupstream = "docker.io"\ntag_minutes = -1', ["caches.hub.tag_minutes"]),
        ('[caches.hub]\nupstream = "docker.io"\nmissing_seconds = 86401', ["caches.hub.missing_seconds"]),
        ('[caches.hub]\nupstream = "docker.io"\nttl = 3', ["caches.hub.ttl"]),
        ('[caches."a--b"]\nupstream = "docker.io"', ['caches.a--b']),
        ('[caches.a]\nupstream = "x.example"\nprefix = "c"\n[caches.b]\nupstream = "x.example"\nprefix = "c/d"',
         ["caches.b.prefix"]),
        ('[caches.a]\nupstream = "x.example"\nprefix = "c"\n[caches.b]\nupstream = "x.example"\nprefix = "c"',
         ["caches.b.prefix"]),
        ('[caches.a]\nupstream = "x.example"\nprefix = "c"\n[caches.b]\nupstream = "x.example"\nprefix = "cd"', []),
    ],
)  # fmt: skip
def test_a_fault_names_its_key(text: str, keys: list[str]) -> None:
    assert [fault.key for fault in faults(STATION + text.encode())] == keys


def test_which_repository_a_name_is_upstream() -> None:
    caches = Caches(
        {"hub": CacheSettings(upstream="docker.io", repositories=("library/*",)),
         "own": CacheSettings(upstream="r.example:5000/prod", prefix="own")}
    )  # fmt: skip
    found = {}
    for name in ("cache/hub/library/alpine", "cache/hub/x", "own/a/b", "cache/hub", "cache/hubs/a", "owner/a", "own"):
        one = caches.find(name)
        found[name] = None if one is None else (f"{one.host}/{one.repository}", one.is_offered)
    assert found == {
        "cache/hub/library/alpine": ("docker.io/library/alpine", True), "cache/hub/x": ("docker.io/x", False),
        "own/a/b": ("r.example:5000/prod/a/b", True), "cache/hub": None, "cache/hubs/a": None, "owner/a": None,
        "own": None,
    }  # fmt: skip
    assert [name for name in found if caches.holds(name)] == [
        "cache/hub/library/alpine", "cache/hub/x", "own/a/b", "cache/hub", "own",
    ]  # fmt: skip
