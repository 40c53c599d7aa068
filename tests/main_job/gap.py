"""Both stations of the main job, with their keys, driven through the command line as their operators would."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from appliance.tour.stage import Outcome, Station


class Gap:
    """alpha (outside) with the key `engineer`, bravo (inside) with the key `officer`, each pinned where it counts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stack = ExitStack()

    def __enter__(self) -> Gap:
        self.alpha = self._stack.enter_context(Station(self.root / "alpha", "alpha", "outside"))
        self.bravo = self._stack.enter_context(Station(self.root / "bravo", "bravo", "inside"))
        self.alpha.run("key", "create", "engineer", "--no-passphrase")
        self.bravo.run("key", "create", "officer", "--no-passphrase")
        self._pin(self.alpha, "engineer", "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
        self._pin(self.bravo, "officer", "--purpose", "release", "--owner", "Officer")
        return self

    def _pin(self, owner: Station, name: str, *options: str) -> None:
        public = self.root / f"{name}.pem"
        public.write_text(owner.run("key", "export", name).stdout)
        self.bravo.run("key", "trust", public, *options)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def trust(self) -> Path:
        return self.bravo.folder / "trust"

    def collect_file(self, path: Path, reference: str) -> None:
        self.alpha.run("collect", f"file:{path}", "--as", reference)

    def build(self, *references: str, out: list[Path], options: tuple[str, ...] = (), expect: int = 0) -> Outcome:
        """`bundle build` for bravo onto media that are made where they are missing."""
        for path in out:
            path.mkdir(exist_ok=True)
        outs = [word for path in out for word in ("--out", str(path))]
        words = ("bundle", "build", "--to", "bravo", *outs, "--sign-with", "engineer", *options)
        return self.alpha.run(*words, *references, expect=expect)

    def bring_in(self, *media: Path) -> str:
        """Import, approve, release. Returns the bundle's id."""
        name = self.bravo.run("intake", "import", *media).last_line
        self.bravo.run("intake", "approve", name, "--key", "officer")
        self.bravo.run("intake", "release", name)
        return name


def random_file(path: Path, size: int) -> Path:
    """A file of `size` random bytes, which nothing on the way can compress."""
    with path.open("wb") as file:
        while size:
            size -= file.write(os.urandom(min(size, 1 << 20)))
    return path
