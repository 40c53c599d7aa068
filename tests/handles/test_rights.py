"""What a caller may do with an opened file is what the kernel would let them do."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.handles.rights import READ, SEARCH, WRITE, Person, acting_as, may
from tests.handles.people import NOBODY, STRANGER, as_uid, needs_root

GROUP = 4_321
KINDS = {READ: os.R_OK, WRITE: os.W_OK, SEARCH: os.X_OK}
PERMISSIONS = st.integers(0, 7)


def allowed(path: Path, person: Person, wanted: int) -> bool:
    """The kernel's answer: whether that person's thread may."""
    how = sum(flag for bit, flag in KINDS.items() if wanted & bit)
    return as_uid(person.uid, lambda: os.access(path, how, effective_ids=True), person.groups)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rights")
    for above in (made, *made.parents[:-2]):
        above.chmod(above.stat().st_mode | 0o011)
    (made / "file").write_bytes(b"x")
    return made


@needs_root
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    mode=st.integers(0, 0o777),
    owner=st.sampled_from([0, NOBODY, STRANGER]),
    group=st.sampled_from([0, GROUP, STRANGER]),
    wanted=st.sampled_from([READ, WRITE, SEARCH, READ | SEARCH, READ | WRITE | SEARCH]),
    groups=st.sampled_from([(), (GROUP,), (0, GROUP)]),
    acl=st.none() | st.tuples(PERMISSIONS, PERMISSIONS, PERMISSIONS, PERMISSIONS, PERMISSIONS, PERMISSIONS),
)
def test_owner_mode_and_list_are_read_as_the_kernel_reads_them(
    folder: Path, mode: int, owner: int, group: int, wanted: int, groups: tuple[int, ...],
    acl: tuple[int, int, int, int, int, int] | None,
) -> None:  # fmt: skip
    path, person = folder / "file", Person(STRANGER, STRANGER, groups)
    os.chown(path, owner, group)
    path.chmod(mode)
    if acl is not None:
        own, named, owning, other_group, mask, others = acl
        entries = [(1, own, 0xFFFFFFFF), (2, named, STRANGER if mode & 1 else NOBODY), (4, owning, 0xFFFFFFFF),
                   (8, other_group, GROUP), (16, mask, 0xFFFFFFFF), (32, others, 0xFFFFFFFF)]  # fmt: skip
        raw = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
        try:
            os.setxattr(path, "system.posix_acl_access", raw)
        except OSError:
            pytest.skip("the file system takes no access control lists")
    try:
        descriptor = os.open(path, os.O_PATH)
        try:
            assert may(person, descriptor, wanted) == allowed(path, person, wanted)
        finally:
            os.close(descriptor)
    finally:
        if acl is not None:
            os.removexattr(path, "system.posix_acl_access")


@needs_root
def test_a_thread_that_acts_for_somebody_has_their_rights_and_makes_what_is_theirs(folder: Path) -> None:
    person, theirs, closed = Person(STRANGER, STRANGER, (GROUP,)), folder / "theirs", folder / "closed"
    theirs.mkdir()
    os.chown(theirs, STRANGER, STRANGER)
    closed.mkdir(mode=0o700)
    with acting_as(person):
        with acting_as(person):
            (theirs / "made").mkdir()
        with pytest.raises(PermissionError):
            list(closed.iterdir())
    assert (theirs / "made").stat().st_uid == STRANGER
    assert list(closed.iterdir()) == [], "afterwards it is root again"


@needs_root
def test_a_helper_that_is_started_meanwhile_by_another_thread_is_not_somebody_else(folder: Path) -> None:
    with acting_as(Person(STRANGER, STRANGER)):
        done = as_uid(0, lambda: subprocess.run(["id", "-u"], capture_output=True, text=True, check=True))
    assert done.stdout.strip() == "0"
