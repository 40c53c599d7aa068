"""A few answers asked for at once: a line each, one below the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from bundles.io.display import safe
from tui.dialogs.dialog import Dialog
from tui.dialogs.path_prompt import PathSuggester

_NAME = 16


@dataclass(frozen=True)
class Field:
    """A line: `name` stands before it, `check` says what is wrong with its text, or nothing."""

    key: str
    name: str
    value: str = ""
    hint: str = ""
    check: Callable[[str], str] = lambda text: ""
    path: bool = False
    """Whether it is a path: the first one that it can go on with stands behind what is typed, and `right` takes it."""


class Form(Dialog[dict[str, str]]):
    """The answers by their fields' keys, without spaces around them. Enter goes to the next line, and from the last one
    on; a wrong answer keeps the cursor."""

    hint = "enter: next line, at the last one go on   tab: another line   esc: back"
    DEFAULT_CSS = f"""
    Form .field {{ height: 1; }}
    Form .name {{ width: {_NAME}; margin-bottom: 0; }}
    Form #fields-end {{ height: 1; margin-bottom: 0; }}
    """

    def __init__(self, title: str, fields: Sequence[Field], explain: str = "") -> None:
        super().__init__(title, explain)
        self._fields = tuple(fields)

    def body(self) -> ComposeResult:
        for field in self._fields:
            with Horizontal(classes="field"):
                yield Static(field.name, classes="name", markup=False)
                yield Input(field.value, placeholder=field.hint, id=f"field-{field.key}",
                            suggester=PathSuggester() if field.path else None)  # fmt: skip
        yield Static("", id="fields-end")

    def answers(self) -> dict[str, str]:
        """What stands in the lines."""
        return {field.key: self.query_one(f"#field-{field.key}", Input).value.strip() for field in self._fields}

    def accept(self) -> None:
        """The person pressed enter in a line: every line up to it is checked."""
        answers = self.answers()
        place = next(
            (at for at, field in enumerate(self._fields) if self.focused is self.query_one(f"#field-{field.key}")),
            len(self._fields) - 1,
        )
        for field in self._fields[: place + 1]:
            wrong = field.check(answers[field.key])
            if wrong:
                self.query_one("#hint", Static).update(f"[!!] {field.name}: {safe(wrong)}")
                self.set_focus(self.query_one(f"#field-{field.key}", Input))
                return
        self.query_one("#hint", Static).update(self.hint)
        if place + 1 < len(self._fields):
            self.set_focus(self.query_one(f"#field-{self._fields[place + 1].key}", Input))
        else:
            self.dismiss(answers)

    def pressed(self, key: str) -> bool:
        if key in ("up", "down"):
            (self.focus_previous if key == "up" else self.focus_next)("Input")
            return True
        return False
