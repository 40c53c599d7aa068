"""The questions behind the rows of the new bundle's form."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from appliance.api.bundles import Medium
from appliance.api.trust import OwnKey, TrustedKey
from bundles.io.display import safe
from bundles.io.typed_paths import typed_path
from tui.decisions.building import (
    PINNED_HERE,
    check_names,
    check_path,
    check_site,
    check_size,
    known_sites,
    names_in_file,
    signing_keys,
)
from tui.decisions.signing import Offer
from tui.dialogs.choose import Choose, Option
from tui.dialogs.confirm import Confirm
from tui.dialogs.path_prompt import PathPrompt
from tui.dialogs.prompt import Prompt
from tui.guides.new_bundle import FULL, LAST, VOLUMES
from tui.screens.trust.signing import SigningScreen
from tui.terminal.texts import size, words

_OTHER, _FILE = "another", "\0file"
_PICK, _PATTERN, _LIST, _CHANGED = "\0pick", "\0pattern", "\0list", "\0changed"
_WAYS = frozenset({_PICK, _PATTERN, _LIST, _CHANGED})
"""Ways to name artifacts, among the options that are names; no name is called so."""


class BundleFields(SigningScreen):
    """The base of the screen of a new bundle."""

    def draft_changed(self) -> None:
        """The draft is another one: paint it."""
        raise NotImplementedError

    def change(self, field: str) -> None:
        """Ask for a field's value."""
        match field:
            case "references":
                self._change_references()
            case "to":
                self.ask(known_sites, self._change_to, group="field")
            case "since":
                self._change_since()
            case "media":
                self.ask(lambda station: station.media(), self._change_media, group="field")
            case "volume":
                self._change_volume()
            case "key":
                self.ask(signing_keys, self._change_key, group="field")
            case "cosigners":
                self.ask(lambda station: station.trust(), self._change_cosigners, group="field")
            case _:
                self._write(
                    f"New bundle: {field.capitalize()}?",
                    field,
                    "It is written into the manifest and shown to approvers.",
                )

    def _set(self, **fields: object) -> None:
        self.console_app.set_draft(self.console_app.draft.change(**fields))
        self.draft_changed()

    def _write(self, title: str, field: str, explain: str) -> None:
        prompt = Prompt(title, explain, value=str(getattr(self.console_app.draft, field)))
        self.console_app.push_screen(
            prompt, lambda text: self._set(**{field: text.strip()}) if text is not None else None
        )

    def _change_references(self) -> None:
        draft = self.console_app.draft
        options = [
            *(Option(one, safe(one)) for one in draft.references),
            Option(_PICK, "pick them", "in Repositories, one by one"),
            Option(_PATTERN, "a pattern", "team/** or team/*:1.*, or REPO for all its tags"),
            Option(_LIST, "a list", "a file of lines, or a collection.toml"),
            Option(_CHANGED, "only what has changed", "since the destination was sent it last; alone: of everything"),
        ]
        marked = (*draft.references, *((_CHANGED,) if draft.changed else ()))
        explain = "What is marked is carried (space). The plan (p) shows what patterns stand for."
        self.console_app.push_screen(
            Choose("New bundle: Carry which artifacts?", options, explain, several=True, marked=marked,
                   acts=(_PICK, _PATTERN, _LIST)),
            self._references_chosen,
        )  # fmt: skip

    def _references_chosen(self, chosen: tuple[str, ...] | None) -> None:
        if chosen is None:
            return
        kept = tuple(one for one in chosen if one not in _WAYS)
        if kept != self.console_app.draft.references or (_CHANGED in chosen) != self.console_app.draft.changed:
            self._set(references=kept, changed=_CHANGED in chosen)
        if _PATTERN in chosen:
            prompt = Prompt(
                "New bundle: Which artifacts?", "Patterns or names, as team/** charts/payments:*", check=check_names
            )
            self.console_app.push_screen(prompt, lambda text: self._add(text.split()) if text else None)
        elif _LIST in chosen:
            prompt = PathPrompt("New bundle: Which list?", "A file with a REF a line, or a collection.toml.")
            self.console_app.push_screen(prompt, lambda path: self._read_list(path) if path else None)
        elif _PICK in chosen:
            self.console_app.show_root("repositories")
            self.console_app.call_later(
                self.console_app.tell, "note", "enter opens a repository, space picks an artifact, 3 comes back"
            )

    def _add(self, names: Sequence[str]) -> None:
        self.console_app.set_draft(self.console_app.draft.add(names))
        self.draft_changed()

    def _read_list(self, path: str) -> None:
        file = str(typed_path(path.strip()))
        self.ask(lambda station: asyncio.to_thread(names_in_file, file), self._add, group="field")

    def _one_or_typed(self, field: str, ask: Choose, prompt: Prompt) -> None:
        """One of the options, or (where _OTHER is chosen) what is typed."""

        def typed(text: str | None) -> None:
            if text:
                self._set(**{field: text})

        def chosen(values: tuple[str, ...] | None) -> None:
            if values == (_OTHER,):
                self.console_app.push_screen(prompt, typed)
            elif values:
                self._set(**{field: values[0]})

        self.console_app.push_screen(ask, chosen)

    def _change_to(self, sites: tuple[str, ...]) -> None:
        options = [Option(site, safe(site)) for site in sites]
        options.append(Option(_OTHER, "another site", "type its name"))
        prompt = Prompt("New bundle: To which site?", "The name that the other station was given.", check=check_site)

        def typed(text: str | None) -> None:
            if not text:
                return
            if not sites or text in sites:
                self._set(to=text, new_site=False)
                return
            known = f"No bundle was ever made for it. Known: {words(sites)}."
            self.console_app.push_screen(
                Confirm(f"Is {text} a new site?", known),
                lambda is_new: self._set(to=text, new_site=True) if is_new else None,
            )

        def chosen(values: tuple[str, ...] | None) -> None:
            if values == (_OTHER,):
                self.console_app.push_screen(prompt, typed)
            elif values:
                self._set(to=values[0], new_site=False)

        self.console_app.push_screen(Choose("New bundle: To which site?", options), chosen)

    def _change_since(self) -> None:
        options = [
            Option(FULL, "nothing", "everything is carried"),
            Option(LAST, "what is known to be there", "by its last receipt, or by what was sent"),
            Option(_OTHER, "a receipt or want-list", "that came back: type its path"),
        ]
        taken = self.console_app.draft.since
        marked = (taken if taken in (FULL, LAST) else _OTHER,)
        explain = "What is known to be there is not carried again; see Deltas."
        prompt = PathPrompt(
            "New bundle: Which receipt or want-list?", "A file; its .sig lies beside it.", check=check_path
        )
        self._one_or_typed("since", Choose("New bundle: Base of this delta?", options, explain, marked=marked), prompt)

    def _change_media(self, media: Sequence[Medium]) -> None:
        taken = self.console_app.draft.media
        options = [
            Option(
                medium.path,
                safe(medium.path),
                f"{safe(medium.label)} {safe(medium.filesystem)}, {size(medium.free)} free",
                "read-only" if medium.read_only else "",
            )
            for medium in media
        ]
        mounted = {medium.path for medium in media}
        options.extend(Option(path, safe(path), "a folder") for path in taken if path not in mounted)
        options.append(Option(_OTHER, "a folder", "type its path"))
        writable = [medium.path for medium in media if not medium.read_only]
        self.console_app.push_screen(
            Choose("New bundle: Write to which media?", options, "Several are filled in this order.", several=True,
                   marked=taken or tuple(writable if len(writable) == 1 else ())),
            self._media_chosen,
        )  # fmt: skip

    def _media_chosen(self, chosen: tuple[str, ...] | None) -> None:
        if chosen is None:
            return
        paths = tuple(path for path in chosen if path != _OTHER)
        if _OTHER not in chosen:
            self._set(media=paths)
            return
        prompt = PathPrompt("New bundle: Which folder?", "The bundle's own folder is made in it.", check=check_path)
        self.console_app.push_screen(prompt, lambda text: self._set(media=(*paths, text)) if text else None)

    def _change_volume(self) -> None:
        options = [Option(value, value, detail) for value, detail in VOLUMES]
        options.append(Option(_OTHER, "another size", "such as 40MB or 4GiB"))
        ask = Choose("The largest volume file?", options, marked=(self.console_app.draft.volume,))
        prompt = Prompt("The largest volume file?", "A size such as 40MB or 4GiB.", check=check_size)
        self._one_or_typed("volume", ask, prompt)

    def _change_key(self, found: tuple[Sequence[OwnKey], frozenset[str]]) -> None:
        own, known = found
        by_name = {key.name: key for key in own if not key.station}
        options = [Option(key.name, safe(key.name), key.keyid) for key in by_name.values()]
        options.append(Option(_FILE, "a key in a file", "type its path"))

        def chosen(names: tuple[str, ...] | None) -> None:
            if names and names[0] == _FILE:
                self._ask_key_file(known)
            elif names:
                self._key_chosen(by_name[names[0]])

        if by_name:
            self.console_app.push_screen(Choose("Who signs?", options, marked=(self.console_app.draft.key,)), chosen)
        else:
            self._ask_key_file(known)

    def _ask_key_file(self, known: frozenset[str]) -> None:
        """A key in a file is opened once now, which tells its id, and once more to sign."""
        explain = "The manifest names who signs. The key is let go of until it signs."
        self.choose_key("New bundle", Offer((), known, PINNED_HERE), explain, lambda key, _: self._key_chosen(key))

    def _key_chosen(self, key: OwnKey) -> None:
        self._set(key=key.name, keyid=key.keyid)

    def _change_cosigners(self, keys: Sequence[TrustedKey]) -> None:
        options = [
            Option(key.keyid, key.keyid, safe(key.owner))
            for key in keys
            if "bundle" in key.purposes and not key.revoked and key.keyid != self.console_app.draft.keyid
        ]
        self.console_app.push_screen(
            Choose("Who must sign too?", options, "Until they have, the bundle is incomplete.", several=True,
                   marked=self.console_app.draft.cosigners),
            lambda chosen: self._set(cosigners=chosen) if chosen is not None else None,
        )  # fmt: skip
