"""A question answered by choosing from a list, one thing or several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult

from tui.dialogs.dialog import Dialog
from tui.terminal.look import Look
from tui.terminal.texts import fit
from tui.widgets.rows import RowList, Span


@dataclass(frozen=True)
class Option:
    """A choice: `value` is the answer, `label` and `detail` are fit for display; `reason` says why it cannot be
    chosen."""

    value: str
    label: str
    detail: str = ""
    reason: str = ""


class OptionRows(RowList):
    """The options as rows; marked ones carry a star."""

    DEFAULT_CSS = "OptionRows { height: auto; }"

    def __init__(self, look: Look, options: Sequence[Option], marked: Sequence[str] = ()) -> None:
        super().__init__(look)
        self.options = list(options)
        self.marked = set(marked)
        self.several = False
        self.acts: frozenset[str] = frozenset()
        self.followed = True

    @property
    def row_count(self) -> int:
        return len(self.options)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return max(min(len(self.options), 12), 1)

    def row(self, index: int, width: int) -> Sequence[Span]:
        option = self.options[index]
        label = option.label
        if self.several:
            box = "    " if option.value in self.acts else "[x] " if option.value in self.marked else "[ ] "
            label = f"{box}{label}"
        detail = option.reason or option.detail
        wide = min(max((len(one.label) for one in self.options), default=0) + (4 if self.several else 0), width)
        role = "wait" if option.reason else "plain"
        return [
            (fit(label, wide, self.look.ellipsis), role),
            (fit(f"  {detail}", width - wide, self.look.ellipsis), "note" if option.reason else "plain"),
        ]


class Choose(Dialog[tuple[str, ...]]):
    """The values chosen, in the options' order; one unless `several`. With `or_current` the one under the cursor is
    chosen where none is marked. `acts` are options that are not marked: enter on one chooses it besides what is."""

    more = "left/right"
    scrolls_by: ClassVar[dict[str, int]] = {"left": -1, "right": 1}

    def __init__(
        self,
        title: str,
        options: Sequence[Option],
        explain: str = "",
        *,
        several: bool = False,
        or_current: bool = False,
        marked: Sequence[str] = (),
        acts: Collection[str] = (),
    ) -> None:
        super().__init__(title, explain)
        self._acts = frozenset(acts)
        self._or_current = or_current
        self._options = tuple(options)
        self._several = several
        self._marked = tuple(marked)
        if several:
            self.hint = "space: mark   enter: go on   esc: back"

    def body(self) -> ComposeResult:
        rows = OptionRows(self.console_app.look, self._options, self._marked)
        rows.several, rows.acts = self._several, self._acts
        places = range(len(self._options))
        free = (place for place in places if not self._options[place].reason)
        marked = (place for place in places if self._options[place].value in self._marked)
        rows.cursor = next(marked, next(free, 0))
        yield rows

    def pressed(self, key: str) -> bool:
        rows = self.query_one(OptionRows)
        if key != "space" or not self._several or not self._options:
            return False
        option = self._options[rows.cursor]
        if not option.reason and option.value not in self._acts:
            rows.marked ^= {option.value}
            rows.refresh()
        return True

    def accept(self) -> None:
        rows = self.query_one(OptionRows)
        if self._options and self._options[rows.cursor].value in self._acts:
            act = self._options[rows.cursor].value
            self.dismiss((*(one.value for one in self._options if one.value in rows.marked), act))
        elif self._several and (rows.marked or not self._or_current):
            self.dismiss(tuple(option.value for option in self._options if option.value in rows.marked))
        elif self._options and not self._options[rows.cursor].reason:
            self.dismiss((self._options[rows.cursor].value,))
