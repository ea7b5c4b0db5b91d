"""The blocks of README and docs: which commands they have, what is shown of their output, and what is wrong with them.

Every `sh` block and every `$` line of a `console` block is run by tests/lab/test_documented_commands.py. Marks on the
lines before a block say what differs:

    <!-- not run: REASON -->
    <!-- before: COMMAND -->    set-up, run before the block, not shown
    <!-- exits: STATUS -->      of each of its commands, where it is not 0
"""

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from tests.repo.tree import relative, tracked

RUN = ("sh", "console")
SHOWN = ("", "text", "ini", "toml", "yaml", "json", "python", "fish")
_MARK = re.compile(r"<!-- ([a-z ]+): *(.*?) *-->")
_MARKS = ("not run", "before", "exits")
_FENCE = re.compile(r"( *)```(.*)")
_OUR_COMMAND = re.compile(r"(sudo|systemctl|tinysnitch[a-z-]*) \S")
_LIST_ITEM = re.compile(r" *([-*+]|\d+[.)]) ")
# What is another one each time that a command is run: a moment, a time of day, a length of time, a size.
_VARIES = {
    r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z?)?": r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z?)?",
    r"\d\d:\d\d:\d\d": r"\d\d:\d\d:\d\d",
    r"\d+(\.\d+)? (days?|h|min|s|ms|µs|[kMG]?B)\b": r"\d+(\.\d+)? (days?|h|min|s|ms|µs|[kMG]?B)",
    r"…|\.\.\.": r"[\s\S]*",
}


@dataclass(frozen=True)
class Command:
    """What one shell is given. `shown` is the output on the page, empty where none is."""

    text: str
    shown: str = ""


@dataclass
class Block:
    place: str  # PAGE:LINE of its fence
    language: str
    lines: list[str] = field(default_factory=list)
    marks: list[tuple[str, str]] = field(default_factory=list)

    def find_marks(self, word: str) -> list[str]:
        return [text for name, text in self.marks if name == word]

    @property
    def why_not_run(self) -> str:
        return "; ".join(self.find_marks("not run"))

    @property
    def status(self) -> int:
        return int("".join(self.find_marks("exits")) or 0)

    def commands(self) -> list[Command]:
        """A `sh` block is one script, a `console` block a command for each `$`, with what is shown below it."""
        if self.language == "sh":
            return [Command("\n".join(self.lines))]
        if self.language != "console":
            return []
        parts = re.split(r"^\$ ", "\n".join(self.lines), flags=re.MULTILINE)[1:]
        return [Command(text, shown.strip()) for text, _, shown in (part.partition("\n") for part in parts)]


def pages() -> list[Path]:
    """README and all below docs."""
    return [path for path in tracked() if path.suffix == ".md" and re.match(r"README\.md|docs/", relative(path))]


def is_like(shown: str, said: str) -> bool:
    """Whether a command said what the page shows, but for moments, lengths of time, sizes and what `…` stands for."""
    pattern = "".join(
        next((like for kind, like in _VARIES.items() if re.fullmatch(kind, part)), re.escape(part))
        for part in _split(shown.strip())
    )
    return re.fullmatch(pattern, re.sub(r"[ \t]+$", "", said, flags=re.MULTILINE).strip()) is not None


def _split(text: str) -> list[str]:
    """The text in parts: those that vary, and those between them."""
    parts, end = [], 0
    for found in re.finditer("|".join(_VARIES), text):
        parts += [text[end : found.start()], found[0]]
        end = found.end()
    return [*parts, text[end:]]


def read_blocks(page: Path, text: str | None = None) -> tuple[list[Block], list[str]]:
    """The blocks of a page, and what is wrong with them: each problem with its place and a hint."""
    reader = _Reader(relative(page))
    for number, line in enumerate((page.read_text() if text is None else text).splitlines(), 1):
        reader.read(number, line)
    return reader.end()


class _Reader:
    def __init__(self, page: str) -> None:
        self._page = page
        self._blocks: list[Block] = []
        self._problems: list[str] = []
        self._open: Block | None = None
        self._marks: list[tuple[str, str]] = []
        self._is_in_list = self._is_in_code = self._is_after_blank = False

    def read(self, number: int, line: str) -> None:
        place, fence = f"{self._page}:{number}", _FENCE.fullmatch(line)
        if self._open:
            if fence and not fence[2]:
                self._close(self._open)
            else:
                self._open.lines.append(line)
        elif fence:
            self._open = Block(place, fence[2].strip(), marks=self._marks)
            self._refuse_bad_marks(place, self._marks)
            self._marks = []
        elif mark := _MARK.fullmatch(line.strip()):
            self._marks.append((mark[1], mark[2]))
        else:
            self._refuse_lost_marks(place)
            self._read_text(place, line)

    def end(self) -> tuple[list[Block], list[str]]:
        self._refuse_lost_marks(self._page)
        if self._open:
            self._refuse(self._open.place, "this block has no end", "write ``` below it")
        return self._blocks, self._problems

    def _refuse(self, place: str, problem: str, hint: str) -> None:
        self._problems.append(f"{place}: {problem} (hint: {hint})")

    def _read_text(self, place: str, line: str) -> None:
        """An indented line after a blank one is code, unless it continues a list."""
        is_indented, is_blank = re.match(r" {4}|\t", line) is not None, not line.strip()
        if re.match(r" {1,3}[-*+] ", line):
            self._refuse(place, "the site does not see a list in a list here", "indent it by four blanks")
        if is_indented and self._is_after_blank and not self._is_in_list and not self._is_in_code:
            self._refuse(place, "this is code by its indentation alone", "write it between ```sh, or ```text, and ```")
            self._is_in_code = True
        elif not is_indented and not is_blank:
            self._is_in_code = False
            if not line.startswith(" "):
                self._is_in_list = bool(_LIST_ITEM.match(line)) or (self._is_in_list and not self._is_after_blank)
        self._is_after_blank = is_blank

    def _refuse_lost_marks(self, place: str) -> None:
        """Other comments, for other readers, may stand before what is no block."""
        if any(word in _MARKS for word, _ in self._marks):
            self._refuse(place, "no block follows a mark", "write the mark on the line before the ``` of its block")
        self._marks = []

    def _refuse_bad_marks(self, place: str, marks: list[tuple[str, str]]) -> None:
        for word, text in marks:
            if word not in _MARKS:
                self._refuse(place, f"there is no mark '{word}'", f"the marks are: {', '.join(_MARKS)}")
            elif not text or (word == "exits" and not text.isdecimal()):
                self._refuse(place, f"the mark '{word}' says nothing", "write a reason, a command or an exit status")

    def _close(self, block: Block) -> None:
        self._open = None
        self._is_after_blank = False
        self._blocks.append(block)
        block.lines = textwrap.dedent("\n".join(block.lines)).splitlines()
        has_prompts = any(line.startswith("$ ") for line in block.lines)
        if block.language not in (*RUN, *SHOWN):
            known = ", ".join(filter(None, (*RUN, *SHOWN)))
            self._refuse(block.place, f"'{block.language}' is no language that is known here", f"it is one of {known}")
        elif has_prompts != (block.language == "console"):
            self._refuse(block.place, "`$` stands before commands in a console block", "write ```console, or ```sh")
        elif block.language in ("", "text") and any(map(_OUR_COMMAND.match, block.lines)):
            self._refuse(block.place, "this block has a command and no language", "write ```sh or ```console")
        elif block.marks and block.language not in RUN:
            self._refuse(block.place, "a mark is for commands", "write ```sh or ```console, or leave the mark out")
        elif block.language == "console" and not block.lines[0].startswith("$ "):
            self._refuse(block.place, "output stands before the first command", "begin the block with `$ COMMAND`")
        elif block.why_not_run and len(block.marks) > 1:
            self._refuse(block.place, "a block that is not run needs no other mark", "leave out one of them")
