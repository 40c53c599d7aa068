"""Artifact: an image as a tree, the components of its SBOM, its manifest as stored."""

from __future__ import annotations

import json
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.widget import Widget

from appliance.api.common import Page
from appliance.api.content import Artifact, Blocked, Component, Tag
from bundles.errors import LockgateError, NotFoundError
from bundles.io.display import safe
from tui.dialogs.choose import Choose, Option
from tui.dialogs.prompt import Prompt, needed
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import count, moment, size, words
from tui.widgets.json_rows import JsonRows
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.widgets.tree import Node, TreeRows
from tui.wording.artifact_tree import parts, tree
from tui.wording.retirement import retirement

_OTHER: Final = "another reference"


class ArtifactScreen(StationScreen):
    name_of: ClassVar[str] = "artifact"
    beside_from: ClassVar[int] = 136
    """From here on the artifact's digest stays on one line beside the details."""

    def __init__(self, reference: str) -> None:
        super().__init__()
        self.reference = reference
        self.artifact: Artifact | None = None
        self.sbom_of = ""
        self._layers: dict[str, str] = {}
        """The manifest of each layer that the tree shows."""

    def body(self) -> ComposeResult:
        look = self.look
        yield Panel(look, "Artifact", ident="facts")
        yield TreeRows(look, "Tree", ident="tree")
        table = Table[Component](
            look,
            "Components",
            (
                Column("component", lambda one: safe(one.name)),
                Column("version", lambda one: safe(one.version), 18),
                Column("type", lambda one: safe(one.type), 11),
                Column("licence", lambda one: words(one.licenses), 18),
            ),
            key=lambda one: one.purl or f"{one.name} {one.version}",
            ident="components",
            empty="no SBOM here",
        )
        table.display = False
        yield table
        for title, ident in (("Manifest", "manifest"), ("Configuration", "config")):
            document = JsonRows(look, title, ident=ident, empty="it has none")
            document.display = False
            yield document
        yield Panel(look, ident="detail")

    @property
    def branches(self) -> TreeRows:
        return self.query_one("#tree", TreeRows)

    @property
    def table(self) -> Table[Component]:
        return self.query_one("#components", Table)

    def load(self) -> None:
        self.ask(lambda station: station.artifact(self.reference), self.show_artifact,
                 places=[self.query_one("#facts", Panel), self.branches])  # fmt: skip
        if self.sbom_of:
            self._load_components()

    def show_artifact(self, artifact: Artifact) -> None:
        if artifact == self.artifact:
            return
        self.artifact = artifact
        self.query_one("#facts", Panel).show(self._facts(artifact))
        self._layers |= {layer.digest: artifact.digest for layer in artifact.layers}
        self.branches.show(tree(artifact, self.look))
        self.query_one("#manifest", JsonRows).show(artifact.raw)
        config = json.dumps(artifact.config, ensure_ascii=False) if artifact.config is not None else ""
        self.query_one("#config", JsonRows).show(config)

    def _facts(self, artifact: Artifact) -> list[list[Span]]:
        signed = any(one.kind == "signature" for one in artifact.referrers)
        signature = "[ok] carries a signature" if signed else "[--] no signature"
        sbom = "[ok] has an SBOM" if artifact.sboms else "[--] no SBOM of its own"
        why = artifact.blocked
        return [
            *(
                []
                if why is None
                else [fact("state", f"[!!] blocked, nobody may pull it: {safe(why)}", "bad", name_width=7)]
            ),
            *(
                []
                if artifact.retired is None
                else [fact("state", f"[!!] {retirement(artifact.retired)}", "need", name_width=7)]
            ),
            fact("name", safe(artifact.reference), "title", name_width=7),
            fact("digest", safe(artifact.digest), name_width=7),
            fact("kind", f"{safe(artifact.kind)}, {size(artifact.total_size)}   {signature}   {sbom}", name_width=7),
        ]

    def on_tree_rows_opened(self, message: TreeRows.Opened) -> None:
        node, repository = message.node, self.repository

        def show(artifact: Artifact) -> None:
            self._layers |= {layer.digest: artifact.digest for layer in artifact.layers}
            node.children, node.wanted = parts(artifact, self.look), False
            self.branches.rebuilt()

        def refused(error: LockgateError) -> None:
            node.open = False
            self.branches.rebuilt()
            self.say("bad", error.diagnostics())

        self.ask(
            lambda station: station.artifact(f"{repository}@{node.digest}"),
            show,
            group=f"node {node.digest}",
            otherwise=refused,
        )

    @property
    def repository(self) -> str:
        name = self.reference.partition("@")[0]
        return name.rpartition(":")[0] or name

    def _show_pane(self, name: str) -> None:
        for pane in self.query(RowList):
            pane.display = pane.id == name
            if pane.id == name:
                pane.focus()
        self._detail()
        self.frame_changed()

    def do_tree(self) -> None:
        self._show_pane("tree")

    def do_manifest(self) -> None:
        self._show_pane("manifest")

    def do_config(self) -> None:
        self._show_pane("config")

    def do_components(self) -> None:
        artifact = self.artifact
        if artifact is None:
            return
        node = self.branches.current
        wanted = artifact.digest
        if artifact.platforms:
            digests = [one.digest for one in artifact.platforms]
            wanted = node.digest if node is not None and node.digest in digests else digests[0]
        elif artifact.sboms:
            wanted = artifact.sboms[0].digest
        if wanted != self.sbom_of:
            self.sbom_of = wanted
            self.table.show(())
            self.table.answered = False
            self._load_components()
        self._show_pane("components")

    def _load_components(self) -> None:
        wanted = self.table.held
        self.ask(
            lambda station: station.sbom(self.sbom_of, matching=wanted),
            self.show_components,
            group="sbom",
            otherwise=self._no_components,
            places=[self.table],
        )

    def show_components(self, page: Page[Component]) -> None:
        self.table.empty = "the SBOM names no component"
        self.table.title = f"Components{self._platform()}"
        self.table.show(page.items, page.next)

    def _platform(self) -> str:
        if self.artifact is not None:
            for one in self.artifact.platforms:
                if one.digest == self.sbom_of:
                    return f" of {safe(one.platform)}"
        return ""

    def _no_components(self, error: LockgateError) -> None:
        if isinstance(error, NotFoundError):
            self.table.empty = "no SBOM: a bundle that carries the image makes one (lockgate bundle build)"
            self.table.show(())
        self.say("note", error.diagnostics())

    def on_table_more(self, message: Table.More) -> None:
        wanted = self.table.held
        self.ask(
            lambda station: station.sbom(self.sbom_of, matching=wanted, after=message.after),
            lambda page: self.table.extend(page.items, page.next),
            group="sbom",
        )

    def do_filter(self) -> None:
        if not self.table.display:
            self.do_components()
        super().do_filter()

    def do_sort(self) -> None:
        if not self.table.display:
            self.do_components()
        super().do_sort()

    def do_columns(self) -> None:
        if not self.table.display:
            self.do_components()
        super().do_columns()

    def filter_target(self) -> Widget:
        return self.table

    def filter_changed(self, text: str) -> None:
        before = self.table.held
        if self.share(self.table, text) != before:
            self._load_components()

    def moved(self, rows: RowList | None) -> None:
        self._detail()

    def _detail(self) -> None:
        lines: list[list[Span]] = [[("", "plain")]]
        if self.table.display and self.table.current is not None:
            lines = [[(safe(self.table.current.purl), "plain")]]
        elif self.branches.display and self.branches.current is not None:
            node = self.branches.current
            lines = [[(safe(node.digest), "plain")], [(node.note, "plain")]]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.artifact

    def do_open(self) -> None:
        node = self.branches.current
        if not self.branches.display or node is None:
            return
        if node.digest in self._layers and not node.branch:
            manifest = self._layers[node.digest]
            self.console_app.open_further("layer", f"{self.repository}@{manifest} {node.digest}")
        else:
            self.branches.toggle()

    def do_compare(self) -> None:
        """Ask with which other artifact, the tags of the same repository first."""
        if self.artifact is not None:
            self.ask(lambda station: station.tags(self.repository), self._ask_other, group="act",
                     otherwise=lambda _: self._ask_other(Page(())))  # fmt: skip

    def _ask_other(self, page: Page[Tag]) -> None:
        named = [f"{self.repository}:{tag.tag}" for tag in page.items]
        options = [
            Option(name, safe(name), f"{safe(tag.kind)}, {size(tag.total_size)}, {moment(tag.updated)}")
            for name, tag in zip(named, page.items, strict=True)
            if name != self.reference
        ]
        options.append(Option(_OTHER, "another reference", "type it"))
        question = f"Compare {safe(self.reference)} with which?"
        prompt = Prompt(question, "A reference: repository:tag or repository@digest.", check=needed)

        def compare(other: str | None) -> None:
            if other:
                self.console_app.open_further("difference", f"{self.reference} {other.strip()}")

        def chosen(values: tuple[str, ...] | None) -> None:
            if values == (_OTHER,):
                self.console_app.push_screen(prompt, compare)
            elif values:
                compare(values[0])

        self.console_app.push_screen(Choose(question, options), chosen)

    def do_block(self) -> None:
        artifact = self.artifact
        if artifact is None:
            return
        prompt = Prompt(
            f"Block {safe(artifact.reference)}: why?",
            f"{safe(artifact.digest)} is shown to nobody, in any repository, from the next request on. Clients and the"
            " audit log are told the reason. Blocked (under 9) shows it again.",
            check=needed,
        )
        digest = artifact.digest
        self.console_app.push_screen(prompt, lambda why: self._block(digest, why) if why else None)

    def _block(self, digest: str, why: str) -> None:
        self.ask(lambda station: station.send(Blocked, "/v1/blocks", {"thing": digest, "why": why}), self._blocked,
                 group="act")  # fmt: skip

    def _blocked(self, answer: Blocked) -> None:
        self.say("ok", f"blocked: shown to nobody now; R says where {answer.digest} went")
        self.load()

    def do_signatures(self) -> None:
        self.console_app.open_further("signatures", self.reference)

    def do_policy(self) -> None:
        self.console_app.open_further("policy", self.reference)

    def do_recall(self) -> None:
        if self.artifact is not None:
            self.console_app.open_further("recall", self.artifact.digest)

    def do_pick(self) -> None:
        artifact = self.artifact
        if artifact is None:
            return
        draft = self.console_app.draft.toggle(artifact.reference)
        self.console_app.set_draft(draft)
        word = "picked" if artifact.reference in draft.references else "taken out"
        self.say("ok", f"{artifact.reference} {word}; the new bundle holds {count(len(draft.references), 'artifact')}")

    def do_next_pane(self) -> None:
        panes = [pane.id or "" for pane in self.query(RowList)]
        current = next((pane.id or "" for pane in self.query(RowList) if pane.display), panes[0])
        following = panes[(panes.index(current) + 1) % len(panes)]
        {
            "tree": self.do_tree,
            "components": self.do_components,
            "manifest": self.do_manifest,
            "config": self.do_config,
        }[following]()

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if not self.branches.display:
            self.do_tree()
            return True
        return False

    def copied(self) -> str:
        node: Node | None = self.branches.current
        if self.table.display and self.table.current is not None:
            return self.table.current.purl
        return node.digest if node is not None and node.digest else self.artifact.digest if self.artifact else ""

    def as_text(self) -> str:
        return "\n".join([self.query_one("#facts", Panel).as_text(), super().as_text()])
