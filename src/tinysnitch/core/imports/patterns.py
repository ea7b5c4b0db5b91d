"""Regular expressions of OpenSnitch's rules (Go's RE2) as words of ours, as far as ours can say them.

A pattern becomes its alternatives, each a row of literal texts and gaps. What is understood: literal characters and
escaped ones, `(a|b)`, `(a|b)?` and `a?`, `[abc]`, `[0-9]`, `.*` and `.+`, `[^/]*`, `^` and `$` at the ends. All else is
refused: a pattern that is half understood could allow anything.
"""

import re
from enum import Enum

import msgspec

from tinysnitch.core.imports.draft import NotSayable, name_word
from tinysnitch.core.rules.quoting import quote_word

MAX_ALTERNATIVES = 64


class Gap(Enum):
    ANY = "any"  # .*
    PART = "part"  # [^/]*


_STARS = {Gap.ANY: "**", Gap.PART: "*"}
Row = tuple[str | Gap, ...]


class Pattern(msgspec.Struct, frozen=True):
    rows: tuple[Row, ...]
    is_whole_before: bool  # it begins with ^, or with a gap
    is_whole_behind: bool


def host_words(text: str, remarks: list[str]) -> list[str]:
    """Remotes for a pattern of host names. Raises NotSayable."""
    pattern = parse_pattern(text)
    if not pattern.is_whole_behind:
        remarks.append("there also longer names, since the pattern has no $ at its end")
    names, domains = list[str](), list[str]()
    for row in pattern.rows:
        match row:
            case (str(name),) if pattern.is_whole_before:
                names.append(name)
            case (Gap(), str(name)) if name.startswith("."):
                domains.append(name[1:])
            case _:
                raise NotSayable(f"the pattern {quote_word(text)} of names")
    remarks += [f"also {domain} itself" for domain in domains if domain not in names]
    return [*(f"*.{each}" for each in domains), *(name_word(each) for each in names if each not in domains)]


def path_words(text: str, remarks: list[str]) -> list[str]:
    """Programs for a pattern of paths. Raises NotSayable."""
    pattern = parse_pattern(text)
    if not (pattern.is_whole_before and pattern.is_whole_behind):
        remarks.append("there also as a part of other paths, since the pattern lacks ^ or $")
    words = []
    for row in pattern.rows:
        if not isinstance(row[0], str) or not row[0].startswith("/"):
            raise NotSayable(f"the pattern {quote_word(text)} of paths does not begin with a folder")
        words.append("".join(quote_word(piece) if isinstance(piece, str) else _STARS[piece] for piece in row))
    return words


def plain_words(text: str, what: str) -> list[str]:
    """The texts that a pattern stands for, if these are few: of ports, users, protocols. Raises NotSayable."""
    pattern = parse_pattern(text)
    if not (pattern.is_whole_before and pattern.is_whole_behind):
        raise NotSayable(f"the pattern {quote_word(text)} of {what} has no ^ and $")
    words = []
    for row in pattern.rows:
        if len(row) != 1 or not isinstance(row[0], str):
            raise NotSayable(f"the pattern {quote_word(text)} of {what}")
        words.append(row[0])
    return words


_TOKEN = re.compile(
    r"""(?P<gap>\.[*+])
      | (?P<part>\[\^/\][*+])
      | (?P<digits>(?:\[0-9\]|\\d)[*+])
      | (?P<class>\[[A-Za-z0-9_-]+\])(?![*+?{])
      | (?P<optional>[A-Za-z0-9/_-]\?)
      | (?P<escaped>\\[^A-Za-z0-9])(?![*+?{])
      | (?P<plain>[A-Za-z0-9/_.:@%,= ~-])(?![*+?{])""",
    re.VERBOSE,
)


def parse_pattern(text: str) -> Pattern:
    """Raises NotSayable."""
    reader = _Reader(text)
    is_whole_before = reader.take("^")
    rows = reader.read_alternatives()
    is_whole_behind = reader.take("$")
    if reader.rest or not all(rows):
        raise NotSayable(f"the pattern {quote_word(text)}")
    before = all(isinstance(row[0], Gap) for row in rows)
    behind = all(isinstance(row[-1], Gap) for row in rows)
    return Pattern(tuple(rows), is_whole_before or before, is_whole_behind or behind)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def rest(self) -> str:
        return self._text[self._at :]

    def take(self, token: str) -> bool:
        is_there = self.rest.startswith(token)
        self._at += len(token) if is_there else 0
        return is_there

    def read_alternatives(self) -> list[Row]:
        rows = self._read_row()
        while self.take("|"):
            rows += self._read_row()
        self._bound(rows)
        return rows

    def _read_row(self) -> list[Row]:
        rows: list[Row] = [()]
        while (pieces := self._read_pieces()) is not None:
            rows = [_join(row, piece) for row in rows for piece in pieces]
            self._bound(rows)
        return rows

    def _read_pieces(self) -> list[Row] | None:
        """The alternatives of the next piece; None at the end of a row."""
        if self.take("(?:") or self.take("("):
            rows = self.read_alternatives()
            if not self.take(")"):
                raise NotSayable(f"the pattern {quote_word(self._text)}")
            return [*rows, ()] if self.take("?") else rows
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        match found.lastgroup:
            case "gap":
                return [(Gap.ANY,)]
            case "part" | "digits":
                return [(Gap.PART,)]
            case "class":
                return [(each,) for each in _letters_of(found[0][1:-1])]
            case "optional":
                return [(found[0][0],), ()]
            case "escaped":
                return [(found[0][1],)]
            case _:
                return [(found[0],)]

    def _bound(self, rows: list[Row]) -> None:
        if len(rows) > MAX_ALTERNATIVES:
            raise NotSayable(f"the pattern {quote_word(self._text)} has more than {MAX_ALTERNATIVES} alternatives")


def _join(row: Row, piece: Row) -> Row:
    if row and piece and isinstance(row[-1], str) and isinstance(piece[0], str):
        return (*row[:-1], row[-1] + piece[0], *piece[1:])
    return (*row, *piece)


def _letters_of(text: str) -> list[str]:
    """The characters of a class: `13`, `1-5`, `a-cx`."""
    letters: list[str] = []
    for first, last in re.findall(r"(.)(?:-(.))?", text):
        letters += map(chr, range(ord(first), ord(last or first) + 1))
    return letters
