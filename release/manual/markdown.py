"""Markdown as roff: a page of docs/, or a section of one that is found by its heading.

A table of two columns becomes a list of words with what each means, and one of more columns says before each further
cell which column it is. A table of options is left out: the page has them from the help. Pictures are left out, and of
links into docs/ the address; a text that names a file of docs/ which is also a man page names that.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from release.manual import roff

_PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


def find_section(pages: Sequence[Path], heading: str) -> tuple[str, int]:
    """What stands below a heading, up to the next one that is as high, and the heading's depth.

    Raises SystemExit unless there is one such."""
    found = [(page, section) for page in pages for section in _sections(page.read_text(), heading)]
    if len(found) != 1:
        places = ", ".join(page.name for page, _section in found) or "no page"
        raise SystemExit(
            f"error: {heading!r} must head one section of the documentation: {places} has it\n"
            "hint: release/manual/pages.toml names the headings that man pages take: change both"
        )
    return found[0][1]


def _sections(text: str, heading: str) -> Iterator[tuple[str, int]]:
    lines = text.splitlines()
    headings = [token for token in _PARSER.parse(text) if token.type == "heading_open"]
    for number, token in enumerate(headings):
        first, last = token.map or (0, 0)
        if lines[first].lstrip("# ") == heading:
            ends = (each.map[0] for each in headings[number + 1 :] if each.map and each.tag <= token.tag)
            yield "\n".join(lines[last : next(ends, len(lines))]), int(token.tag[1])


class Renderer:
    """`manual` has the file of docs/ that became a man page, and the page's name."""

    def __init__(self, manual: Mapping[str, str]) -> None:
        self._manual = manual

    def render(self, text: str, depth: int) -> list[str]:
        """`depth`: of headings that are sections of the page; deeper ones are below these, higher ones left out."""
        return list(self._blocks(SyntaxTreeNode(_PARSER.parse(text)).children, depth))

    def _blocks(self, nodes: Sequence[SyntaxTreeNode], depth: int = 0) -> Iterator[str]:
        for node in nodes:
            match node.type:
                case "heading":
                    below = int(node.tag[1]) - depth
                    if below >= 0:
                        yield from roff.subheading(_plain(node)) if below else roff.heading(_plain(node))
                case "paragraph":
                    if text := self._inline(node):
                        yield from roff.paragraph(text)
                case "fence" | "code_block":
                    yield from [".PP", *roff.literal(node.content.rstrip("\n").split("\n"))]
                case "bullet_list" | "ordered_list":
                    yield from self._list(node)
                case "table":
                    yield from self._table(node)
                case "html_block":
                    pass
                case _:
                    raise SystemExit(f"error: {node.type} has no form in a man page\nhint: write it otherwise in docs/")

    def _list(self, node: SyntaxTreeNode) -> Iterator[str]:
        is_ordered = node.type == "ordered_list"
        for number, each in enumerate(node.children, 1):
            first, *others = each.children
            yield from roff.item(f"{number}." if is_ordered else r"\(bu", 3 if is_ordered else 2)
            yield from roff.fill(self._inline(first))
            if others:
                yield from roff.indented(list(self._blocks(others)))

    def _table(self, node: SyntaxTreeNode) -> Iterator[str]:
        head, body = node.children
        (titles,) = ([_plain(cell) for cell in row.children] for row in head.children)
        if all(_plain(row.children[0]).startswith("--") for row in body.children):
            return
        for row in body.children:
            tag, *cells = (self._inline(cell) for cell in row.children)
            if len(cells) > 1:
                cells = [
                    f"{roff.italic(title)}: {cell}" if title else cell
                    for title, cell in zip(titles[1:], cells, strict=True)
                    if cell
                ]
            yield from roff.tagged(tag, *cells)

    def _inline(self, node: SyntaxTreeNode) -> str:
        if node.type == "image":
            return ""
        if not node.children:
            return self._word(node)
        text = "".join(self._inline(child) for child in node.children)
        match node.type:
            case "strong":
                return f"\\fB{text}\\fR"
            case "em":
                return f"\\fI{text}\\fR"
            case "link":
                target = str(node.attrs["href"])
                if target.startswith("http"):
                    return f"{text} <{roff.escape(target)}>"
                return self._manual.get(f"docs/{_plain(node)}", text)
        return text

    def _word(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "text":
                return roff.escape(node.content)
            case "code_inline":
                return roff.bold(node.content)
            case "softbreak" | "hardbreak":
                return " "
        return ""  # a comment


def _plain(node: SyntaxTreeNode) -> str:
    if node.type in ("text", "code_inline"):
        return node.content
    return "".join(map(_plain, node.children))
