"""Text as a man page has it: groff's man(7), in what mandoc reads, too. All in ASCII.

Whoever writes a block gives it escaped text: `escape` for plain text, `bold` and `italic` for what stands out.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence

_SPECIAL = {"\\": "rs", "'": "aq", "`": "ga", "^": "ha", "~": "ti", '"': "dq"}
_LONGEST_TAG = 70
_LONGEST_LITERAL = 73
_COMMENT = re.compile(r"(.*\S) {2,}# (.*)")
_WIDTH = 78  # of the source: nothing that a reader sees
_SENTENCE_END = re.compile(r"(?<=[.!?])(\\f[A-Z])? (?=[A-Z\\(])")


def escape(text: str) -> str:
    """A hyphen becomes what a reader can copy into a shell."""
    return "".join(map(_escape_one, text))


def _escape_one(character: str) -> str:
    if character == "-":
        return "\\-"
    if name := _SPECIAL.get(character):
        return f"\\[{name}]"
    return character if character.isascii() else f"\\[u{ord(character):04X}]"


def bold(text: str) -> str:
    return f"\\fB{escape(text)}\\fR"


def italic(text: str) -> str:
    return f"\\fI{escape(text)}\\fR"


def fill(text: str) -> list[str]:
    """Lines that are filled anew. A sentence begins a line, so that the blank behind each is the same."""
    sentences = _SENTENCE_END.sub(lambda found: f"{found[1] or ''}\n", " ".join(text.split())).split("\n")
    lines = (
        line
        for each in sentences
        for line in textwrap.wrap(each, _WIDTH, break_long_words=False, break_on_hyphens=False)
    )
    return [protect(line) for line in lines]


def protect(line: str) -> str:
    """A line of text, which no dot at its beginning makes a request."""
    return f"\\&{line}" if line.startswith(".") else line


def title(name: str, section: int, date: str, source: str) -> list[str]:
    return [f'.TH "{escape(name.upper())}" {section} "{date}" "{source}"', ".nh", ".ds AD l"]


def heading(text: str) -> list[str]:
    return [f'.SH "{escape(text.upper())}"']


def subheading(text: str) -> list[str]:
    return [f'.SS "{escape(text)}"']


def paragraph(text: str) -> list[str]:
    return [".PP", *fill(text)]


def whole_page(lines: Iterable[str]) -> str:
    """All lines; without paragraphs that begin where a section does, as each section begins one."""
    kept: list[str] = []
    for line in lines:
        if line != ".PP" or not kept[-1].startswith((".SH", ".SS")):
            kept.append(line)
    return "\n".join(kept) + "\n"


def tagged(tag: str, *texts: str) -> list[str]:
    """A word and, indented, what it means, each text on lines of its own. Of a long word man(7) would lose the end."""
    lines = [line for text in texts for line in (".br", *fill(text))][1:]
    if len(tag) > _LONGEST_TAG:
        return [".PP", *fill(tag), ".RS 7", *lines, ".RE"]
    return [".TP", protect(tag), *lines]


def literal(lines: Sequence[str]) -> list[str]:
    """Lines as they are, a little indented. If 80 columns lack the room, comments go above what they are about, and
    columns close up."""
    if max(map(len, lines)) > _LONGEST_LITERAL:
        lines = [each for line in lines for each in _fold(line)]
    text = [".EX", *(protect(escape(line)) for line in lines), ".EE"]
    return text if max(map(len, lines)) > _LONGEST_LITERAL - 2 else [".RS 2", *text, ".RE"]


def _fold(line: str) -> list[str]:
    found = _COMMENT.fullmatch(line)
    parts = [f"# {found[2]}", found[1]] if found else [line]
    return [
        each
        for part in parts
        for each in textwrap.wrap(_close_up(part), _LONGEST_LITERAL, drop_whitespace=False) or [""]
    ]


def _close_up(line: str) -> str:
    """With as few blanks between its columns as it needs to fit."""
    tries = (line, re.sub(r"(?<=\S) {2,}", "  ", line), re.sub(r"(?<=\S) +", " ", line))
    return next((each for each in tries if len(each) <= _LONGEST_LITERAL), line)


def item(mark: str, width: int) -> list[str]:
    return [f".IP {mark} {width}"]


def indented(lines: Iterable[str]) -> list[str]:
    return [".RS", *lines, ".RE"]
