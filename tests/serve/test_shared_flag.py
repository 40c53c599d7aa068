"""A flag that processes share."""

from __future__ import annotations

import os

from appliance.shared_flag import SharedFlag


def test_a_child_sees_what_its_parent_sets_after_the_fork_and_the_other_way_round() -> None:
    flag = SharedFlag()
    assert not flag.is_set()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)
        seen = flag.is_set()
        flag.clear()
        os._exit(0 if seen else 1)
    flag.set()
    os.write(writing, b"1")
    assert os.waitpid(child, 0)[1] == 0
    assert not flag.is_set()
    os.close(reading)
    os.close(writing)
