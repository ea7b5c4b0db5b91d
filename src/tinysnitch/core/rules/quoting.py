"""Words of a line, quoted as a shell quotes them: splitting, and writing any text as one safe word.

split_words makes the same text again of what quote_word wrote, whatever the text holds. What quote_word writes is
printable: control, format, separator, surrogate and other invisible characters are escaped.

What the words of a column may look like is a table of Forms, one for each spelling. Parser and docs/rules.md read it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

import msgspec

from tinysnitch.core.model.undecoded import bytes_of, text_of
from tinysnitch.core.rules.path_pattern import escape_pattern


class BadWord(ValueError):
    """A word that is wrong in its place. `column` counts from 1; with 0 the caller has to fill it in."""

    def __init__(self, problem: str, hint: str = "", column: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.column = column


class Word(msgspec.Struct, frozen=True, gc=False):
    text: str
    column: int  # of its first character, from 1
    is_bare: bool  # no part of it was quoted: only then `-`, `lan` and the like have a meaning
    pattern: str  # the text, with quoted * as \* and quoted \ as \\


_BARE_LINE = re.compile(r"[\t !%&(-\[\]-~]*")  # ASCII without " # $ ' \ : most lines
_BARE_WORD = re.compile(r"[^ \t]+")
_CHUNK = re.compile(
    r"""(?P<bare>[^ \t'"\\$]+)
      | '(?P<single>[^']*)'
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | \$'(?P<ansi>(?:[^'\\]|\\.)*)'
      | \\(?P<escaped>.)
      | (?P<dollar>\$)""",
    re.VERBOSE | re.DOTALL,
)


def split_bare(line: str) -> list[str] | None:
    """The words of a line without quotes and comment; None: it may have these."""
    return line.split() if _BARE_LINE.fullmatch(line) else None


def split_words(line: str) -> list[Word]:
    """The words of a line up to its comment, which begins with a `#` at the beginning of a word."""
    if _BARE_LINE.fullmatch(line):
        return [Word(found[0], found.start() + 1, True, found[0]) for found in _BARE_WORD.finditer(line)]
    return list(_split_quoted(line))


def _split_quoted(line: str) -> Iterator[Word]:
    position = 0
    while position < len(line) and line[position] != "#":
        if line[position] in " \t":
            position += 1
            continue
        word, position = _read_word(line, position)
        yield word


def find_comment(line: str) -> str:
    """The comment of a line, without its `#`; "" if it has none. Raises BadWord."""
    position = 0
    while position < len(line) and line[position] != "#":
        position = position + 1 if line[position] in " \t" else _read_word(line, position)[1]
    return line[position + 1 :]


def _read_word(line: str, start: int) -> tuple[Word, int]:
    text, pattern, is_bare, position = "", "", True, start
    while position < len(line) and line[position] not in " \t":
        found = _CHUNK.match(line, position)
        if found is None:
            raise BadWord(*_unfinished(line[position]), start + 1)
        _refuse_invisible(found[0], start + 1)
        plain = _plain_text(found, start + 1)
        is_raw = found.lastgroup in ("bare", "dollar")
        text += plain
        pattern += plain if is_raw else escape_pattern(plain)
        is_bare = is_bare and is_raw
        position = found.end()
    return Word(text, start + 1, is_bare, pattern), position


def _unfinished(character: str) -> tuple[str, str]:
    if character == "\\":
        return "nothing follows the backslash", "write '\\' for a backslash"
    other = "'" if character == '"' else '"'
    return f"the quote {character} is not closed", f"write {other}{character}{other} for the character"


def _plain_text(found: re.Match[str], column: int) -> str:
    """The text that a chunk stands for."""
    group = found.lastgroup or ""
    if group == "double":
        return re.sub(r'\\([$`"\\])', r"\1", found[group])  # no other backslash is special in there (POSIX 2.2.3)
    if group == "ansi":
        return _ESCAPE.sub(lambda escape: _unescape(escape, column), found[group])
    return found[group]


_ESCAPE = re.compile(
    r"""(?P<bytes>(?:\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2})+)
      | \\u(?P<short>[0-9a-fA-F]{4})
      | \\U(?P<long>[0-9a-fA-F]{8})
      | \\(?P<letter>.)""",
    re.VERBOSE | re.DOTALL,
)
_BYTE = re.compile(r"\\x(..)|\\(...)")
_LETTERS = dict(zip("ntrabeEfv\\'\"?", "\n\t\r\a\b\x1b\x1b\f\v\\'\"?", strict=True))


def _unescape(found: re.Match[str], column: int) -> str:
    """One escape of $'..' (bash, QUOTING); bytes that are not UTF-8 become surrogates (PEP 383)."""
    group = found.lastgroup or ""
    if group == "bytes":
        pairs = _BYTE.findall(found[group])
        return text_of(bytes(int(hexa or octal, 16 if hexa else 8) for hexa, octal in pairs))
    if group == "letter" and found[group] in _LETTERS:
        return _LETTERS[found[group]]
    if group == "letter" or int(found[group], 16) > 0x10FFFF:
        raise BadWord(f"{quote_word(found[0])} is not an escape", r"use \n, \t, \xNN or \uNNNN inside $'..'", column)
    return chr(int(found[group], 16))


_PLAIN_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")  # as shlex.quote has it
_PRINTABLE_ASCII = re.compile(r"[ -~]*")
# Printable for Unicode, but invisible: fillers, variation selectors, blank signs of Braille, hieroglyphs and music, the
# object replacement character.
BLANKS = (
    frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810))))
    | frozenset(map(chr, (0xFFFC, 0x13441, 0x13442, 0x16FE4, 0x1D159)))
    | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)


def quote_word(text: str) -> str:
    """The text as one word: bare, in single quotes, or with escapes as $'..'."""
    if _PLAIN_WORD.fullmatch(text):
        return text
    if "'" not in text and all(map(_is_visible, text)):
        return f"'{text}'"
    has_bytes = _is_from_bytes(text)
    return "$'" + "".join(_escape(character, has_bytes) for character in text) + "'"


def visible_text(text: str) -> str:
    """The text with an escape for each character that nobody would see, or that would change how a line looks."""
    return "".join(each if _is_visible(each) else _escape(each, has_bytes=True) for each in text)


def _is_visible(character: str) -> bool:
    return " " <= character <= "~" or (character.isprintable() and character not in BLANKS)


def _is_from_bytes(text: str) -> bool:
    """Whether the text comes back from its bytes, so that its surrogates can be written as bytes."""
    try:
        return text_of(bytes_of(text)) == text
    except UnicodeEncodeError:
        return False


def _escape(character: str, has_bytes: bool) -> str:
    code = ord(character)
    if character in "\\'":
        return "\\" + character
    if character in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[character]
    if _is_visible(character):
        return character
    if code < 0x80 or (has_bytes and 0xDC80 <= code <= 0xDCFF):
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _refuse_invisible(chunk: str, column: int) -> None:
    """Raises BadWord for what a reader of the file could not see."""
    if _PRINTABLE_ASCII.fullmatch(chunk):
        return
    for character in chunk:
        if unicodedata.category(character) in _INVISIBLE_CATEGORIES or character in BLANKS:
            as_word = f"write it as {quote_word(character)}"
            if "\udc80" <= character <= "\udcff":
                raise BadWord("a byte that is not UTF-8", f"save it as UTF-8, or {as_word}", column)
            raise BadWord("an invisible character", as_word, column)


Value = TypeVar("Value")


class Form(msgspec.Struct, Generic[Value], frozen=True):
    """One spelling. `parse` returns None for a word of another form, and raises BadWord for a wrong one of this."""

    spelling: str
    meaning: str
    parse: Callable[[Word], Value | None]
    is_word: bool = False  # written just so; else the spelling is an example


def parser_of(forms: Iterable[Form[Value]]) -> Callable[[Word], Value | None]:
    """A function that parses a word by the first form that it has; it returns None if it has none."""
    parsers = tuple(dict.fromkeys(form.parse for form in forms))

    def parse(word: Word) -> Value | None:
        for parser in parsers:
            value = parser(word)
            if value is not None:
                return value
        return None

    return parse


def unknown_word(what: str, word: str, known: Iterable[str]) -> BadWord:
    """The error for a word that is not among the known ones; its hint names the nearest one, else all."""
    known = tuple(known)
    near = get_close_matches(word[:64].lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else "write one of: " + " ".join(known)
    return BadWord(what, hint)
