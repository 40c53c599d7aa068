"""Repositories: what the store holds. Two panes beside each other where there is room, else one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from appliance.api.common import Page
from appliance.api.content import Repository, Tag
from bundles.io.display import safe
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import count, moment, number, size
from tui.widgets.nothing import Known
from tui.widgets.panel import Panel
from tui.widgets.rows import RowList
from tui.widgets.table import Column, Table
from tui.wording.retirement import retirement

ROOMY = 110
"""Columns from which both panes are shown."""

LONG = 28
"""A tag longer than this may be cut in its column, and is shown whole below the list."""


class RepositoriesScreen(StationScreen):
    name_of: ClassVar[str] = "repositories"
    beside_from: ClassVar[int] = 160
    """Both panes and the details have room from here on."""

    def __init__(self) -> None:
        super().__init__()
        self.repository: str = ""
        self._filters = {"repositories": "", "tags": ""}
        self._wanted = ""
        self._loaded = False
        self._typing_for = "repositories"

    def body(self) -> ComposeResult:
        look = self.look
        with Horizontal(classes="side-by-side"):
            yield Table[Repository](
                look,
                "Repositories",
                (
                    Column("repository", lambda one: safe(one.name)),
                    Column("tags", lambda one: number(one.tags), 7, right=True, order=lambda one: one.tags),
                    Column(
                        "manifests",
                        lambda one: number(one.manifests),
                        9,
                        right=True,
                        least=60,
                        order=lambda one: one.manifests,
                    ),
                    Column("bytes", lambda one: size(one.bytes), 9, right=True, order=lambda one: one.bytes),
                ),
                key=lambda one: one.name,
                ident="repositories",
                empty="no repositories: push something, or collect it with: lockgate collect",
            )
            yield Table[Tag](
                look,
                "Tags",
                (
                    Column("tag", lambda one: safe(one.tag)),
                    Column("kind", lambda one: safe(one.kind), 9),
                    Column(
                        "bytes", lambda one: size(one.total_size), 9, right=True, order=lambda one: one.total_size or 0
                    ),
                    Column("updated", lambda one: moment(one.updated), 16, least=64),
                ),
                key=lambda one: one.tag,
                ident="tags",
                empty="no tags",
            )
        yield Panel(look, ident="detail")

    @property
    def repositories(self) -> Table[Repository]:
        return self.query_one("#repositories", Table)

    @property
    def tags(self) -> Table[Tag]:
        return self.query_one("#tags", Table)

    @property
    def in_tags(self) -> bool:
        typing = self.focused is not None and self.focused.id == "filter"
        return self._typing_for == "tags" if typing else self.focused is self.tags

    def rearrange(self) -> None:
        roomy = self.size.width >= ROOMY
        tags = self.in_tags
        self.repositories.display = roomy or not tags
        self.tags.display = roomy or tags

    def load(self) -> None:
        wanted = self._filters["repositories"]
        self.ask(lambda station: station.repositories(matching=wanted), self.show_repositories, group="repositories",
                 places=[self.repositories])  # fmt: skip
        if self.repository:
            self._load_tags()

    def state_changed(self) -> None:
        self._mark()
        super().state_changed()

    def _load_tags(self) -> None:
        name, wanted = self.repository, self._filters["tags"]
        self.ask(lambda station: station.tags(name, matching=wanted), self.show_tags, group="tags", places=[self.tags])

    def show_repositories(self, page: Page[Repository]) -> None:
        self.repositories.show(page.items, page.next)
        self._loaded = True
        if self._wanted:
            self.reveal(self._wanted)

    def show_tags(self, page: Page[Tag]) -> None:
        self._mark()
        self.tags.show(page.items, page.next)

    def on_table_more(self, message: Table.More) -> None:
        after, name = message.after, self.repository
        if message.table is self.tags:
            wanted = self._filters["tags"]
            self.ask(
                lambda station: station.tags(name, matching=wanted, after=after),
                lambda page: self.tags.extend(page.items, page.next),
                group="tags",
            )
        else:
            wanted = self._filters["repositories"]
            self.ask(
                lambda station: station.repositories(matching=wanted, after=after),
                lambda page: self.repositories.extend(page.items, page.next),
                group="repositories",
            )

    def moved(self, rows: RowList | None) -> None:
        self._follow_repository()
        self._show_detail()

    def _follow_repository(self) -> None:
        """Show the tags of the repository under the cursor, where both panes are in view."""
        current = self.repositories.current
        if current is not None and current.name != self.repository and self.size.width >= ROOMY and not self.in_tags:
            self._choose(current)

    def _choose(self, repository: Repository) -> None:
        self.repository = repository.name
        self._filters["tags"] = ""
        self.tags.held = ""
        self.tags.narrow("")
        self.tags.title = f"Tags of {safe(repository.name)}"
        self.tags.expected = repository.tags
        self.tags.records, self.tags.answered = [], False
        self.tags.stands(Known.LOADING)
        self.tags.cursor = 0
        self.tags.show(())
        self._load_tags()

    def _show_detail(self) -> None:
        tag = self.tags.current
        detail = self.query_one("#detail", Panel)
        lost = [*self._untagged(), *self._retired()]
        if tag is None or not self.tags.display:
            detail.show(lost or [[("", "plain")]])
            return
        name = [[(safe(tag.tag), "title")]] if len(safe(tag.tag)) > LONG else []
        detail.show([*lost, *name, [(safe(tag.digest), "plain")]])

    def _retired(self) -> list[list[tuple[str, str]]]:
        """A line about the retirement of what is under the cursor."""
        one = self.tags.current if self.in_tags else self.repositories.current
        return [] if one is None or one.retired is None else [[(retirement(one.retired), "need")]]

    def _untagged(self) -> list[list[tuple[str, str]]]:
        """A line about the manifests of the repository under the cursor to which no tag leads."""
        repository = self.repositories.current
        if self.in_tags or repository is None or not repository.untagged:
            return []
        lost = number(repository.untagged)
        text = f"{lost} without a tag: lockgate repo show --untagged {safe(repository.name)}"
        return [[(text, "plain")]]

    def item(self) -> object | None:
        return self.tags.current if self.in_tags else self.repositories.current

    def reference(self) -> str:
        """`repository:tag` under the cursor; empty in the repositories' pane."""
        tag = self.tags.current
        return f"{self.repository}:{tag.tag}" if self.in_tags and tag else ""

    def do_open(self) -> None:
        repository = self.repositories.current
        if self.in_tags:
            self.console_app.open_thing("tag", self.reference())
        elif repository is not None:
            if repository.name != self.repository:
                self._choose(repository)
            self.tags.display = True
            self.tags.focus()

    def do_pick(self) -> None:
        reference = self.reference()
        draft = self.console_app.draft.toggle(reference)
        self.console_app.set_draft(draft)
        self.tags.toggle_mark()
        word = "picked" if reference in draft.references else "taken out"
        self.say("ok", f"{reference} {word}; the new bundle holds {len(draft.references)} (3 shows it)")

    def mark_records(self, table: Table[Any], records: Sequence[Any], *, on: bool) -> None:
        """Marks of tags are what the next bundle holds; repositories are not picked."""
        if table is not self.tags:
            self.say("note", "tags are picked: enter opens the repository")
            return
        draft = self.console_app.draft
        for tag in records:
            reference = f"{self.repository}:{tag.tag}"
            if (reference in draft.references) != on:
                draft = draft.toggle(reference)
        self.console_app.set_draft(draft)
        self.tags.mark(records, on=on)
        more = "; of those that are loaded: end loads more" if self.tags.next is not None and on else ""
        self.say("ok", f"the new bundle holds {count(len(draft.references), 'artifact')} (3 shows it){more}")

    def _mark(self) -> None:
        """Mark the tags that the new bundle holds."""
        begins = f"{self.repository}:"
        held = self.console_app.draft.references
        marked = {one.removeprefix(begins) for one in held if one.startswith(begins)}
        if marked != self.tags.marked:
            self.tags.marked = marked
            self.tags.refresh()

    def do_next_pane(self) -> None:
        if self.in_tags:
            self.repositories.display = True
            self.repositories.focus()
        else:
            self.do_open()

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self.in_tags:
            self.repositories.display = True
            self.repositories.focus()
            return True
        return False

    def filter_target(self) -> Widget:
        return self.tags if self.tags.display and self._typing_for == "tags" else self.repositories

    def do_filter(self) -> None:
        self._typing_for = "tags" if self.in_tags else "repositories"
        super().do_filter()

    def filter_changed(self, text: str) -> None:
        table = self.tags if self._typing_for == "tags" else self.repositories
        asked = self.share(table, text)
        if self._filters[self._typing_for] == asked:
            return
        self._filters[self._typing_for] = asked
        if self._typing_for == "tags":
            self._load_tags()
        else:
            self.load()

    def reveal(self, reference: str) -> None:
        """Put the cursor on a repository; one that is on a later page is filtered for."""
        self._wanted = reference
        if not self.ready:
            return  # the first page that comes puts it there
        names = [one.name for one in self.repositories.records]
        if reference in names:
            self._wanted = ""
            self.repositories.display = True
            self.repositories.focus()
            self.repositories.move_to(names.index(reference))
        elif self.ready and self._loaded and self._filters["repositories"] != reference:
            self._typing_for = "repositories"
            field = self.query_one("#filter", Input)
            field.display, field.value = True, reference

    def copied(self) -> str:
        tag = self.tags.current
        if self.in_tags and tag is not None:
            return f"{self.repository}@{tag.digest}"
        return self.repositories.current.name if self.repositories.current else ""
