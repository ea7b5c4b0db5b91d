"""Turns the bytes that a terminal sends into the names of keys that view/keys.py has."""

import re

# Each match is a key, or something else that a terminal sends: answers to the program before us, or clicks, if that
# program left the mouse on. In this order: an X10 click, and F1 to F5 of a console (xterm's ctlseqs, console_codes(4));
# strings and control sequences (ECMA-48), also without their end; Alt with a key; a character of several bytes
# (RFC 3629); any other byte.
_TOKEN = re.compile(
    rb"\x1b\[M...|\x1b\[\[.|\x1b[\]PX^_][^\x07\x1b]+(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*(?:[@-~]|\Z)|\x1bO.|\x1b."
    rb"|[\xc2-\xf4][\x80-\xbf]{1,3}|.",
    re.DOTALL,
)
# The beginning of a sequence, click or character, at the end of what was read: the next read may bring the rest.
_BEGUN = re.compile(
    rb"(?:\x1b(?:\[M.{0,2}|\[[0-?]*[ -/]*|\[\[|O)?|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z",
    re.DOTALL,
)
CURSOR_REPORT = "cursor report"  # no key, but the answer to our request (paint_report.py)
_CURSOR_REPORT = re.compile(rb"\x1b\[[0-9]+;[0-9]+R")  # CPR (ECMA-48)
_NAMES = {
    b"\x1b": "escape",
    b"\t": "tab",
    b"\x1b[Z": "shift+tab",
    b"\x03": "ctrl+c",
    b"?": "question_mark",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x08": "backspace",
    b"\x1b[3~": "delete",
    b"\x1b[5~": "pageup",
    b"\x1b[6~": "pagedown",
    b"\x1b[200~": "paste",  # start of a bracketed paste: not one of our keys, so view/key_piece.py takes it for a text
    **dict.fromkeys((b"\x1b[H", b"\x1bOH", b"\x1b[1~"), "home"),
    **dict.fromkeys((b"\x1b[F", b"\x1bOF", b"\x1b[4~"), "end"),
    **{bytes((ord(letter) - ord("a") + 1,)): f"ctrl+{letter}" for letter in "aekuw"},
    **{b"\x1b" + prefix + b"A": "up" for prefix in (b"[", b"O")},
    **{b"\x1b" + prefix + b"B": "down" for prefix in (b"[", b"O")},
    **{b"\x1b" + prefix + b"C": "right" for prefix in (b"[", b"O")},
    **{b"\x1b" + prefix + b"D": "left" for prefix in (b"[", b"O")},
}


class KeyReader:
    """Cuts what is read into keys. Over a serial line bytes come one by one: the Esc that begins the sequence of an
    arrow key must not be taken for the key Esc."""

    def __init__(self) -> None:
        self._begun = b""

    @property
    def is_waiting(self) -> bool:
        """Whether the beginning of a key was read, so that the caller must call `take` if no more comes soon."""
        return bool(self._begun)

    def feed(self, data: bytes) -> list[str]:
        """The names of the keys that are complete now."""
        data = self._begun + data
        begun = _BEGUN.search(data)
        end = begun.start() if begun else len(data)
        self._begun = data[end:]
        return parse_keys(data[:end])

    def take(self) -> list[str]:
        """The names of what was begun and not continued: Esc, say."""
        begun, self._begun = self._begun, b""
        return parse_keys(begun)


def parse_keys(data: bytes) -> list[str]:
    """Names of the keys. What has no name is left out, so that a part of a sequence cannot become an answer."""
    names = (_name_of(token) for token in _TOKEN.findall(data))
    return [name for name in names if name]


def _name_of(token: bytes) -> str | None:
    if token in _NAMES:
        return _NAMES[token]
    if _CURSOR_REPORT.fullmatch(token):
        return CURSOR_REPORT
    char = token.decode("utf-8", "replace")
    return char if len(char) == 1 and char.isprintable() and char != "\ufffd" else None
