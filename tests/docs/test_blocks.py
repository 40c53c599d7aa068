"""How a page's blocks are read: prompts, continued lines, promised output and statuses, markers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import blocks, printed_as

PAGE = """
```
outside$ one --a \\
  --b
printed …
inside$ two   # exit status 4: it waits
# three
```

<!-- not run (systemd): it needs a manager of services -->
```
systemctl start x
```

1. In a list:
   ```
   four
   five
   ```

```toml
# collection.toml: relative
a = 1
```

```sh name
for x in 1; do
  echo $x
done
```

```json
{}
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path / "page.md"


def test_commands_have_a_shell_a_status_and_what_they_print(page: Path) -> None:
    first, marked, listed, file, script, other = blocks(page)
    assert [(one.shell, one.text, one.status, one.printed) for one in first.commands()] == [
        ("outside", "one --a \\\n  --b", 0, ["printed …"]),
        ("inside", "two   # exit status 4: it waits", 4, []),
        ("", "three", 0, []),
    ]
    assert (marked.kind, marked.reason) == ("systemd", "it needs a manager of services")
    assert [one.text for one in listed.commands()] == ["four", "five"]
    assert (file.file, file.is_commands) == ("collection.toml", False)
    assert [one.text for one in script.commands()] == ["for x in 1; do\n  echo $x\ndone"]
    assert (other.is_commands, other.file) == (False, "")


@pytest.mark.parametrize(
    "marker", ["<!-- not run -->", "<!-- not run (mood): no -->", "<!-- not run (systemd): why -->\ntext"]
)
def test_a_marker_that_is_wrong_or_marks_nothing_is_an_error(marker: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"{marker}\n```\none\n```\n")
    with pytest.raises(AssertionError):
        blocks(tmp_path / "page.md")


def test_a_block_without_an_end_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("```\none\n")
    with pytest.raises(AssertionError):
        blocks(tmp_path / "page.md")


def test_a_promise_has_wildcards() -> None:
    assert printed_as("code: XXXX-XXXX, …").search("a code: AB12-CD34, and more")
    assert not printed_as("code: XXXX").search("code: ab")
