"""The man pages, as release/manual/pages.toml says what is in each. What they tell stands in help and docs/ alone."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from release.documents import documents
from release.manual import roff
from release.manual.commands import describe_command, describe_examples, make_context, mark_text, summary_of
from release.manual.markdown import Renderer, find_section

ROOT = Path(__file__).resolve().parents[2]
TABLE: dict[str, Any] = tomllib.loads(Path(__file__).with_name("pages.toml").read_text())
_VERB = re.compile(r" +([a-z]+) {2,}(.+)")


@dataclass(frozen=True)
class Page:
    """`command`, `script` or `page` is where its help comes from; pages.toml has the meaning of each."""

    name: str
    section: int
    summary: str = ""  # of a command its help has it
    command: str = ""
    script: str = ""
    page: str = ""
    docs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"man/man{self.section}/{self.name}.{self.section}"

    def load(self) -> click.Command:
        module, _, attribute = self.command.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


PAGES = [Page(**page) for page in TABLE["page"]]


def reference(page: Page) -> str:
    return f"{roff.bold(page.name)}({page.section})"


_RENDERER = Renderer(
    {page.page: reference(page) for page in PAGES if page.page}
    | {"docs/commands.md": next(reference(page) for page in PAGES if page.name == "tinysnitch")}
)


def write_page(page: Page, date: str, version: str) -> str:
    command = page.load() if page.command else None
    summary = summary_of(command) if command else page.summary
    lines = roff.title(page.name, page.section, date, f"tinysnitch {version}")
    lines += [*roff.heading("name"), f"{roff.escape(page.name)} \\- {roff.escape(summary)}"]
    if command:
        lines += describe_command(make_context(command, page.name))
    elif page.script:
        lines += _describe_script(page)
    else:
        lines += [*roff.heading("synopsis"), *map(roff.bold, page.files[:1]), *roff.heading("description")]
    if page.page:
        lines += _RENDERER.render((ROOT / page.page).read_text(), 2)
    for heading in page.docs:
        if command:
            lines += roff.heading("notes" if heading == page.name else heading)
        lines += _RENDERER.render(*find_section(documents(ROOT), heading))
    lines += _tables(page)
    lines += describe_examples(command) if command else []
    others = ",\n".join(reference(each) for each in PAGES if each != page)
    return roff.whole_page([*lines, *roff.heading("see also"), others])


def _describe_script(page: Page) -> Iterator[str]:
    """Of the comment that a script begins with, a line such as `  open  removes it` says what one of its words does."""
    _shebang, *lines = (ROOT / page.script).read_text().splitlines()
    comment = [line.removeprefix("#") for line in takewhile(lambda line: line.startswith("#"), lines)]
    verbs = {found[1]: found[2] for line in comment if (found := _VERB.fullmatch(line))}
    yield from roff.heading("synopsis")
    yield " | ".join(map(roff.bold, verbs)).join((f"{roff.bold(page.name)} ", ""))
    yield from roff.heading("description")
    yield from roff.paragraph(mark_text(" ".join(line for line in comment if not _VERB.fullmatch(line))))
    for verb, text in verbs.items():
        yield from roff.tagged(roff.bold(verb), mark_text(text))


def _tables(page: Page) -> Iterator[str]:
    if page.command or page.script:
        yield from roff.heading("exit status")
        codes = TABLE["exit"] if page.command else {"0": "fine", "1": "failed"}
        for code, text in codes.items():
            yield from roff.tagged(roff.bold(code), mark_text(text))
    for name in ("environment", "files"):
        entries = getattr(page, name)
        if entries:
            yield from roff.heading(name)
        for entry in entries:
            yield from roff.tagged(roff.bold(entry), mark_text(TABLE[name][entry]))
