"""Makes hostile text safe to show: what programs and servers control must never steer a screen.

Nothing that `escape_text` returns moves the cursor, or reorders, hides or overprints other text. Backslashes are not
doubled, so that escaping twice changes nothing.
"""

import unicodedata
from functools import lru_cache

from tinysnitch.core.rules.quoting import BLANKS

ELLIPSIS = "…"
MAX_MARKS = 2  # combining marks on one letter: Vietnamese needs two, more would overprint other lines
_LABELS_KEPT = 3  # last labels of a shortened name: enough for a registrable domain below a two-label suffix
_BREAKS = (" ", "/.")  # characters after which a line is broken; blanks are better


@lru_cache(maxsize=4096)
def escape_text(text: str) -> str:
    """Show what is not plainly visible as `\\xNN`, `\\uNNNN` or `\\UNNNNNNNN`; printable text stays."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = MAX_MARKS  # no mark may stand at the start: it would land on our own text before it
    for char in text:
        marks = marks + 1 if _is_mark(char) else 0
        hidden = marks > MAX_MARKS or not char.isprintable() or char in BLANKS
        shown.append(_escape_char(char) if hidden else char)
    return "".join(shown)


def _escape_char(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def cell_width(text: str) -> int:
    """Columns that escaped text takes on a terminal with a fixed-width font."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


@lru_cache(maxsize=4096)  # each character of long arguments is measured a thousand times until a page fits
def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1  # UAX #11


def shorten_middle(text: str, width: int) -> str:
    """At most `width` columns: the middle is left out, and most of the end stays, which tells most (file, domain)."""
    if cell_width(text) <= width:
        return text
    if width <= 0:
        return ""
    room = width - 1
    tail_width = min(max(room * 2 // 3, cell_width(_significant_end(text))), room - room // 5)
    tail = _from_first_letter(_last_columns(text, tail_width))
    head = _last_columns(text[::-1], room - cell_width(tail))[::-1]
    return f"{head}{ELLIPSIS}{tail}"


def shorten_end(text: str, width: int) -> str:
    """At most `width` columns: the end is left out, for texts whose beginning matters."""
    if cell_width(text) <= width:
        return text
    return f"{_last_columns(text[::-1], width - 1)[::-1]}{ELLIPSIS}" if width > 0 else ""


def shorten_words(text: str, width: int) -> str:
    """At most `width` columns: the end is left out from a blank on, if there is one in the second half."""
    shorter = shorten_end(text, width)
    end = shorter.rfind(" ")
    return shorter if shorter == text or end <= width // 2 else f"{shorter[:end].rstrip(' ,;:')}{ELLIPSIS}"


def wrap_shortened(text: str, width: int, rows: int) -> list[str]:
    """At most `rows` rows; an ellipsis at the end of the last one stands for the rest."""
    lines = wrap_columns(text, width)
    return lines if len(lines) <= rows else [*lines[: rows - 1], shorten_end("".join(lines[rows - 1 :]), width)]


def wrap_parts(text: str, width: int, rows: int | None = None) -> list[str]:
    """Rows that end behind a comma, if each part between two of them fits; at most `rows`."""
    lines = [""]
    for part in text.split(", "):
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if cell_width(longer) < width or not lines[-1] or len(lines) == rows:
            lines[-1] = longer
        else:
            lines[-1] += ","
            lines.append(part)
    if rows is None:
        return [row for line in lines for row in wrap_columns(line, width)]
    return [shorten_end(line, width) for line in lines]


def _significant_end(text: str) -> str:
    """The last path component with its slash, else the last labels of a name."""
    slash = text.rfind("/", 0, len(text) - 1)
    return text[slash:] if slash >= 0 else ".".join(text.split(".")[-_LABELS_KEPT:])


def _from_first_letter(text: str) -> str:
    """The text without combining marks at its start, whose letter was cut off: they would land on our ellipsis."""
    return text[next((at for at, char in enumerate(text) if not _is_mark(char)), len(text)) :]


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _last_columns(text: str, width: int) -> str:
    start = len(text)
    while start and width >= _char_width(text[start - 1]):
        start -= 1
        width -= _char_width(text[start])
    return text[start:]


def wrap_words(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at blanks alone: a word that is wider stays whole, so that a path or a
    command can be copied."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and cell_width(lines[-1]) + 1 + cell_width(word) <= width:
            lines[-1] += f" {word}"
        elif word:
            lines.append(word)
    return lines


def wrap_columns(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns. Each is broken after a blank in its second half, if there is one; else after a
    folder or a label of a name, so that no line begins with what looks like a whole name (`evil-`, and below it
    `bank.com`); else anywhere.
    """
    lines: list[str] = []
    start = 0
    while (stop := _find_stop(text, start, width)) < len(text):
        line = text[start : max(stop, start + 1)]
        ends = (max(line.rfind(mark) for mark in marks) for marks in _BREAKS)
        line = next((line[: end + 1] for end in ends if end > width // 2), line)
        lines.append(line)
        start += len(line)
    return [*lines, text[start:]]


def _find_stop(text: str, start: int, width: int) -> int:
    """The index of the first character that does not fit into `width` columns from `start` on. No more of the text is
    looked at: it may have thousands of lines."""
    while start < len(text) and width >= _char_width(text[start]):
        width -= _char_width(text[start])
        start += 1
    return start
