"""What is used beneath a folder that was handed over: by its caller's rights, through no link, never the station's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.handles.granted import Grant, Granted, WaitsForClientError
from appliance.paths import StationPaths
from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.io.files import open_regular, read_small, scan, write_atomic
from bundles.io.held import HeldPath
from tests.handles.people import NOBODY, STRANGER, needs_root
from tests.intake.inside import make_station


class Place:
    """A station, and the folder `given` beside it that somebody handed over."""

    def __init__(self, root: Path, uid: int) -> None:
        make_station(root / "bravo")
        self.paths, self.folder, self.uid = StationPaths(root / "bravo"), root / "given", uid
        self.folder.mkdir()
        os.chown(self.folder, uid, uid)
        self._granted: list[Granted] = []

    def grant(self, folder: Path | None = None, *, writes: bool, path: Path | None = None) -> Grant:
        root = str(folder or self.folder)
        return Grant(
            path=str(path or root), root=root, writes=writes, is_file=False, uid=self.uid, gid=self.uid, groups=()
        )

    def granted(self, grant: Grant, media_roots: list[str] | None = None, *, handed: bool = True) -> Granted:
        descriptors = {(grant.root, grant.writes): os.open(grant.root, os.O_RDONLY)} if handed else {}
        made = Granted(self.paths, media_roots or [], [grant], descriptors)
        self._granted.append(made)
        return made

    def path(self, *, writes: bool = False) -> HeldPath:
        grant = self.grant(writes=writes)
        return self.granted(grant).path(grant.path)

    def close(self) -> None:
        for one in self._granted:
            one.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for above in (tmp_path, *tmp_path.parents[:-2]):
        above.chmod(above.stat().st_mode | 0o011)
    made = Place(tmp_path, STRANGER if os.geteuid() == 0 else os.geteuid())
    yield made
    made.close()


def test_it_looks_like_its_path_and_cannot_be_used_by_its_name(place: Place) -> None:
    path = place.path() / "file"
    assert str(path) == str(place.folder / "file")
    for use in (
        os.fspath,
        open,
        os.stat,
        os.listdir,
        Path.read_bytes,
        lambda one: one.write_text("x"),
    ):
        with pytest.raises(TypeError, match="handed over"):
            use(path)


def test_no_name_leads_out_of_it(place: Place, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    root = place.path()
    for path in (root / ".." / "outside", root / "x/../../outside", root / str(tmp_path / "outside"), root.parent):
        with pytest.raises((ValueError, OSError, LockgateError)):
            read_small(path, 100)


@pytest.mark.parametrize("where", ["last", "between", "dangling"])
def test_no_link_is_followed(place: Place, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    name = "link" if where != "between" else "link/file"
    (place.folder / "link").symlink_to({"last": outside / "file", "between": outside, "dangling": "/nowhere"}[where])
    path = place.path(writes=True) / name
    with pytest.raises(LockgateError):
        read_small(path, 100)
    with pytest.raises(LockgateError):
        write_atomic(path, b"x", replace=False)
    assert (outside / "file").read_bytes() == b"secret"
    assert {entry.name for entry in outside.iterdir()} == {"file"}
    assert not path.is_file()
    assert not path.is_dir()


def test_a_folder_that_is_swapped_for_a_link_after_it_was_looked_at_stays_the_one_it_was(
    place: Place, tmp_path: Path
) -> None:
    inner = place.folder / "volumes"
    inner.mkdir()
    os.chown(inner, place.uid, place.uid)
    path = place.path(writes=True) / "volumes"
    assert path.is_dir()
    assert list(scan(path)) == []
    inner.rename(place.folder / "moved")
    target = tmp_path / "target"
    target.mkdir()
    os.chown(target, place.uid, place.uid)
    inner.symlink_to(target)
    write_atomic(path / "file", b"x")
    assert (place.folder / "moved/file").read_bytes() == b"x"
    assert list(target.iterdir()) == []


def test_a_link_that_is_swapped_in_before_it_is_opened_is_not_followed(place: Place, tmp_path: Path) -> None:
    path = place.path(writes=True) / "volumes"
    (place.folder / "volumes").symlink_to(tmp_path)
    for use in (lambda: list(scan(path)), (path / "new").mkdir, (path / "bravo").stat):
        with pytest.raises((OSError, LockgateError)):
            use()
    assert not (tmp_path / "new").exists()


@needs_root
def test_a_file_beneath_that_its_caller_may_not_read_is_not_read(place: Place) -> None:
    secret = place.folder / "secret"
    secret.write_bytes(b"root:*:")
    secret.chmod(0o600)
    for path in (secret, place.folder / "hard"):
        if path != secret:
            os.link(secret, path)
        with pytest.raises(LockgateError):
            open_regular(place.path() / path.name)
    os.chown(secret, NOBODY, NOBODY)
    with pytest.raises(LockgateError):
        open_regular(place.path() / "secret")
    secret.chmod(0o604)
    os.close(open_regular(place.path() / "secret"))


@needs_root
def test_a_folder_beneath_that_its_caller_may_not_enter_tells_nothing(place: Place) -> None:
    closed = place.folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "name").touch()
    with pytest.raises((OSError, LockgateError)):
        list(scan(place.path() / "closed"))
    with pytest.raises((OSError, LockgateError)):
        (place.path() / "closed/name").exists()


@needs_root
def test_what_is_made_belongs_to_the_caller_and_what_is_others_stays(place: Place) -> None:
    path = place.path(writes=True)
    (path / "made").mkdir()
    write_atomic(path / "made" / "file", b"x")
    assert {(place.folder / name).stat().st_uid for name in ("made", "made/file")} == {place.uid}
    theirs = place.folder / "theirs"
    theirs.mkdir(mode=0o755)
    for use in (lambda: write_atomic(path / "theirs" / "file", b"x"), (path / "theirs" / "inner").mkdir):
        with pytest.raises((OSError, LockgateError)):
            use()
    assert list(theirs.iterdir()) == []


@needs_root
def test_a_sticky_folder_gives_nobody_another_s_file(place: Place) -> None:
    place.folder.chmod(0o1777)
    os.chown(place.folder, 0, 0)
    (place.folder / "file").write_bytes(b"another's")
    path = place.path(writes=True)
    with pytest.raises(FailedError):
        write_atomic(path / "file", b"mine")
    with pytest.raises(PermissionError):
        (path / "file").unlink()
    assert (place.folder / "file").read_bytes() == b"another's"


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_only_a_regular_file_is_read_and_nothing_waits(place: Place, kind: str) -> None:
    os.mkfifo(place.folder / "it") if kind == "fifo" else (place.folder / "it").mkdir()
    with pytest.raises(RefusedError, match="not a regular file"):
        open_regular(place.path() / "it")


@pytest.mark.parametrize("part", ["bravo", "bravo/keys", "bravo/trust"])
def test_a_folder_that_holds_the_station_leads_to_everything_but_that(place: Place, tmp_path: Path, part: str) -> None:
    os.chown(tmp_path, place.uid, place.uid)
    (tmp_path / "given/file").write_bytes(b"x")
    place.uid = os.geteuid()  # the owner's, or root's, own request
    grant = place.grant(tmp_path, writes=True)
    root = place.granted(grant).path(grant.path)
    assert read_small(root / "given" / "file", 10) == b"x"
    with pytest.raises(RefusedError, match="station's own folder"):
        list(scan(root / part))
    with pytest.raises(RefusedError, match="station's own folder"):
        write_atomic(root / part / "planted.pem", b"x")
    assert not (tmp_path / part / "planted.pem").exists()


def test_a_hard_link_of_a_file_of_the_station_is_not_read(place: Place) -> None:
    place.uid = os.geteuid()
    os.link(place.paths.keys / "audit.pem", place.folder / "innocent")
    with pytest.raises(RefusedError, match="station's own folder"):
        open_regular(place.path() / "innocent")


def test_a_name_that_nobody_handed_over_is_no_path(place: Place) -> None:
    granted = place.granted(place.grant(writes=False))
    for text in ("/etc/shadow", str(place.folder / "inner"), str(place.paths.keys), ""):
        with pytest.raises(FailedError, match="nobody handed"):
            granted.path(text)


def reopened(place: Place, roots: list[Path], **changes: bool) -> HeldPath:
    """The folder after a restart: without a descriptor."""
    grant = place.grant(writes=changes.get("writes", False))
    return place.granted(grant, [str(root) for root in roots], handed=False).path(grant.path)


def test_after_a_restart_a_medium_is_found_below_a_root_and_nowhere_else(place: Place, tmp_path: Path) -> None:
    (place.folder / "file").write_bytes(b"x")
    assert read_small(reopened(place, [tmp_path]) / "file", 10) == b"x"
    for roots in ([], [tmp_path / "media"], [tmp_path / "giv"]):
        with pytest.raises(WaitsForClientError, match="no medium's root"):
            read_small(reopened(place, roots) / "file", 10)


def test_after_a_restart_no_link_leads_to_the_medium(place: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    place.folder.rename(elsewhere)
    place.folder.symlink_to(elsewhere)
    with pytest.raises(WaitsForClientError):
        list(scan(reopened(place, [tmp_path])))


def test_after_a_restart_the_station_s_folder_is_no_medium(place: Place, tmp_path: Path) -> None:
    shutil.rmtree(place.folder)
    place.folder, place.uid = place.paths.keys, os.geteuid()
    with pytest.raises(WaitsForClientError, match="station's own folder"):
        list(scan(reopened(place, [tmp_path])))


@needs_root
def test_after_a_restart_the_caller_must_still_be_allowed(place: Place, tmp_path: Path) -> None:
    (place.folder / "file").write_bytes(b"x")
    place.folder.chmod(0o500)
    with pytest.raises(WaitsForClientError, match="may not write"):
        list(scan(reopened(place, [tmp_path], writes=True)))
    os.chown(place.folder, NOBODY, NOBODY)
    place.folder.chmod(0o700)
    with pytest.raises(WaitsForClientError):
        list(scan(reopened(place, [tmp_path])))
    os.chown(place.folder, place.uid, place.uid)
    tmp_path.chmod(0o700)
    with pytest.raises(WaitsForClientError):
        list(scan(reopened(place, [tmp_path])))


def test_a_job_that_waits_lets_go_of_its_medium_and_takes_up_the_one_that_is_there_then(
    place: Place, tmp_path: Path
) -> None:
    grant = place.grant(writes=False)
    granted = place.granted(grant, [str(tmp_path)])
    (place.folder / "file").write_bytes(b"before")
    path = granted.path(grant.path)
    assert read_small(path / "file", 10) == b"before"
    granted.let_go()
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert place.folder not in links
    place.folder.rename(tmp_path / "pulled out")
    place.folder.mkdir()
    os.chown(place.folder, place.uid, place.uid)
    (place.folder / "file").write_bytes(b"after")
    assert read_small(path / "file", 10) == b"after"
