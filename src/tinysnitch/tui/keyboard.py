"""Bytes that a terminal sends to the names of keys, as view/keys.py has them."""

import re

_TOKEN = re.compile(rb"\x1b\[[0-9;?]*[@-~]|\x1bO.|\x1b.|.", re.DOTALL)  # ECMA-48 control sequences; Alt with a key
_NAMES = {
    b"\x1b": "escape",
    b"\t": "tab",
    b"\x1b[Z": "shift+tab",
    b"\x03": "ctrl+c",
    b"?": "question_mark",
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
    return token.decode("ascii") if len(token) == 1 and 0x20 < token[0] < 0x7F else None
