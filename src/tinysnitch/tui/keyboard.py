"""Bytes that a terminal sends to the names of keys, as view/keys.py has them."""

import re

# What terminals send besides keys, to whoever reads: answers to a program before us, clicks where it left the mouse on.
# A click of X10 and F1 to F5 of a console (xterm's ctlseqs, console_codes(4)); strings and control sequences (ECMA-48),
# also without their end; Alt with a key; a character of several bytes (RFC 3629).
_TOKEN = re.compile(
    rb"\x1b\[M...|\x1b\[\[.|\x1b[\]PX^_][^\x07\x1b]+(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*(?:[@-~]|\Z)|\x1bO.|\x1b."
    rb"|[\xc2-\xf4][\x80-\xbf]{1,3}|.",
    re.DOTALL,
)
CURSOR_REPORT = "cursor report"  # no key, but the answer to who asked for it (paint_report.py)
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
    **dict.fromkeys((b"\x1b[H", b"\x1bOH", b"\x1b[1~"), "home"),
    **dict.fromkeys((b"\x1b[F", b"\x1bOF", b"\x1b[4~"), "end"),
    **{bytes((ord(letter) - ord("a") + 1,)): f"ctrl+{letter}" for letter in "aekuw"},
    **{b"\x1b" + prefix + b"A": "up" for prefix in (b"[", b"O")},
    **{b"\x1b" + prefix + b"B": "down" for prefix in (b"[", b"O")},
    **{b"\x1b" + prefix + b"C": "right" for prefix in (b"[", b"O")},
    **{b"\x1b" + prefix + b"D": "left" for prefix in (b"[", b"O")},
}


def parse_keys(data: bytes) -> list[str]:
    """Names of the keys; one that has none is left out, so a half-read sequence can't become an answer."""
    names = (_name_of(token) for token in _TOKEN.findall(data))
    return [name for name in names if name]


def _name_of(token: bytes) -> str | None:
    if token in _NAMES:
        return _NAMES[token]
    if _CURSOR_REPORT.fullmatch(token):
        return CURSOR_REPORT
    char = token.decode("utf-8", "replace")
    return char if len(char) == 1 and char.isprintable() and char != "\ufffd" else None
